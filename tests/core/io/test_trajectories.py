"""Trajectories: TUM round trip to the nanosecond, interpolation, frame trees."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from lsm_core.errors import FileFormatError, InputError
from lsm_core.io import Trajectory, TransformTree, read_tum, write_tum


def pose(turn_deg: float = 0.0, translation: tuple[float, float, float] = (0, 0, 0)) -> NDArray[np.float64]:
    out = np.eye(4)
    out[:3, :3] = Rotation.from_euler("z", turn_deg, degrees=True).as_matrix()
    out[:3, 3] = translation
    return out


def test_tum_round_trip_keeps_nanoseconds(tmp_path: Path) -> None:
    stamps = np.array([1_700_000_000_123_456_789, 1_700_000_000_223_456_790])
    rotations = Rotation.random(2, rng=np.random.default_rng(0)).as_matrix()
    poses = np.tile(np.eye(4), (2, 1, 1))
    poses[:, :3, :3], poses[:, :3, 3] = rotations, [[1, 2, 3], [-4, 5e-7, 6e3]]
    write_tum(tmp_path / "t.tum", Trajectory(stamps, poses), "lsm_map, metres")
    back = read_tum(tmp_path / "t.tum")
    np.testing.assert_array_equal(back.stamps_ns, stamps)
    np.testing.assert_allclose(back.poses, poses, atol=1e-8, rtol=1e-8)


def test_tum_line_has_seconds_position_and_quaternion_xyzw(tmp_path: Path) -> None:
    write_tum(tmp_path / "t.tum", Trajectory(np.array([1_500_000_000]), pose(90, (1, 2, 3))[None]))
    words = (tmp_path / "t.tum").read_text().split()
    assert words[0] == "1.500000000"
    np.testing.assert_allclose([float(w) for w in words[1:]], [1, 2, 3, 0, 0, 0.5**0.5, 0.5**0.5], atol=1e-8)


@pytest.mark.parametrize(
    "line", ["1 2 3", "a 0 0 0 0 0 0 1", "1 0 0 0 0 0 0 0", "1 nan 0 0 0 0 0 1", "inf 0 0 0 0 0 0 1"]
)
def test_malformed_lines_are_refused_with_their_number(tmp_path: Path, line: str) -> None:
    (tmp_path / "t.tum").write_text(f"# comment\n{line}\n")
    with pytest.raises(FileFormatError, match="line 2"):
        read_tum(tmp_path / "t.tum")


def test_interpolation_turns_and_moves_evenly() -> None:
    track = Trajectory(np.array([0, 1000]), np.stack([pose(10), pose(50, (4, 0, 0))]))
    halfway = track.at(250)
    assert halfway is not None
    np.testing.assert_allclose(halfway, pose(20, (1, 0, 0)), atol=1e-12)


def test_no_pose_outside_the_covered_time_or_in_a_gap() -> None:
    track = Trajectory(np.array([0, 10**9]), np.stack([pose(), pose()]))
    assert track.at(-1) is None and track.at(10**9 + 1) is None
    assert track.at(5 * 10**8, max_gap_ns=10**8) is None
    assert track.at(10**9) is not None


def test_stamps_must_ascend() -> None:
    with pytest.raises(InputError, match="ascend"):
        Trajectory(np.array([2, 1]), np.stack([pose(), pose()]))


def test_tree_looks_up_through_moving_and_static_edges() -> None:
    tree = TransformTree()
    tree.add_static("base", "camera", pose(90, (0, 0, 1)))
    tree.add_static("base", "lidar", pose(0, (1, 0, 0)))
    tree.add("odom", "base", 0, pose())
    tree.add("odom", "base", 1000, pose(0, (10, 0, 0)))
    found = tree.lookup("odom", "camera", 500)
    assert found is not None
    np.testing.assert_allclose(found, pose(90, (5, 0, 1)), atol=1e-12)
    sideways = tree.lookup("lidar", "camera", 10**12)  # the moving edge is not between them
    assert sideways is not None
    np.testing.assert_allclose(sideways, pose(90, (-1, 0, 1)), atol=1e-12)
    assert tree.lookup("odom", "camera", 2000) is None
    assert tree.lookup("odom", "elsewhere", 500) is None
    assert tree.roots() == {"odom"}
    assert tree.trajectory("odom", "camera").stamps_ns.tolist() == [0, 1000]
