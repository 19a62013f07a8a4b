"""Errors of the readers name the file, the key and what to do; hostile files are refused before they unfold."""

from __future__ import annotations

import json
import pickle
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from small_layouts import K, chunk_entry, posed_folder, put, record, scannet_lsm, torch_chunks, tum_rgbd

from lsm_core.data.formats import Scene, open_dataset
from lsm_core.data.formats.torch_chunks import load_chunk
from lsm_core.errors import FileFormatError


def scannet_scene(root: Path) -> tuple[Path, Scene]:
    scannet_lsm(root, record())
    return root / "scene0000_00", open_dataset(root).scene("scene0000_00")


def test_a_lost_pose_names_file_and_key_and_the_frame_is_not_usable(tmp_path: Path) -> None:
    folder, scene = scannet_scene(tmp_path)
    np.savez(folder / "pose" / "000003.npz", camera_intrinsics=K, camera_pose=np.full((4, 4), -np.inf))
    with pytest.raises(FileFormatError, match=r"'camera_pose' of .*000003\.npz' is not finite.*tracking was lost"):
        scene.view(3)
    assert scene.usable() == [0, 1, 2, 4, 5]
    assert "000003.npz" in str(scene.problem(3))


def test_a_scaled_or_mirrored_pose_is_refused(tmp_path: Path) -> None:
    folder, scene = scannet_scene(tmp_path)
    for matrix in (np.diag([2.0, 2, 2, 1]), np.diag([-1.0, 1, 1, 1])):
        np.savez(folder / "pose" / "000000.npz", camera_intrinsics=K, camera_pose=matrix)
        with pytest.raises(FileFormatError, match="no rigid transform"):
            open_dataset(tmp_path).scene(scene.name).view(0)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"camera_intrinsics": K}, "no key 'camera_pose'; it has: camera_intrinsics"),
        ({"camera_intrinsics": K[:2], "camera_pose": np.eye(4)}, r"'camera_intrinsics' .* shape \(2, 3\)"),
        ({"camera_intrinsics": -K, "camera_pose": np.eye(4)}, "no pinhole camera"),
        ({"camera_intrinsics": np.array([object()] * 9), "camera_pose": np.eye(4)}, "no intact .npz"),
    ],
)
def test_a_faulty_camera_file_is_named_with_its_key(tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    folder, scene = scannet_scene(tmp_path)
    np.savez(folder / "pose" / "000001.npz", **arrays)
    with pytest.raises(FileFormatError, match=message) as caught:
        scene.view(1)
    assert "000001.npz" in str(caught.value)


@pytest.mark.parametrize(("kind", "ending"), [("color", "png"), ("depth", "png"), ("pose", "npz")])
def test_a_truncated_or_missing_file_is_named(tmp_path: Path, kind: str, ending: str) -> None:
    folder, scene = scannet_scene(tmp_path)
    path = folder / kind / f"000002.{ending}"
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(FileFormatError, match=re.escape(str(path))):
        scene.view(2)
    path.unlink()
    with pytest.raises(FileFormatError, match=re.escape(str(path))):
        scene.view(2)
    assert str(path) in str(scene.problem(2))


def test_depth_of_another_size_and_intrinsics_of_another_size_are_told_apart(tmp_path: Path) -> None:
    folder, scene = scannet_scene(tmp_path)
    put(folder / "depth" / "000000.png", np.zeros((24, 32), np.uint16))
    with pytest.raises(FileFormatError, match=r"32x24 pixels, not 64x48.*registered"):
        scene.view(0)
    np.savez(folder / "pose" / "000001.npz", camera_intrinsics=K * [[20], [20], [1]], camera_pose=np.eye(4))
    with pytest.raises(FileFormatError, match="different sizes"):
        scene.view(1)


def test_a_colour_picture_as_depth_is_refused(tmp_path: Path) -> None:
    folder, scene = scannet_scene(tmp_path)
    Image.fromarray(record(1).images[0]).save(folder / "depth" / "000000.png")
    with pytest.raises(FileFormatError, match="one-channel"):
        scene.view(0)


def test_a_count_of_poses_that_does_not_fit_is_named(tmp_path: Path) -> None:
    posed_folder(tmp_path, record())
    (tmp_path / "all_frame_names.txt").unlink()
    with pytest.raises(FileFormatError, match=r"6 poses, but .* has 3 pictures.*frames\.txt"):
        open_dataset(tmp_path).scene(tmp_path.name)


def test_a_nan_pose_line_is_named_by_picture_and_line(tmp_path: Path) -> None:
    posed_folder(tmp_path, record())
    lines = (tmp_path / "poses.txt").read_text().splitlines()
    lines[2] = " ".join(["nan"] * 16)
    (tmp_path / "poses.txt").write_text("\n".join(lines))
    scene = open_dataset(tmp_path).scene(tmp_path.name)
    assert scene.usable() == [0, 2]
    with pytest.raises(FileFormatError, match=r"00002\.png \(line 3 of"):
        scene.pose(1)


def test_lists_that_leave_the_folder_or_share_no_clock_are_refused(tmp_path: Path) -> None:
    tum_rgbd(tmp_path, record())
    sequence = tmp_path / "rgbd_dataset_freiburg1_wall"
    listed = (sequence / "rgb.txt").read_text()
    (sequence / "rgb.txt").write_text("1.0 ../../secret.png\n")
    with pytest.raises(FileFormatError, match="outside the sequence"):
        open_dataset(tmp_path).scene(sequence.name)
    (sequence / "rgb.txt").write_text(listed.replace("1305031", "1405031", 1).replace("1305031", "9"))
    with pytest.raises(FileFormatError, match="within 20 ms"):
        open_dataset(tmp_path).scene(sequence.name)


def test_index_files_may_not_point_elsewhere(tmp_path: Path) -> None:
    torch_chunks(tmp_path, record(2))
    (tmp_path / "train" / "index.json").write_text(json.dumps({"a": "../test/000000.torch"}))
    with pytest.raises(FileFormatError, match="no map from scenes to chunk files"):
        _ = open_dataset(tmp_path / "train").scenes


class Payload:
    """What runs when it is unpickled."""

    def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
        return eval, ("__import__('pathlib').Path('pwned').touch()",)


def test_a_chunk_with_code_is_refused_and_runs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save([Payload()], tmp_path / "a.torch")
    with pytest.raises(FileFormatError, match="cannot be loaded"):
        load_chunk(tmp_path / "a.torch")
    (tmp_path / "b.torch").write_bytes(pickle.dumps([Payload()]))
    with pytest.raises(FileFormatError, match="no torch file"):
        load_chunk(tmp_path / "b.torch")
    assert not (tmp_path / "pwned").exists()


def test_a_chunk_that_unfolds_to_more_than_the_file_is_refused(tmp_path: Path) -> None:
    torch.save([chunk_entry("a", record(2))], tmp_path / "plain.torch")
    with zipfile.ZipFile(tmp_path / "plain.torch") as plain, zipfile.ZipFile(tmp_path / "bomb.torch", "w") as bomb:
        for entry in plain.infolist():
            bomb.writestr(entry.filename, plain.read(entry) + bytes(1000), zipfile.ZIP_DEFLATED)
    with pytest.raises(FileFormatError, match="unpacks to more"):
        load_chunk(tmp_path / "bomb.torch")


def test_a_truncated_chunk_is_refused(tmp_path: Path) -> None:
    torch.save([chunk_entry("a", record(2))], tmp_path / "a.torch")
    whole = (tmp_path / "a.torch").read_bytes()
    (tmp_path / "a.torch").write_bytes(whole[: len(whole) * 2 // 3])
    with pytest.raises(FileFormatError, match="truncated"):
        load_chunk(tmp_path / "a.torch")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cameras": torch.zeros(2, 17)}, r"'cameras' of 'a' .*\(2, 17\)"),
        ({"cameras": torch.zeros(3, 18)}, "3 cameras and 2 images"),
        ({"images": [torch.zeros(4, 4, 3), torch.zeros(1)]}, "Picture 0 of 'a'.*no row of bytes"),
        ({"images": [torch.zeros(1, dtype=torch.uint8).expand(10**12)] * 2}, "Picture 0 of 'a'.*no row of bytes"),
        ({"key": 3}, "'key' of .* is no text"),
    ],
)
def test_a_chunk_of_another_structure_is_named_by_scene_and_key(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    torch.save([chunk_entry("a", record(2)) | change], tmp_path / "a.torch")
    with pytest.raises(FileFormatError, match=message):
        load_chunk(tmp_path / "a.torch")
    entry = chunk_entry("a", record(2))
    del entry["cameras"]
    torch.save([entry], tmp_path / "b.torch")
    with pytest.raises(FileFormatError, match="no 'cameras'; it has: key, url"):
        load_chunk(tmp_path / "b.torch")


def test_a_picture_in_a_chunk_that_is_none_is_named(tmp_path: Path) -> None:
    entry = chunk_entry("a", record(2))
    entry["images"][1] = torch.zeros(50, dtype=torch.uint8)  # type: ignore[index]
    torch.save([entry], tmp_path / "a.torch")
    scene = open_dataset(tmp_path).scene("a")
    scene.view(0)
    with pytest.raises(FileFormatError, match=r"Picture 1 of scene 'a' in .*a\.torch"):
        scene.view(1)


def test_scenes_with_too_wide_a_view_are_left_out(tmp_path: Path) -> None:
    narrow, wide = chunk_entry("narrow", record(2)), chunk_entry("wide", record(2))
    wide["cameras"][:, 0] = 0.41  # type: ignore[index]
    narrow["cameras"][:, 0] = 0.43  # type: ignore[index]
    torch.save([narrow, wide], tmp_path / "a.torch")
    data = open_dataset(tmp_path)
    assert data.scene("narrow").usable() == [0, 1] and data.scene("wide").usable() == []
    assert "101 degrees" in str(data.scene("wide").problem(0))
