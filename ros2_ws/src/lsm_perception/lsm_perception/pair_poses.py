"""Where the cameras of a pair stood, for models that must be told: from odometry, a rig, or another model."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from lsm_core.backends.base import Backend
from lsm_core.errors import GeometryError, InputError
from lsm_perception.products import Keyframe, Matrix


class PairPoses:
    """Gives the poses that `Backend.predict` is told; nothing for a model that finds them itself.

    Args:
        backend: the model.
        estimator: another model, asked for the relative pose where odometry knows none; None without.
    """

    def __init__(self, backend: Backend, estimator: Backend | None = None) -> None:
        self._name = backend.name
        self._needed = backend.needs_poses
        self._estimator = estimator

    def of(
        self, older: Keyframe | None, newer: Keyframe, T_older_newer: Matrix | None = None
    ) -> list[Tensor] | None:
        """Return T_older_older and T_older_newer [4, 4], or None where the model needs none.

        Args:
            older: None for a keyframe that is paired with itself.
            newer: the other one.
            T_older_newer: where it is known already, as of a rig.

        Raises:
            InputError: nothing knows the poses; the fix says what to connect.
            GeometryError: the other model finds no pose.
        """
        if not self._needed:
            return None
        if older is None:
            return [torch.eye(4), torch.eye(4)]
        if T_older_newer is None and older.T_odom_cam is not None and newer.T_odom_cam is not None:
            T_older_newer = np.linalg.inv(older.T_odom_cam) @ newer.T_odom_cam
        if T_older_newer is not None:
            return [torch.eye(4), torch.from_numpy(np.asarray(T_older_newer, np.float64))]
        return [torch.eye(4), self._estimated(older, newer)]

    def known_scale(self, older: Keyframe, newer: Keyframe) -> float | None:
        """Return 1 where the model is told poses in metres, so that pairs share their unit; None elsewhere."""
        told = self._needed and older.T_odom_cam is not None and newer.T_odom_cam is not None
        return 1.0 if told else None

    def _estimated(self, older: Keyframe, newer: Keyframe) -> Tensor:
        """Ask the other model."""
        views = [keyframe.encoded for keyframe in (older, newer) if keyframe.encoded is not None]
        if self._estimator is None or len(views) != 2:
            raise InputError(
                f"{self._name} must be told where its cameras stood, and there is no odometry for these images.",
                "Connect odometry (tf from odom_frame to the camera's frame, or the topic odom with static "
                "extrinsics), use two cameras with pairing:=rig, or set poses.backend:=lsm-tiny.",
            )
        found = self._estimator.predict([view.image for view in views], [view.intrinsics for view in views])
        if not found.pose_valid[1]:
            raise GeometryError(
                f"{self._estimator.name} finds no relative pose, so {self._name} cannot be told one.",
                "Move through the scene, or connect odometry.",
            )
        return found.poses[1].detach().cpu()
