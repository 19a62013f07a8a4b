"""The offline study of a chain: the node's own rules, a simulated worker, the same figures each time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")

from fake_backend import FakeBackend
from lsm_perception.chain_study import Study, StudyOptions, main, parse_arguments
from synthetic_world import K, View, walk

from lsm_core.io import Frame, Trajectory
from lsm_core.io.bags import Calibration


@pytest.fixture(scope="module")
def views() -> list[View]:
    return walk(24)


def frames(views: Sequence[View]) -> list[Frame]:
    calibration = Calibration(K, np.zeros(5), "plumb_bob", 320, 240, "cam")
    return [Frame(i, v.stamp_ns, "cam", v.rgb, calibration) for i, v in enumerate(views)]


def truth(views: Sequence[View]) -> Trajectory:
    return Trajectory(np.array([v.stamp_ns for v in views]), np.stack([v.T_world_cam for v in views]))


def test_every_image_ends_once_and_runs_are_equal(views: list[View]) -> None:
    runs = [Study(FakeBackend(views), truth(views), StudyOptions(0.25)).run(frames(views)) for _ in range(2)]
    assert runs[0] == runs[1]
    assert runs[0].images == len(views) == sum(runs[0].fate.values())
    assert runs[0].segments == 1 and runs[0].breaks == [] and runs[0].accepted == runs[0].pairs >= 4
    assert runs[0].odometry.rotation_median_deg < 0.01


def test_a_slow_worker_and_lost_images_leave_fewer_keyframes(views: list[View]) -> None:
    def keyframes(options: StudyOptions) -> int:
        return Study(FakeBackend(views), truth(views), options).run(frames(views)).fate["used"]

    fast, slow, lossy = (keyframes(StudyOptions(*o)) for o in ((0.01,), (0.8,), (0.01, 0.5, 3)))
    assert slow < fast and lossy < fast


def test_a_break_is_told_with_its_cause(views: list[View]) -> None:
    class Doubtful(FakeBackend):
        """Has no faith in pairs number 4 and 5."""

        def predict(self, *args: object, **kwargs: object) -> object:
            self.validity = 0.0 if self.predictions in (4, 5) else 1.0
            return super().predict(*args, **kwargs)  # type: ignore[arg-type]

    result = Study(Doubtful(views), truth(views), StudyOptions(0.01)).run(frames(views))
    assert result.segments == 2 and result.rejected == {"low_validity": 2}
    (place,) = result.breaks
    assert place.cause.count("low_validity") == 2 and 0 < place.gap_s < place.time_s


def test_odometry_that_lies_is_seen_only_where_it_is_given(views: list[View]) -> None:
    wrong = [replace(v, T_world_cam=np.linalg.inv(v.T_world_cam)) for v in views]
    given = Study(FakeBackend(views), truth(wrong), StudyOptions(0.01)).run(frames(views))
    hidden = Study(FakeBackend(views), truth(wrong), StudyOptions(0.01, odometry=False)).run(frames(views))
    assert any(reason.startswith("odometry") for reason in given.rejected)
    assert not any(reason.startswith("odometry") for reason in hidden.rejected)


def test_the_command_line_takes_parameters_of_the_node(capsys: pytest.CaptureFixture[str]) -> None:
    given = parse_arguments(["bag", "--set", "keyframes.retries=2", "--set", "scale.source=none"])
    assert given.parameters == {"keyframes.retries": 2, "scale.source": "none"}
    for bad in ("keyframes.retries", "keyframes.retries=99", "nothing=1"):
        with pytest.raises(SystemExit):
            parse_arguments(["bag", "--set", bad])
    assert main(["/nowhere/at/all.mcap"]) == 1 and "There is no bag" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.parametrize(("words", "most"), [((), 9), (("--no-odometry",), 10)])
def test_fast_turns_of_a_real_recording_break_the_chain_rarely(
    shared_dir: Path, tmp_path: Path, words: tuple[str, ...], most: int
) -> None:
    bag = shared_dir / "data" / "bags" / "hololens_kitchen"
    assert main([str(bag), "--json", str(tmp_path / "out.json"), *words]) == 0
    result = json.loads((tmp_path / "out.json").read_text())
    assert result["segments"] <= most and result["empty_windows"] == 0
    assert result["accepted"] >= 100 and result["odometry"]["rotation_median_deg"] < 0.6
