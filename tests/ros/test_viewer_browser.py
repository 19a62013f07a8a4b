"""The viewer in headless Chromium beside the real node and model: words typed, the result seen, a page reloaded.

With LSM_SCREENSHOT=FILE.jpg the picture of the answer is kept: that of docs/viewer.md.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception.viewer", reason="the workspace is not built: ./run setup")
pytest.importorskip("viser", reason="viser is not installed: pip install -e '.[viewer]'")

from chromium import Page, browser, find_browser
from lsm_perception.conversions.semantics import palette
from lsm_perception.demo.source import read_source
from node_process import ACTIVE, NodeProcess
from PIL import Image

from lsm_core.data import sample_path

pytestmark = [pytest.mark.ros, pytest.mark.slow]
WIDTH, HEIGHT = 1280, 800
PANEL_WIDTH = 400  # at the right
BUTTON = "[...document.querySelectorAll('button')].find(b => b.innerText.trim() === '{}')"
TAB = "[...document.querySelectorAll('[role=tab]')].find(b => b.innerText.trim() === '{}')"
WORDS = "[...document.querySelectorAll('input[type=text], input:not([type])')].find(i => i.offsetParent)"
CLOSE_NOTE = "document.querySelector('.mantine-Notification-closeButton')"


@pytest.fixture
def node(tmp_path: Path) -> Iterator[NodeProcess]:
    """The real node on the packaged recording, with the viewer beside it."""
    words = [*read_source(sample_path(), None, 0).topics.bringup_words(), "viewer:=true", "viewer_port:=0"]
    command = [sys.executable, "-m", "lsm_perception.bringup", *words]
    process = NodeProcess(tmp_path / "node.log", command=command)
    yield process
    process.end()


def play(folder: Path) -> NodeProcess:
    words = [sys.executable, "-m", "lsm_perception.replay", str(sample_path()), "--rate", "0.3", "--wait", "60"]
    return NodeProcess(folder / "replay.log", command=words)


def text(page: Page) -> str:
    return str(page.evaluate("document.body.innerText"))


def coloured(page: Page, colour: np.ndarray) -> int:
    """Return how many pixels left of the panel have a colour."""
    scene = page.picture()[:, : WIDTH - PANEL_WIDTH].astype(int)
    return int((np.abs(scene - colour.astype(int)).max(axis=-1) < 12).sum())


def wait_for_colour(page: Page, colour: np.ndarray, least: int, timeout_s: float = 60) -> int:
    end = time.monotonic() + timeout_s
    while (count := coloured(page, colour)) < least and time.monotonic() < end:
        time.sleep(0.5)
    return count


def test_words_typed_in_the_browser_are_found_and_shown(node: NodeProcess, tmp_path: Path) -> None:
    program = find_browser()
    if program is None:
        pytest.skip("no Chromium on this machine (apt install chromium, or name one in LSM_CHROMIUM)")
    node.wait_for(ACTIVE)
    node.wait_for("Open http")
    found = re.search(r"Open (http\S+)", node.text)
    assert found
    with browser(program, tmp_path / "profile") as page:
        page.open(found[1], WIDTH, HEIGHT)
        page.wait_for("document.body.innerText.includes('/lsm_perception')", 90)
        page.wait_for(f"{CLOSE_NOTE} !== null", 30)
        page.click(CLOSE_NOTE)  # of software rendering
        replay = play(tmp_path)
        assert replay.process.wait(180) == 0, replay.text
        page.wait_for("document.body.innerText.includes('metres')", 60)
        page.wait_for("document.querySelectorAll('img').length > 0", 60)

        colour = palette(2)[0]
        before = coloured(page, colour)
        page.click(WORDS)
        page.type("floor, bed")
        page.enter()
        page.wait_for("document.querySelector('table') !== null", 60)
        rows = page.evaluate("[...document.querySelectorAll('table tr')].map(r => r.innerText)")
        assert "floor" in rows[1] and "bed" in rows[2] and float(rows[1].split()[2]) > 0.5, rows
        after = wait_for_colour(page, colour, before + 300)
        assert after > before + 300, (before, after)
        keep_picture(page)

        page.call("Page.reload")  # a browser that comes back finds everything as it was
        page.wait_for("document.querySelector('table') !== null", 90)
        assert wait_for_colour(page, colour, before + 300) > before + 300

        page.click(TAB.format("Keyframes"))
        page.wait_for("/Keyframe \\d+, [\\d.]+ s, kept/.test(document.body.innerText)", 30)
        page.click(TAB.format("Ask"))
        page.click(BUTTON.format("Clear the answer"))
        page.wait_for("document.querySelector('table') === null", 30)
        page.click(TAB.format("View"))
        page.click(BUTTON.format("Draw what is seen from here"))
        page.wait_for("document.body.innerText.includes('Drawn by the node, from its map in metres')", 60)
        assert all(url.startswith((found[1], "blob:", "data:")) for url in page.requests), page.requests
    assert "Traceback" not in node.text, node.text


def keep_picture(page: Page) -> None:
    """Save the picture where one is asked for."""
    if os.environ.get("LSM_SCREENSHOT"):
        page.call("Input.dispatchMouseEvent", type="mouseMoved", x=5, y=5)  # away from what explains itself
        time.sleep(3)
        Image.fromarray(page.picture()).save(os.environ["LSM_SCREENSHOT"], quality=88, optimize=True)
