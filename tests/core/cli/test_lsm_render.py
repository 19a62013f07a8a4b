"""`lsm render` on a wall, on two rendered images, and on what it must refuse."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from lsm_runner import Lsm
from PIL import Image
from wall_backend import WallBackend

from lsm_core.cli.loading import ModelChoice
from lsm_core.cli.render_request import Request
from lsm_core.data.sample import sample_path
from lsm_core.io import Trajectory, open_bag, read_image, write_gaussians, write_png, write_tum
from lsm_core.types import Gaussians
from lsm_core.views.lens import look_at


@pytest.fixture
def wall(tmp_path: Path) -> Path:
    """A wall 2 units away, as a file."""
    images = [np.full((60, 80, 3), 100, np.uint8)] * 2
    gaussians = WallBackend(torch.device("cpu")).predict(images).gaussians
    assert isinstance(gaussians, Gaussians)
    write_gaussians(tmp_path / "wall.ply", gaussians)
    return tmp_path / "wall.ply"


@pytest.fixture(scope="module")
def rendered_pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two images of the packaged recording."""
    folder = tmp_path_factory.mktemp("pair")
    with open_bag(sample_path()) as bag:
        images = [frame.image for frame in bag.frames(bag.image_topic(None))]
    for name, index in (("a.png", 40), ("b.png", 46)):
        write_png(folder / name, images[index])
    return folder / "a.png", folder / "b.png"


def test_a_still_of_the_wall_fills_the_picture(lsm: Lsm, wall: Path, tmp_path: Path) -> None:
    words = ("--size", "64x48", "--fov", "40", "--eye", "0,0,0", "--show", "rgb,depth", "--json")
    code, text, _ = lsm("render", wall, "-o", tmp_path / "r.png", *words)
    record = json.loads(text)
    assert code == 0 and record["covered"] > 0.95 and record["unit"] == "relative"
    picture = read_image(tmp_path / "r.png")
    assert picture.shape == (48, 64, 3)
    np.testing.assert_allclose(picture[24, 32], 255 * 0.7, atol=6)
    assert record["files"] == [str(tmp_path / "r.png"), str(tmp_path / "r_depth.png")]
    assert read_image(tmp_path / "r_depth.png").shape[0] == 48


def test_looking_away_says_so(lsm: Lsm, wall: Path, tmp_path: Path) -> None:
    code, _, errors = lsm("render", wall, "-o", tmp_path / "r.png", "--size", "64x48", "--look-at", "0,0,-9")
    assert code == 0 and "in view" in errors


def test_standing_in_a_surface_says_so(lsm: Lsm, wall: Path, tmp_path: Path) -> None:
    words = ("--size", "64x48", "--fov", "60", "--json")
    code, text, errors = lsm("render", wall, "-o", tmp_path / "r.png", *words, "--eye", "0,0,1.92")
    assert code == 0 and "cut off" in errors and json.loads(text)["nearest"] < 0.11
    code, text, errors = lsm("render", wall, "-o", tmp_path / "r.png", *words, "--eye", "0,0,1")
    assert code == 0 and "cut off" not in errors and abs(json.loads(text)["nearest"] - 1) < 0.05


def test_a_reconstruction_becomes_films_of_all_kinds(
    lsm: Lsm, rendered_pair: tuple[Path, Path], tmp_path: Path
) -> None:
    assert lsm("reconstruct", *rendered_pair, "-o", tmp_path / "scene")[0] == 0
    words = ("-q", "floor", "--frames", "3", "--size", "96x72", "--json")
    code, text, _ = lsm("render", tmp_path / "scene", "-o", tmp_path / "out", *words)
    record = json.loads(text)
    names = {Path(file).name for file in record["files"]}
    kinds = {"rgb", "depth", "normals", "features", "masks", "relevancy_floor"}
    assert code == 0 and names == {f"{kind}.mp4" for kind in kinds} | {"sheet.png", "path.tum"}
    assert {p.name for p in (tmp_path / "out").iterdir()} == names  # nothing left over
    assert record["covered"] > 0.7 and record["path"] == "turntable" and record["frames"] == 3
    code, text, _ = lsm(
        "render", tmp_path / "scene", "-o", tmp_path / "view.png", "--view", "1", "--size", "200x150"
    )
    seen = read_image(tmp_path / "view.png").astype(float)
    given = cv2.resize(read_image(rendered_pair[1]), (200, 150), interpolation=cv2.INTER_AREA).astype(float)
    assert 10 * np.log10(255**2 / ((seen - given)[4:-4, 4:-4] ** 2).mean()) > 20


def test_two_images_become_one_animation(lsm: Lsm, rendered_pair: tuple[Path, Path], tmp_path: Path) -> None:
    target = tmp_path / "fly.webp"
    code, _, _ = lsm(
        "render", *rendered_pair, "-o", target, "--path", "fly", "--frames", "4", "--size", "64x48", "-q", "floor"
    )
    assert code == 0 and [p.name for p in tmp_path.iterdir()] == ["fly.webp"]
    with Image.open(target) as opened:
        assert opened.n_frames == 4 and opened.width == 64 and opened.height > 48  # masks, with their legend


def test_a_path_of_ones_own(lsm: Lsm, wall: Path, tmp_path: Path) -> None:
    poses = np.tile(np.eye(4), (3, 1, 1))
    poses[:, 0, 3] = [-0.2, 0.0, 0.2]
    write_tum(tmp_path / "path.txt", Trajectory(np.array([0, 1, 2], np.int64), poses))
    code, text, _ = lsm(
        "render", wall, "-o", tmp_path / "o", "--path", tmp_path / "path.txt", "--show", "rgb", "--size", "32x32",
        "--format", "png", "--json",
    )  # fmt: skip
    assert code == 0 and json.loads(text)["frames"] == 3 and len(list((tmp_path / "o" / "rgb").iterdir())) == 3


def test_a_turn_table_of_a_file_alone(lsm: Lsm, wall: Path, tmp_path: Path) -> None:
    code, _, _ = lsm("render", wall, "-o", tmp_path / "t.mp4", "--frames", "3", "--size", "32x32", "--angle", "10")
    assert code == 0 and int(cv2.VideoCapture(str(tmp_path / "t.mp4")).get(cv2.CAP_PROP_FRAME_COUNT)) == 3


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--size", "64"), "640x480"),
        (("--eye", "1,2"), "3 numbers"),
        (("--fov", "500"), "--fov"),
        (("--eye", "0,0,0", "--look-at", "0,0,0"), "the same"),
        (("--path", "spiral"), "no path 'spiral'"),
        (("--path", "turntable"), "does not fit into one PNG"),
        (("--show", "colour"), "no picture of 'colour'"),
        (("--show", "masks"), "--query"),
        (("--show", "features"), "no language features"),
        (("--view", "0"), "no input view 0"),
        (("--angle", "10"), "--angle"),
        (("-q", "chair"), "no Gaussians with language features"),
        (("-q", "chair", "-b", "mute-wall"), "no language features"),
    ],
)
def test_malformed_requests_are_refused_and_nothing_is_written(
    lsm: Lsm, wall: Path, tmp_path: Path, words: tuple[str, ...], says: str
) -> None:
    code, _, errors = lsm("render", wall, "-o", tmp_path / "r.png", *words)
    assert code == 1 and says in errors and [p.name for p in tmp_path.iterdir()] == ["wall.ply"]


def test_films_that_cannot_be_made_are_refused(lsm: Lsm, wall: Path, tmp_path: Path) -> None:
    for words, says in (
        (("-o", tmp_path / "o", "--path", "fly"), "at least two"),
        (("-o", tmp_path / "o", "--eye", "0,0,0"), "still"),
        (("-o", tmp_path / "o", "--format", "avi"), "no format"),
        (("-o", tmp_path / "o.mp4", "--path", "still"), "A still is no film"),
    ):
        code, _, errors = lsm("render", wall, *words)
        assert code == 1 and says in errors, errors
    for sources in ((tmp_path / "none",), (tmp_path,), (tmp_path / "a.png",), (wall, wall, wall)):
        code, _, errors = lsm("render", *sources, "-o", tmp_path / "o")
        assert code == 1 and "lsm reconstruct" in errors, errors
    assert [p.name for p in tmp_path.iterdir()] == ["wall.ply"]


def test_words_are_asked_of_the_model_that_made_the_scene() -> None:
    request = Request([], "still", [], [], *[None] * 7, None, "cpu", None, None, None, None)
    assert request.model() == ModelChoice("lsm-tiny", "cpu")
    assert request.model("dust3r+lseg") == ModelChoice("dust3r", "cpu", None, "lseg")
    assert replace(request, backend="lsm").model("dust3r") == ModelChoice("lsm", "cpu")


def test_look_at_puts_the_target_on_the_axis_and_y_down() -> None:
    T = look_at([1.0, -2.0, 0.5], [1.0, 0.0, 4.0])
    target = torch.linalg.inv(T) @ torch.tensor([1.0, 0.0, 4.0, 1.0])
    torch.testing.assert_close(target[:2], torch.zeros(2), atol=1e-6, rtol=0)
    assert target[2] > 0 and T[1, 1] > 0 and torch.linalg.det(T[:3, :3]) == pytest.approx(1, abs=1e-5)
