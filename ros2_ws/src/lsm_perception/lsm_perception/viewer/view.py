"""Where a browser looks from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import viser
from numpy.typing import NDArray

from lsm_perception.viewer.records import Matrix


@dataclass(frozen=True, eq=False)
class View:
    """A place to look from: eye, target and upward direction [3], in the map."""

    eye: NDArray[np.float64]
    target: NDArray[np.float64]
    up: NDArray[np.float64]

    @classmethod
    def from_camera(cls, T_map_cam: Matrix, depth: float, offset: tuple[float, float, float]) -> View:
        """Return the view of what a camera sees.

        Args:
            T_map_cam: [4, 4] its pose.
            depth: how far things are.
            offset: from the camera to the eye, in its own axes (x right, y down, z forward), in depths.
        """
        R, t = T_map_cam[:3, :3], T_map_cam[:3, 3]
        return cls(R @ (depth * np.array(offset)) + t, depth * R[:, 2] + t, -R[:, 1])

    def give(self, client: viser.ClientHandle) -> None:
        """Move a browser's view here."""
        with client.atomic():
            client.camera.up_direction = self.up
            client.camera.position = self.eye
            client.camera.look_at = self.target

    def make_home(self, server: viser.ViserServer) -> None:
        """Let browsers that come from now on begin here."""
        server.initial_camera.up = self.up
        server.initial_camera.position = self.eye
        server.initial_camera.look_at = self.target
