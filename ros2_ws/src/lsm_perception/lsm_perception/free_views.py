"""Views that no camera took: from camera_info and camera_pose of a request to a camera in the map."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from geometry_msgs.msg import PoseStamped
from lsm_perception_msgs.msg import ResultCode
from rclpy.duration import Duration
from rclpy.time import Time
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header
from tf2_ros import Buffer, TransformException

from lsm_core.errors import InputError
from lsm_core.mapping import drawn_gaussians
from lsm_core.types import Camera, Gaussians, Sim3
from lsm_perception.camera_context import CameraContext
from lsm_perception.cloud_outputs import similarity
from lsm_perception.conversions.camera_info import LONGEST, SHORTEST
from lsm_perception.conversions.poses import matrix_from_pose, matrix_from_transform
from lsm_perception.parameters import NodeParameters
from lsm_perception.products import Keyframe, Matrix
from lsm_perception.replies import ServiceError
from lsm_perception.units import is_metric, metres, scaled_pose

FARTHEST = 1e5  # units from the origin of a frame
TF_WAIT_S = 0.2


@dataclass(frozen=True, eq=False)
class FreeView:
    """A view of the map.

    Attributes:
        camera: in the map's frame and the segment's unit.
        gaussians: of the map's newest keyframes, same frame and unit.
        keyframes: these, oldest first.
        metric: answers are in metres; otherwise in the segment's unit.
        factor: from the segment's unit to that of answers.
        out_from_map: from map and segment unit to the frame that the request names, in the unit of answers.
        epoch: of the scale.
        source: stamp and frame of the request.
    """

    camera: Camera
    gaussians: Gaussians
    keyframes: list[Keyframe]
    metric: bool
    factor: float
    out_from_map: Sim3
    epoch: int
    source: Header


class FreeViews:
    """Finds the map and the place a request means."""

    def __init__(self, cameras: dict[str, CameraContext], buffer: Buffer) -> None:
        """Connect to the cameras' maps and to tf."""
        self._cameras = cameras
        self._buffer = buffer

    def resolve(self, info: CameraInfo, placed: PoseStamped, parameters: NodeParameters) -> FreeView:
        """Return the view a request names.

        Raises:
            ServiceError: size, intrinsics or pose are unusable, the frame is unknown, or there is no map.
            InputError: the pose is not finite or has no rotation.
        """
        K = checked_intrinsics(info, parameters.map.max_view_pixels)
        T_frame_cam = matrix_from_pose(placed.pose)
        if np.abs(T_frame_cam[:3, 3]).max() > FARTHEST:
            raise ServiceError(ResultCode.BAD_REQUEST, f"camera_pose is more than {FARTHEST:g} from its frame.")
        context, metric, T_map_frame = self._frame(placed)
        scale, keyframes = context.mapper.snapshot(parameters.map.keyframes)
        if not keyframes:
            raise ServiceError(ResultCode.NOT_READY, "There is no map yet. Send images of a moving camera first.")
        if metric and not is_metric(scale):
            raise ServiceError(ResultCode.NO_SCALE, "Metres were lost meanwhile; use the unscaled map's frame.")
        gaussians = drawn_gaussians([k.prediction for k in keyframes if k.prediction is not None])
        if gaussians is None:
            raise ServiceError(ResultCode.UNSUPPORTED, "The backend makes no Gaussians, so nothing can be drawn.")
        factor = metres(scale) if metric else 1.0
        T_map_cam = scaled_pose(T_map_frame @ T_frame_cam, 1 / factor)
        return FreeView(
            Camera(K, info.width, info.height, torch.from_numpy(T_map_cam).float()),
            gaussians,
            keyframes,
            metric,
            factor,
            similarity(scaled_pose(np.linalg.inv(T_map_frame), 1 / factor), factor),
            int(scale.epoch),
            Header(stamp=placed.header.stamp, frame_id=placed.header.frame_id),
        )

    def _frame(self, placed: PoseStamped) -> tuple[CameraContext, bool, Matrix]:
        """Return whose map it is, whether the pose is in metres, and T_map_frame of the frame named."""
        frame = placed.header.frame_id.removeprefix("/")
        for context in self._cameras.values():
            if frame == context.names.unscaled.map:
                return context, False, np.eye(4)
            if frame == context.names.metric.map:
                if not is_metric(context.mapper.scale):
                    raise ServiceError(
                        ResultCode.NO_SCALE,
                        f"Metres are not known yet, so there is no '{frame}'. Use '{context.names.unscaled.map}'.",
                    )
                return context, True, np.eye(4)
        return self._frame_of_tf(frame, Time.from_msg(placed.header.stamp))

    def _frame_of_tf(self, frame: str, at: Time) -> tuple[CameraContext, bool, Matrix]:
        """Return the same for a frame of tf, which has a place in a metric map only."""
        known = [c.names.unscaled.map for c in self._cameras.values()]
        metric = [c for c in self._cameras.values() if is_metric(c.mapper.scale)]
        if not metric:
            raise ServiceError(
                ResultCode.NOT_FOUND,
                f"'{frame[:80]}' is no frame of the map. Use {' or '.join(known)}; frames of tf once metric.",
            )
        context = metric[0]
        wait = Duration(seconds=TF_WAIT_S if at.nanoseconds else 0.0)
        try:
            found = self._buffer.lookup_transform(context.names.metric.map, frame, at, wait)
            return context, True, matrix_from_transform(found.transform)
        except (TransformException, InputError, ValueError) as error:
            raise ServiceError(
                ResultCode.NOT_FOUND, f"'{frame[:80]}' has no place in the map: {str(error)[:200]}"
            ) from error


def checked_intrinsics(info: CameraInfo, max_pixels: int) -> torch.Tensor:
    """Return K [3, 3] float32 of a view that can be drawn.

    Raises:
        ServiceError: no size, too many pixels, or numbers that are no pinhole camera's.
    """
    width, height = int(info.width), int(info.height)
    if width < 1 or height < 1:
        raise ServiceError(ResultCode.BAD_REQUEST, "camera_info has no width and height.")
    if width * height > max_pixels:
        raise ServiceError(
            ResultCode.BAD_REQUEST, f"{width}x{height} pixels are more than map.max_view_pixels = {max_pixels}."
        )
    K = np.asarray(info.k, np.float64).reshape(3, 3)
    longest = max(width, height)
    focal = np.isfinite(K).all() and all(SHORTEST * longest <= K[i, i] <= LONGEST * longest for i in (0, 1))
    if not focal or np.abs(K).max() > 1e6 or tuple(K[2]) != (0.0, 0.0, 1.0) or K[1, 0] != 0:
        raise ServiceError(
            ResultCode.BAD_REQUEST,
            f"camera_info.k is no pinhole camera's: focal lengths must be {SHORTEST} to {LONGEST} widths.",
        )
    return torch.from_numpy(K).float()
