"""The exported page in a real browser: the CPU rasterizer's picture, the mouse, and no request."""

from __future__ import annotations

import base64
import json
import re
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from chromium import Page, browser, find_browser
from numpy.typing import NDArray
from random_scene import random_scene, turn_apart_deg

from lsm_core.errors import InputError
from lsm_core.io import write_gaussians, write_html, write_splat
from lsm_core.io.html import PageView
from lsm_core.io.spz import decode_spz
from lsm_core.io.y_up import turn_half_around_x
from lsm_core.render import render
from lsm_core.types import Gaussians
from lsm_core.views.lens import look_at, pinhole

WIDTH, HEIGHT, FOV_DEG = 320, 240, 60.0
LOADING_S = 90  # software WebGL on a busy machine


def scene_ahead() -> Gaussians:
    """Return Gaussians of all colours and shapes, with view dependence, around a point ahead of the camera."""
    scene = random_scene(400, degree=2, seed=3, size=1.0)
    scene.means[:, 2] += 4.0
    scene.sh[:, 1:] *= 0.3
    scene.scales.clamp_(max=0.3)
    return scene


def our_picture(scene: Gaussians, eye: list[float], target: list[float]) -> NDArray[np.float64]:
    camera = pinhole(WIDTH, HEIGHT, FOV_DEG, look_at(eye, target))
    return 255.0 * render(scene, camera).rgb.double().numpy()


def settled(page: Page) -> NDArray[np.float64]:
    """Return the picture once it no longer changes."""
    before = page.picture()
    for _ in range(60):
        time.sleep(0.3)
        now = page.picture()
        if np.array_equal(now, before):
            return now.astype(np.float64)
        before = now
    raise TimeoutError("the picture keeps changing")


def test_the_page_shows_the_scene_and_follows_the_mouse(tmp_path: Path) -> None:
    program = find_browser()
    if program is None:
        pytest.skip("no Chromium on this machine (apt install chromium, or name one in LSM_CHROMIUM)")
    scene = scene_ahead()
    eye, target = (0.2, -0.1, 0.3), (0.0, 0.0, 4.0)
    view = PageView(eye, target, FOV_DEG, WIDTH / HEIGHT)
    write_html(tmp_path / "page.html", scene, "A <scene> & more", "400 Gaussians", view)
    with browser(program, tmp_path / "profile") as page:
        page.open((tmp_path / "page.html").as_uri(), WIDTH, HEIGHT)
        page.wait_for("document.documentElement.dataset.state !== 'loading'", LOADING_S)
        assert page.evaluate("document.documentElement.dataset.state") == "ready", page.console
        assert "A <scene> & more" in page.evaluate("document.body.innerText")
        page.evaluate("document.getElementById('panel').style.display = 'none'")
        start = settled(page)
        page.drag((160, 120), (220, 150))
        turned = settled(page)
        page.press("r")
        home = settled(page)
        assert all(url.startswith(("file:", "blob:", "data:")) for url in page.requests), page.requests
        assert page.console == []
    assert start.std() > 20  # not empty
    ours = our_picture(scene, list(eye), list(target))
    assert np.abs(start - ours).mean() < 3.0
    assert np.corrcoef(start.ravel(), ours.ravel())[0, 1] > 0.99
    assert np.abs(turned - start).mean() > 10.0
    np.testing.assert_array_equal(home, start)


@pytest.mark.parametrize("form", ["ply", "splat"])
def test_spark_draws_our_other_files_as_we_do(tmp_path: Path, form: str) -> None:
    program = find_browser()
    if program is None:
        pytest.skip("no Chromium on this machine (apt install chromium, or name one in LSM_CHROMIUM)")
    scene = scene_ahead()
    if form == "splat":
        scene = replace(scene, sh=scene.sh[:, :1])
    # These formats have no frame of their own: turned here, for the page has y up.
    {"ply": write_gaussians, "splat": write_splat}[form](tmp_path / "scene", turn_half_around_x(scene))
    write_html(tmp_path / "page.html", scene, view=PageView(fov_deg=FOV_DEG, aspect=WIDTH / HEIGHT))
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    data = base64.b64encode((tmp_path / "scene").read_bytes()).decode()
    changed = re.sub(r'data-type="spz">.*?</script>', f'data-type="{form}">{data}</script>', text)
    (tmp_path / "page.html").write_text(changed, encoding="utf-8")
    with browser(program, tmp_path / "profile") as page:
        page.open((tmp_path / "page.html").as_uri(), WIDTH, HEIGHT)
        page.wait_for("document.documentElement.dataset.state !== 'loading'", LOADING_S)
        assert page.evaluate("document.documentElement.dataset.state") == "ready", page.console
        page.evaluate("document.getElementById('panel').style.display = 'none'")
        drawn = settled(page)
    ours = our_picture(scene, [0, 0, 0], [0, 0, 1])
    assert ours.std() > 20
    assert np.abs(drawn - ours).mean() < 3.0
    assert np.corrcoef(drawn.ravel(), ours.ravel())[0, 1] > 0.99


def parts(path: Path) -> tuple[dict[str, object], Gaussians]:
    """Return settings and scene of a page."""
    text = path.read_text(encoding="utf-8")
    settings = re.search(r'id="settings">(.*?)</script>', text)
    scene = re.search(r'id="scene" data-type="spz">(.*?)</script>', text)
    assert settings and scene
    return json.loads(settings[1]), decode_spz(base64.b64decode(scene[1]))


def test_the_page_carries_the_scene_and_refers_to_nothing_outside(tmp_path: Path) -> None:
    scene = scene_ahead()
    write_html(tmp_path / "page.html", scene)
    settings, inside = parts(tmp_path / "page.html")
    assert float((inside.means - scene.means).abs().max()) < 1e-3
    assert float(turn_apart_deg(inside.quats, scene.quats).max()) < 0.25
    assert settings["eye"] == [0, 0, 0] and settings["aspect"] == pytest.approx(4 / 3)
    middle = -float(scene.means[:, 2].median())
    assert settings["target"] == pytest.approx([0, 0, middle])  # z backward
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert not re.search(r"""(src|href)\s*=\s*["']?https?:""", text)
    assert "default-src 'none'" in text
    assert "@@" not in text.replace("@@iterator", "")
    assert "MIT License" in text  # the notice of the libraries goes with them


def test_a_page_without_gaussians_or_with_no_view_is_refused(tmp_path: Path) -> None:
    for scene, view in [
        (random_scene(0), PageView()),
        (scene_ahead(), PageView(fov_deg=0.5)),
        (scene_ahead(), PageView(eye=(1, 1, 1), target=(1, 1, 1))),
    ]:
        with pytest.raises(InputError):
            write_html(tmp_path / "page.html", scene, view=view)
    assert not list(tmp_path.iterdir())


def test_values_that_are_not_finite_do_not_reach_the_page(tmp_path: Path) -> None:
    scene = scene_ahead()
    scene.means[7] = torch.nan
    write_html(tmp_path / "page.html", scene)
    settings, inside = parts(tmp_path / "page.html")
    assert len(inside) == len(scene) - 1 and "NaN" not in json.dumps(settings)


def test_the_start_is_what_a_wide_picture_of_the_field_of_view_shows(tmp_path: Path) -> None:
    write_html(tmp_path / "page.html", scene_ahead(), view=PageView(fov_deg=90, aspect=2.0))
    settings, _ = parts(tmp_path / "page.html")
    assert settings["fov_y_deg"] == pytest.approx(2 * np.rad2deg(np.arctan(0.5)))
    assert torch.isfinite(torch.tensor([settings["near"], settings["far"]])).all()
