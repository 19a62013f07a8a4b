"""Words to masks for Nav2's costmap filters: `python -m lsm_perception.examples.label_mask --ros-args ...`.

What `~/segmentation/label` says of a pixel and `~/depth/image` of its distance is put together on the ground, in
the robot's own frame. Out come `keepout_mask` (KeepoutFilter) and `speed_mask` (SpeedFilter); see docs/planner.md.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from cv_bridge import CvBridge
from lsm_perception_msgs.msg import Scale
from nav_msgs.msg import OccupancyGrid
from numpy.typing import NDArray
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image
from vision_msgs.msg import LabelInfo

from lsm_perception.calibration import Calibration
from lsm_perception.conversions import stamp_to_ns
from lsm_perception.conversions.camera_info import calibration_from_info
from lsm_perception.conversions.errors import BadMessageError, UnusableInfoError
from lsm_perception.declaration import refusal
from lsm_perception.examples.example_parameters import declared, words_of
from lsm_perception.examples.ground_mask import GroundMask, GroundMaskConfig
from lsm_perception.examples.guarded import QUIET_S, guarded
from lsm_perception.examples.label_table import LabelTable
from lsm_perception.examples.labelled_points import LabelledPixels
from lsm_perception.examples.mask_message import CLOSED, NO_LIMIT, UNSAID, Mask, same_cells
from lsm_perception.examples.placed import Matrix, Placed
from lsm_perception.examples.same_stamp import SameStamp
from lsm_perception.examples.scale_gate import ScaleGate
from lsm_perception.qos import input_qos, output_qos
from lsm_perception.settings import setting
from lsm_perception.symptoms import Symptom, see

SET = ("segmentation/label", "depth/image", "depth/camera_info")
# As map_server publishes its maps, and as Nav2's filters subscribe to masks.
MASK_QOS = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)
MOST_CELLS = 2000  # along a side of a mask: 44 MB of votes, messages of 4 MB
SET_QOS = QoSProfile(depth=5, reliability=ReliabilityPolicy.RELIABLE)


@dataclass(frozen=True)
class MaskParameters:
    """Parameters of `label_mask`."""

    keepout: str = setting("", "Words whose ground is closed, such as `rug, cable, person`; empty for no mask.")
    slow: str = setting("", "Words on whose ground the robot is slow; empty for no mask.")
    slow_percent: int = setting(30, "Speed there, percent of the largest.", low=1, high=99)
    perception: str = setting("lsm_perception", "The perception node's name.")
    frame: str = setting("odom", "Frame of the masks: z up, connected to the camera by tf.")
    ground_m: float = setting(0.0, "Height of the floor in that frame, metres.", low=-100, high=100)
    band_m: float = setting(0.15, "Points this near to the floor's height are floor, metres.", low=0.01, high=1)
    keepout_height_m: float = setting(
        1.8, "Points higher above the floor do not close it, metres; 0.3 for what lies on it.", low=0.05, high=10
    )
    slow_height_m: float = setting(1.8, "The same for slow ground.", low=0.05, high=10)
    max_depth_m: float = setting(5.0, "Points further from the camera are left out, metres.", low=0.2, high=50)
    resolution_m: float = setting(0.05, "Side of a cell, metres.", low=0.01, high=1)
    size_m: float = setting(12.0, "Side of the masks, which follow the camera, metres.", low=1, high=100)
    margin_m: float = setting(0.1, "Margin around what is marked, metres; filters are not inflated.", low=0, high=2)
    points: int = setting(4, "Pixels with a word that a cell needs of one image.", low=1, high=1000)
    looks: int = setting(2, "Images that must agree before a cell is marked.", low=1, high=100)
    memory_s: float = setting(
        0.0, "Cells not seen again for so long are forgotten; 0 keeps them.", low=0, high=3600
    )
    period_s: float = setting(1.0, "Shortest time between two messages of a mask, seconds.", low=0, high=60)
    tf_wait_s: float = setting(0.5, "How long an image waits for its transform, seconds.", low=0, high=10)

    def ground(self, height_m: float) -> GroundMaskConfig:
        """Return the limits of a mask of what is at most so high."""
        return GroundMaskConfig(
            resolution_m=self.resolution_m,
            size_m=self.size_m,
            ground_m=self.ground_m,
            band_m=self.band_m,
            height_m=height_m,
            points=self.points,
            looks=self.looks,
            memory_s=self.memory_s,
        )


class LabelMask(Node):
    """Puts what the perception node says of each keyframe on the ground; one thread, bounded memory."""

    def __init__(self, **options: Any) -> None:
        """Create it.

        Args:
            options: of rclpy's Node.

        Raises:
            InputError: a parameter is refused.
        """
        super().__init__("label_mask", **options)
        self.parameters = declared(self, MaskParameters())
        self._masks = self._wanted_masks()
        self._sent: dict[str, OccupancyGrid] = {}
        self._stamp_ns, self._changed = 0, False
        self._gate, self._table, self._sets = ScaleGate(), LabelTable(), SameStamp(SET)
        self._info: CameraInfo | None = None
        self._pixels: LabelledPixels | None = None
        self._bridge = CvBridge()
        self._placed = Placed(self, self.parameters.frame, self.parameters.tf_wait_s, self._look)
        self._outputs = {
            mask.topic: self.create_publisher(OccupancyGrid, mask.topic, MASK_QOS) for mask in self._masks
        }
        self._listen()
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(max(self.parameters.period_s, 0.05), self._publish, clock=steady)

    def _wanted_masks(self) -> list[Mask]:
        chosen = self.parameters
        keepout, slow = words_of("keepout", chosen.keepout), words_of("slow", chosen.slow)
        cells = chosen.size_m / chosen.resolution_m
        if cells > MOST_CELLS:
            raise refusal("size_m", f"{cells:.0f} cells a side are more than {MOST_CELLS}; raise resolution_m")
        closed, slowed = chosen.ground(chosen.keepout_height_m), chosen.ground(chosen.slow_height_m)
        masks = [
            Mask("keepout_mask", keepout, CLOSED, UNSAID, GroundMask(closed)),
            Mask("speed_mask", slow, chosen.slow_percent, NO_LIMIT, GroundMask(slowed)),
        ]
        if not keepout and not slow:
            line = "Neither keepout nor slow names a word: no mask will be published."
            self.get_logger().warning(see(line, Symptom.PLANNER))
        return [mask for mask in masks if mask.words]

    def _listen(self) -> None:
        def hear(kind: type, name: str, callback: Callable[[Any], None], qos: QoSProfile) -> None:
            self.create_subscription(kind, name, guarded(self, callback), qos)

        node = self.parameters.perception
        hear(Scale, f"{node}/scale", self._on_scale, output_qos("scale"))
        hear(LabelInfo, f"{node}/segmentation/label_info", self._on_words, output_qos("segmentation/label_info"))
        hear(CameraInfo, "camera_info", self._on_camera, input_qos("camera_info"))
        for topic in SET:
            kind = CameraInfo if topic.endswith("info") else Image
            hear(kind, f"{node}/{topic}", partial(self._on_part, topic), SET_QOS)

    def _on_scale(self, message: Scale) -> None:
        if self._gate.hear(message):
            self.get_logger().info(f"Scale epoch {message.epoch}: the masks start anew.")
            self._sets.clear()
            self._placed.clear()
            for mask in self._masks:
                mask.ground.clear()
            self._changed = self._stamp_ns > 0
            self._publish()

    def _on_words(self, message: LabelInfo) -> None:
        texts = {entry.class_id: entry.class_name for entry in message.class_map}
        self._table.hear(texts, stamp_to_ns(message.header.stamp))
        for mask in self._masks:
            unknown = self._table.unknown(mask.words)
            if unknown:
                line = (
                    f"{mask.topic}: the perception node is not asked for {', '.join(unknown)}. Add them to its "
                    "parameter queries.texts, or call its service set_queries."
                )
                self.get_logger().warning(see(line, Symptom.PLANNER))

    def _on_camera(self, message: CameraInfo) -> None:
        self._info = message

    def _on_part(self, topic: str, message: Any) -> None:
        stamp_ns = stamp_to_ns(message.header.stamp)
        if topic == "segmentation/label" and not self._table.usable(stamp_ns):
            return
        found = self._sets.put(topic, stamp_ns, message)
        if found is None:
            return
        complaint = self._gate.complaint(stamp_ns)
        if complaint is not None:
            self.get_logger().info(f"A depth image is not used: {complaint}.", throttle_duration_sec=QUIET_S)
            return
        calibration = self._calibration(found["segmentation/label"])
        if calibration is not None:
            points, labels = self._points(found, calibration)
            chosen = [np.isin(labels, list(self._table.labels(mask.words))) for mask in self._masks]
            self._placed.put((stamp_ns, points, chosen), message.header.frame_id, stamp_ns)

    def _calibration(self, label: Image) -> Calibration | None:
        """Return the camera's calibration, None with a line in the log."""
        complaint = "nothing was heard on camera_info"
        if self._info is not None:
            try:
                calibration = calibration_from_info(self._info, label.width, label.height)
                if calibration is not None:
                    return calibration
                complaint = "camera_info says that the camera is not calibrated"
            except (BadMessageError, UnusableInfoError) as error:
                complaint = str(error)
        line = f"A label image is not used: {complaint}"
        self.get_logger().warning(see(line, Symptom.PLANNER), throttle_duration_sec=QUIET_S)
        return None

    def _points(
        self, found: dict[str, Any], calibration: Calibration
    ) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Return points [N, 3] in the camera's frame and their labels [N]."""
        label, depth = (np.asarray(self._bridge.imgmsg_to_cv2(found[topic])) for topic in SET[:2])
        K_depth = np.asarray(found["depth/camera_info"].k, np.float64).reshape(3, 3)
        if self._pixels is None or not self._pixels.fits(calibration, K_depth, depth.shape):
            self._pixels = LabelledPixels(calibration, K_depth, depth.shape)
        return self._pixels.points(label, depth, self.parameters.max_depth_m)

    def _look(self, item: tuple[int, NDArray[np.float32], list[NDArray[np.bool_]]], T_frame_cam: Matrix) -> None:
        stamp_ns, points, chosen = item
        placed = points @ T_frame_cam[:3, :3].T.astype(np.float32) + T_frame_cam[:3, 3]
        for mask, with_word in zip(self._masks, chosen, strict=True):
            mask.ground.look(placed, with_word, (float(T_frame_cam[0, 3]), float(T_frame_cam[1, 3])), stamp_ns)
        self._stamp_ns, self._changed = stamp_ns, True

    def _publish(self) -> None:
        """Publish each mask that marks other cells than the last one published."""
        if not self._changed:
            return
        self._changed = False
        for mask in self._masks:
            message = mask.message(self.parameters.frame, self._stamp_ns, self.parameters.margin_m)
            if not same_cells(self._sent.get(mask.topic), message):
                self._sent[mask.topic] = message
                self._outputs[mask.topic].publish(message)


def main(words: list[str] | None = None) -> int:
    """Run the example until it is told to stop."""
    from lsm_perception.examples.process import run

    return run("label_mask", lambda: LabelMask, sys.argv[1:] if words is None else words)


if __name__ == "__main__":
    sys.exit(main())
