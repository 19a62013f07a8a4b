"""The two-view check on rendered images: right motions pass, wrong ones do not, a rotation has no direction."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")

from fake_backend import FakeBackend
from lsm_perception.calibration import Calibration
from lsm_perception.pair_check import PairJudge, PairVerdict
from lsm_perception.parameters import NodeParameters
from lsm_perception.products import Keyframe
from synthetic_world import View, look, render

START = look(-0.5, 0.0, -1.5)


def judged(newer: np.ndarray, shift: np.ndarray | None = None) -> PairVerdict:
    """Judge the pair of START and another view, whose predicted translation is replaced where one is given."""
    views = [render(START, 1), render(newer, 2)]
    backend = FakeBackend(views)
    older_k, newer_k = (keyframe(backend, i, view) for i, view in enumerate(views, start=1))
    assert older_k.encoded is not None and newer_k.encoded is not None
    prediction = backend.predict([older_k.encoded, newer_k.encoded])
    if shift is not None:
        T = prediction.poses[1].clone()
        T[:3, 3] = torch.from_numpy(shift).float()
        prediction = replace(prediction, poses=[prediction.poses[0], T])
    return PairJudge(NodeParameters()).judge(older_k, newer_k, prediction)


def keyframe(backend: FakeBackend, number: int, view: View) -> Keyframe:
    return Keyframe(
        id=number, stamp_ns=view.stamp_ns, camera="", frame_id="cam", segment=0, T_map_cam=None, prediction=None,
        view=0, encoded=backend.encode(view.rgb), calibration=Calibration(320, 240),
    )  # fmt: skip


def test_a_true_motion_passes_the_features_in_rotation_and_direction() -> None:
    verdict = judged(look(-0.1, 0.05, -1.4, 4.0))
    assert verdict.accepted
    assert verdict.gate.two_view_error_deg < 1.0 and verdict.gate.two_view_direction_error_deg < 10.0


def test_features_reject_a_motion_in_the_wrong_direction() -> None:
    verdict = judged(look(-0.1, 0.05, -1.4, 4.0), shift=np.array([-0.4, 0.0, 0.0]))
    assert not verdict.accepted and verdict.gate.reason == "two_view_direction"


@pytest.mark.parametrize("shift", [np.zeros(3), np.array([0.3, 0, 0]), np.array([-0.3, 0, 0.2])])
def test_a_pure_rotation_is_judged_by_its_rotation_alone(shift: np.ndarray) -> None:
    verdict = judged(look(-0.5, 0.0, -1.5, 8.0), shift)
    assert verdict.accepted and verdict.gate.two_view_error_deg < 1.0
    assert np.isnan(verdict.gate.two_view_direction_error_deg)
