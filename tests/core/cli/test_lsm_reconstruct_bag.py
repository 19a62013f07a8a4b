"""`lsm reconstruct BAG`: pairs of random units become one metric map; files and errors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from box_oracle import HALF_BOX_M, BoxOracle
from lsm_runner import Lsm

from lsm_core.cli.bag_files import write_bag_map
from lsm_core.cli.bag_map import BagMapper
from lsm_core.data import sample_path
from lsm_core.errors import InputError
from lsm_core.io import open_bag, read_image, read_point_cloud, read_tum

FRAMES = 60


def run(oracle: BoxOracle, odometry: bool = True) -> BagMapper:
    mapper = BagMapper(oracle, oracle.truth if odometry else None)
    with open_bag(sample_path()) as bag:
        for frame in bag.frames():
            if frame.index >= FRAMES:
                break
            mapper.add(frame)
    return mapper


@pytest.fixture(scope="module")
def oracle() -> BoxOracle:
    return BoxOracle(sample_path())


def test_pairs_of_random_units_become_one_metric_trajectory(oracle: BoxOracle) -> None:
    mapper = run(oracle)
    (segment,) = mapper.segments()
    assert len(segment.trajectory) >= 4 and max(oracle.units) / min(oracle.units) > 1.5
    first = oracle.truth.at(int(segment.trajectory.stamps_ns[0]))
    assert first is not None
    for stamp, pose in zip(segment.trajectory.stamps_ns.tolist(), segment.trajectory.poses, strict=True):
        true = oracle.truth.at(stamp)
        assert true is not None
        np.testing.assert_allclose(pose, np.linalg.inv(first) @ true, atol=1e-3)


def test_the_cloud_is_the_box_in_metres(oracle: BoxOracle) -> None:
    (segment,) = run(oracle).segments()
    first = oracle.truth.at(int(segment.trajectory.stamps_ns[0]))
    assert first is not None
    world = segment.cloud.points @ first[:3, :3].T + first[:3, 3] - oracle.truth.poses[0][:3, 3]
    from_wall = np.abs(np.abs(world).max(1) - HALF_BOX_M)
    assert np.median(from_wall) < 0.02 and np.percentile(from_wall, 95) < 0.15  # voxel means cut corners


def test_without_odometry_no_metres_are_claimed(oracle: BoxOracle) -> None:
    (segment,) = run(oracle, odometry=False).segments()
    assert segment.metres_per_unit is None


def test_an_image_without_a_pose_is_passed_over_and_the_chain_holds(oracle: BoxOracle) -> None:
    placed = run(oracle).segments()[0].trajectory.stamps_ns
    blind = BoxOracle(sample_path(), blind=[int(placed[2])])
    mapper = run(blind)
    assert mapper.rejected["no_pose"] >= 1
    (segment,) = mapper.segments()
    assert int(placed[2]) not in segment.trajectory.stamps_ns


class ToldOracle(BoxOracle):
    """Must be told how the camera moved, and answers in that unit, with depths off by a factor."""

    needs_poses = True

    def predict(self, views: Any, intrinsics: Any = None, poses: Any = None, generator: Any = None) -> Any:
        assert poses is not None
        self.told = [*getattr(self, "told", []), poses[1]]
        found = super().predict(views, intrinsics, None, generator)
        for pose in found.poses:
            pose[:3, 3] /= self.units[-1]
        return found


def test_a_model_that_must_be_told_poses_gets_those_of_the_odometry() -> None:
    told = ToldOracle(sample_path())
    mapper = run(told)
    assert len(mapper.pairs) >= 4
    for pair in mapper.pairs:
        older, newer = told.truth.at(pair.older_ns), told.truth.at(pair.newer_ns)
        assert older is not None and newer is not None
        assert any(np.allclose(np.linalg.inv(older) @ newer, T, atol=1e-6) for T in told.told)
    (segment,) = mapper.segments()
    assert segment.metres_per_unit == pytest.approx(1.0)
    first = told.truth.at(int(segment.trajectory.stamps_ns[0]))
    assert first is not None
    for stamp, pose in zip(segment.trajectory.stamps_ns.tolist(), segment.trajectory.poses, strict=True):
        np.testing.assert_allclose(pose, np.linalg.inv(first) @ told.truth.at(stamp), atol=1e-4)
    with pytest.raises(InputError, match="no odometry"):
        run(told, odometry=False)


def test_files_can_be_read_and_agree_with_the_summary(oracle: BoxOracle, tmp_path: Path) -> None:
    mapper = run(oracle)
    summary = write_bag_map(tmp_path, mapper, Path("sample"), oracle.truth)
    assert len(read_tum(tmp_path / "trajectory.tum")) == summary["segments"][0]["keyframes"]
    assert len(read_point_cloud(tmp_path / "map.ply")) == summary["segments"][0]["points"] > 1000
    assert summary["odometry"]["rotation_median_deg"] < 0.01
    assert json.loads((tmp_path / "summary.json").read_text())["pairs_accepted"] == len(mapper.pairs)
    assert read_image(tmp_path / "sheet.png").shape[1] == 1600


def test_a_bag_without_images_and_a_missing_one_are_named(lsm: Lsm, tmp_path: Path) -> None:
    (tmp_path / "x.mcap").write_bytes(b"no bag")
    code, _, errors = lsm("reconstruct", tmp_path / "x.mcap", "-o", tmp_path / "o")
    assert code == 1 and "bad_file" in errors and not (tmp_path / "o").exists()
    code, _, errors = lsm("reconstruct", sample_path(), "--topic", "/nowhere", "-o", tmp_path / "o")
    assert code == 1 and "/camera/image_raw/compressed" in errors


def test_queries_on_a_bag_point_to_the_demo(lsm: Lsm, tmp_path: Path) -> None:
    code, _, errors = lsm("reconstruct", sample_path(), "-q", "chair", "-o", tmp_path / "o")
    assert code == 1 and "./run demo" in errors
