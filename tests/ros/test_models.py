"""Which models the parameters ask for, and whence a model that must be told poses gets them; without a node."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")

from lsm_perception.models import load_models
from lsm_perception.pair_poses import PairPoses
from lsm_perception.parameters import NodeParameters
from lsm_perception.products import Keyframe

from lsm_core.backends.base import Backend
from lsm_core.errors import GeometryError, InputError
from lsm_core.types import ViewFeatures


class Named(Backend):
    """A backend that is only asked what it needs; as an estimator it answers with a fixed pose."""

    def __init__(self, name: str, language: bool = False, poses: bool = False, valid: bool = True) -> None:
        super().__init__(torch.device("cpu"))
        self.name, self.has_language, self.needs_poses = name, language, poses  # type: ignore[misc]
        self.valid = valid
        self.seen: list[Any] = []

    def encode(self, image: Any, intrinsics: Any = None) -> Any:
        raise NotImplementedError

    def predict(self, views: Any, intrinsics: Any = None, poses: Any = None, generator: Any = None) -> Any:
        self.seen.append((views, intrinsics))
        return type("Found", (), {"pose_valid": [True, self.valid], "poses": [torch.eye(4), pose(0.5)]})()


def load(name: str, device: str, weights: Path | None) -> Backend:
    return Named(name, language=name == "lsm-tiny", poses=name == "pixelsplat")


def parameters(backend: str, source: str = "auto", poses: str = "none") -> NodeParameters:
    tree = NodeParameters()
    return replace(
        tree,
        backend=backend,
        semantics=replace(tree.semantics, source=source),
        poses=replace(tree.poses, backend=poses),
    )


def pose(x: float) -> torch.Tensor:
    T = torch.eye(4)
    T[0, 3] = x
    return T


def keyframe(x: float | None = None) -> Keyframe:
    """Return one at x metres along the odometry's x axis, None where that is unknown."""
    image = np.full((16, 16, 3), 7, np.uint8)
    view = ViewFeatures("pixelsplat", image, torch.eye(3), torch.eye(3), {})
    T = None if x is None else pose(x).double().numpy()
    return Keyframe(
        id=1,
        stamp_ns=0,
        camera="",
        frame_id="camera",
        segment=0,
        T_map_cam=None,
        prediction=None,
        view=0,
        encoded=view,
        T_odom_cam=T,
    )


def test_words_come_from_the_model_a_source_or_nowhere() -> None:
    assert load_models(parameters("lsm-tiny"), load).backend.name == "lsm-tiny"
    assert load_models(parameters("splatt3r"), load).backend.name == "splatt3r+lsm-tiny"
    assert load_models(parameters("splatt3r", "model"), load).backend.has_language is False
    silent = load_models(parameters("lsm-tiny", "none"), load).backend
    assert silent.name == "lsm-tiny" and silent.has_language is False


def test_another_model_is_loaded_for_poses_only_where_they_are_needed() -> None:
    assert load_models(parameters("splatt3r", "none", "lsm-tiny"), load).estimator is None
    assert load_models(parameters("pixelsplat", "none"), load).estimator is None
    found = load_models(parameters("pixelsplat", "none", "lsm-tiny"), load).estimator
    assert found is not None and found.name == "lsm-tiny"
    with pytest.raises(InputError, match="told poses itself"):
        load_models(parameters("pixelsplat", "none", "pixelsplat"), load)


def test_poses_are_those_of_the_rig_then_odometry_then_the_other_model() -> None:
    other = Named("other")
    finder = PairPoses(Named("pixelsplat", poses=True), other)
    older, newer = keyframe(1.0), keyframe(1.25)
    from_rig = finder.of(older, newer, pose(0.1).numpy())
    from_odometry = finder.of(older, newer)
    assert from_rig is not None and float(from_rig[1][0, 3]) == pytest.approx(0.1)
    assert from_odometry is not None and float(from_odometry[1][0, 3]) == pytest.approx(0.25) and not other.seen
    assert finder.known_scale(older, newer) == 1.0
    assert finder.known_scale(older, keyframe()) is None  # the other model's unit is its own
    asked = finder.of(older, keyframe())
    assert asked is not None and float(asked[1][0, 3]) == 0.5
    ((images, intrinsics),) = other.seen
    assert [image.shape for image in images] == [(16, 16, 3)] * 2 and all(K is not None for K in intrinsics)
    alone = finder.of(None, newer)
    assert alone is not None and all(torch.equal(T, torch.eye(4)) for T in alone)
    assert PairPoses(Named("splatt3r"), other).of(older, newer) is None
    assert PairPoses(Named("splatt3r"), other).known_scale(older, newer) is None


def test_without_any_of_them_the_error_says_what_to_connect() -> None:
    finder = PairPoses(Named("pixelsplat", poses=True))
    with pytest.raises(InputError, match="no odometry") as caught:
        finder.of(keyframe(), keyframe(1.0))
    assert all(word in caught.value.fix for word in ("odom_frame", "pairing:=rig", "poses.backend:=lsm-tiny"))
    with pytest.raises(GeometryError, match="no relative pose"):
        PairPoses(Named("pixelsplat", poses=True), Named("other", valid=False)).of(keyframe(), keyframe())
