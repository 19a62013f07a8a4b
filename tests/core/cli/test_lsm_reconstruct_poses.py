"""`lsm reconstruct` with a model that must be told the poses: from a file, from another model, or an error."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from lsm_runner import Lsm
from wall_backend import FOCAL, STEP, WallBackend

from lsm_core.backends import pixelsplat
from lsm_core.backends.seeded_pixelsplat import write_pixelsplat
from lsm_core.cli import film_files
from lsm_core.cli.known_cameras import known_cameras, read_cameras
from lsm_core.errors import FileFormatError, GeometryError, InputError
from lsm_core.io import Trajectory, read_gaussians, read_image, write_tum

K = np.array([[70.0, 0, 40], [0, 70, 30], [0, 0, 1]])


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "re10k.ckpt"
    write_pixelsplat(path)
    return path


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the program use small images and a short film."""
    monkeypatch.setattr(pixelsplat, "PixelsplatOptions", partial(pixelsplat.PixelsplatOptions, size=48))
    monkeypatch.setattr(film_files, "TURN_FRAMES", 3)
    monkeypatch.setattr(film_files, "TURN_WIDTH", 64)


@pytest.mark.usefixtures("small")
def test_poses_and_lens_of_another_model_are_used_and_said(
    lsm: Lsm, pair: tuple[Path, Path], weights: Path, tmp_path: Path
) -> None:
    out = tmp_path / "o"
    code, text, _ = lsm(
        "reconstruct", *pair, "-o", out, "-b", "pixelsplat", "--weights", weights, "--poses-from", "wall"
    )
    assert code == 0 and "Poses from wall." in text and "Intrinsics from wall." in text
    record = json.loads((out / "poses.json").read_text())
    assert record["poses_from"] == record["intrinsics_from"] == "wall" and record["backend"] == "pixelsplat"
    np.testing.assert_allclose(np.array(record["views"][1]["T_cam0_cam"])[:3, 3], [STEP, 0, 0], atol=1e-6)
    assert record["views"][0]["K"][0][0] == pytest.approx(2 * FOCAL)  # the images are twice the wall's grid
    assert len(read_gaussians(out / "gaussians.ply")) == 3 * 2 * 48 * 48
    assert (out / "depth_1.png").is_file() and (out / "points.ply").is_file()
    assert read_image(out / "turntable.webp").shape[:2] == (64, 64)
    # What it wrote serves as a file of poses, and then nothing is estimated.
    again = (
        "reconstruct",
        *pair,
        "-b",
        "pixelsplat",
        "--weights",
        weights,
        "--poses",
        out / "poses.json",
        "--json",
    )
    code, text, _ = lsm(*again, "-o", tmp_path / "p", "--no-turntable")
    second = json.loads(text)
    assert code == 0 and second["poses_from"] == second["intrinsics_from"] == "poses.json"
    assert second["views"] == record["views"] and not (tmp_path / "p" / "turntable.webp").exists()


@pytest.mark.usefixtures("small")
def test_without_poses_nothing_is_invented(
    lsm: Lsm, pair: tuple[Path, Path], weights: Path, tmp_path: Path
) -> None:
    """The images are noise: lsm-tiny finds no pose in them."""
    words = ("reconstruct", *pair, "-o", tmp_path / "o", "-b", "pixelsplat", "--weights", weights)
    code, _, errors = lsm(*words)
    assert code == 1 and "lsm-tiny finds no relative pose" in errors and "--poses FILE" in errors
    assert not (tmp_path / "o").exists()
    code, _, errors = lsm(*words, "--poses", tmp_path / "a.png", "--poses-from", "wall")
    assert code == 1 and "exclude each other" in errors


def test_a_model_that_finds_poses_itself_refuses_given_ones(
    lsm: Lsm, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    file = tmp_path / "poses.json"
    file.write_text(json.dumps([np.eye(4).tolist()] * 2))
    code, _, errors = lsm("reconstruct", *pair, "-o", tmp_path / "o", "-b", "lsm-tiny", "--poses", file)
    assert code == 1 and "does not read any" in errors


class NeedsPoses(WallBackend):
    needs_poses = needs_intrinsics = True


def images(count: int = 2) -> list[np.ndarray]:
    return [np.full((60, 80, 3), 100, np.uint8)] * count


@pytest.mark.usefixtures("lsm")
def test_only_what_is_missing_is_estimated(tmp_path: Path) -> None:
    model = NeedsPoses(device="cpu")  # type: ignore[arg-type]
    file = tmp_path / "poses.txt"
    T = np.eye(4)
    T[:3, 3] = (1, 2, 3)
    write_tum(file, Trajectory(np.array([0, 1]), np.stack([np.eye(4), T])))
    found = known_cameras(model, images(), None, file, None)
    assert found.poses is not None and np.allclose(found.poses[1], T)
    assert found.sources == {"poses_from": "poses.txt", "intrinsics_from": "lsm-tiny"}
    found = known_cameras(model, images(), K, None, "wall")
    assert found.sources == {"poses_from": "wall", "intrinsics_from": "given"}
    assert found.unit == "relative" and found.validity == pytest.approx(0.9)
    assert found.intrinsics is not None and all(np.array_equal(k, K) for k in found.intrinsics)
    plain = known_cameras(WallBackend(device="cpu"), images(), None)  # type: ignore[arg-type]
    assert plain.poses is None and plain.intrinsics is None and plain.sources == {}
    with pytest.raises(InputError, match="cannot place 3"):
        known_cameras(model, images(3), K, None, "wall")
    with pytest.raises(GeometryError, match="wall finds no relative pose"):
        known_cameras(model, [np.zeros((60, 80, 3), np.uint8)] * 2, K, None, "wall")


def test_a_result_is_no_more_valid_than_its_poses_and_in_their_unit(tmp_path: Path) -> None:
    views = [{"T_cam0_cam": np.eye(4).tolist(), "K": None}] * 2
    file = tmp_path / "poses.json"
    file.write_text(json.dumps({"unit": "metre", "validity": 0.4, "views": views}))
    model = WallBackend(device="cpu")  # type: ignore[arg-type]
    predicted = model.predict(images())
    judged = known_cameras(model, images(), K, file).judged(predicted)
    assert (judged.unit, judged.validity) == ("metric", pytest.approx(0.4))
    assert known_cameras(model, images(), K).judged(predicted) is predicted


@pytest.mark.parametrize("text", ["{", "[1, 2]", '{"views": [{"T_cam0_cam": null}]}', "[[[1]]]", '{"a": 1}'])
def test_a_file_without_poses_is_said_to_be_one(tmp_path: Path, text: str) -> None:
    file = tmp_path / "poses.json"
    file.write_text(text)
    with pytest.raises(FileFormatError, match=r"poses\.json holds no poses"):
        read_cameras(file, 2)
    file.write_text(json.dumps([np.eye(4).tolist()] * 3))
    with pytest.raises(FileFormatError, match="3 poses for 2 images"):
        read_cameras(file, 2)
    with pytest.raises(FileFormatError):
        read_cameras(tmp_path / "absent.txt", 2)
