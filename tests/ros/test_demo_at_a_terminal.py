"""The demo as a person sees it: the view in the browser stays until Ctrl-C, then the results are written."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception.demo.live", reason="the workspace is not built: ./run setup")
pytest.importorskip("viser", reason="viser is not installed: pip install -e '.[viewer]'")

pytestmark = [pytest.mark.ros, pytest.mark.slow]
END = b"Ctrl-C writes the results"


def test_the_browser_can_be_used_until_ctrl_c(tmp_path: Path) -> None:
    terminal, other_end = pty.openpty()
    words = ["--viewer-port", "0", "-o", str(tmp_path), "--max-seconds", "5", "-q", "floor"]
    process = subprocess.Popen(
        [sys.executable, "-m", "lsm_perception.demo", *words],
        stderr=other_end,
        stdout=subprocess.PIPE,
        text=True,
        env={name: value for name, value in os.environ.items() if name != "ROS_DOMAIN_ID"},
    )
    os.close(other_end)
    try:
        shown = read_until(terminal, END, 240)
        address = re.search(rb"In the browser: (http://localhost:\d+/)", shown)
        assert address and END in shown, shown[-2000:]
        with urllib.request.urlopen(address[1].decode(), timeout=20) as reply:
            assert reply.status == 200
        assert process.poll() is None and not (tmp_path / "summary.json").exists()
        process.send_signal(signal.SIGINT)
        rest = read_until(terminal, None, 60)
        assert process.wait(60) == 0, rest[-2000:]
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.wait(60)
        os.close(terminal)
    assert json.loads((tmp_path / "summary.json").read_text())["node_exit_code"] == 0


def read_until(terminal: int, text: bytes | None, timeout_s: float) -> bytes:
    """Return what a terminal shows, until a text is in it or the program ends."""
    out, end = b"", time.monotonic() + timeout_s
    while time.monotonic() < end and (text is None or text not in out):
        if not select.select([terminal], [], [], 0.5)[0]:
            continue
        try:
            part = os.read(terminal, 65536)
        except OSError:  # the other end is closed
            break
        out += part
    return out
