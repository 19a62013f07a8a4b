"""A detected thing to a goal pose: `python -m lsm_perception.examples.goal_from_detection --ros-args ...`.

Listens to `~/detections`, waits until several messages agree where the thing is, and publishes where to stand
before it on `goal_pose`, which Nav2's bt_navigator takes as a goal; see docs/planner.md.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
import tf_transformations
from geometry_msgs.msg import Point, Pose, PoseStamped, Quaternion
from lsm_perception_msgs.msg import Scale
from nav_msgs.msg import OccupancyGrid
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from std_msgs.msg import Header
from std_srvs.srv import Trigger
from vision_msgs.msg import Detection3DArray

from lsm_perception.conversions import stamp_from_ns, stamp_to_ns
from lsm_perception.conversions.poses import matrix_from_pose
from lsm_perception.examples.approach import Box, Place, places_around
from lsm_perception.examples.example_parameters import declared, words_of
from lsm_perception.examples.free_ground import FreeGround, free_ground
from lsm_perception.examples.guarded import QUIET_S, guarded
from lsm_perception.examples.placed import Matrix, Placed
from lsm_perception.examples.scale_gate import ScaleGate
from lsm_perception.examples.sightings import Agreement, Sighting
from lsm_perception.qos import output_qos
from lsm_perception.settings import setting
from lsm_perception.symptoms import Symptom, see

DETECTIONS_QOS = QoSProfile(depth=5, reliability=ReliabilityPolicy.RELIABLE)
GOAL_QOS = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)
# As Nav2 publishes its costmaps.
COSTMAP_QOS = QoSProfile(
    depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL
)


@dataclass(frozen=True)
class GoalParameters:
    """Parameters of `goal_from_detection`."""

    target: str = setting("", "Words to go to, such as `chair, sofa`; empty for anything detected.")
    min_score: float = setting(0.0, "Detections with a smaller score do not count.", low=0, high=1)
    perception: str = setting("lsm_perception", "The perception node's name.")
    frame: str = setting("odom", "Frame of the goal: z up, connected to the camera by tf (odom or map).")
    base_frame: str = setting("base_link", "The robot's own frame.")
    standoff_m: float = setting(0.6, "From the thing's box to the robot's middle, metres.", low=0, high=10)
    agree: int = setting(3, "Messages in a row that must agree.", low=1, high=100)
    agree_m: float = setting(0.3, "How far they may be apart, metres.", low=0.01, high=10)
    change_m: float = setting(0.5, "A goal is sent again when it has moved by more, metres.", low=0, high=100)
    change_deg: float = setting(30.0, "Or has turned by more, degrees.", low=0, high=180)
    max_age_s: float = setting(
        5.0, "Older detections are not used, seconds by the node's clock; 0 for any age.", low=0, high=3600
    )
    automatic: bool = setting(True, "Send goals; false: only when the service ~/send is called.")
    costmap: str = setting("", "Topic of a costmap in the same frame whose free ground is chosen; empty for none.")
    max_cost: int = setting(50, "Largest cost of a goal in that costmap.", low=0, high=98)
    tf_wait_s: float = setting(0.5, "How long detections wait for their transform, seconds.", low=0, high=10)


class GoalFromDetection(Node):
    """Follows one thing and says where to stand before it; one thread."""

    def __init__(self, **options: Any) -> None:
        """Create it.

        Args:
            options: of rclpy's Node.

        Raises:
            InputError: a parameter is refused.
        """
        super().__init__("goal_from_detection", **options)
        self.parameters = declared(self, GoalParameters())
        chosen = self.parameters
        self._words = frozenset(word.casefold() for word in words_of("target", chosen.target))
        self._gate = ScaleGate()
        self._agreement = Agreement(chosen.agree, chosen.agree_m)
        self._goal: PoseStamped | None = None
        self._sent: tuple[str, Place] | None = None
        self._due: tuple[str, Place] | None = None
        self._ground: FreeGround | None = None
        self._placed = Placed(self, chosen.frame, chosen.tf_wait_s, self._use)
        self._output = self.create_publisher(PoseStamped, "goal_pose", GOAL_QOS)
        self.create_service(Trigger, "~/send", self._on_send)
        node = chosen.perception
        self.create_subscription(Scale, f"{node}/scale", guarded(self, self._on_scale), output_qos("scale"))
        self.create_subscription(
            Detection3DArray, f"{node}/detections", guarded(self, self._on_detections), DETECTIONS_QOS
        )
        if chosen.costmap:
            self.create_subscription(OccupancyGrid, chosen.costmap, guarded(self, self._on_costmap), COSTMAP_QOS)

    def _on_scale(self, message: Scale) -> None:
        if self._gate.hear(message) or not self._gate.metric:
            self._agreement.clear()
            self._placed.clear()
            self._goal, self._due = None, None

    def _on_costmap(self, message: OccupancyGrid) -> None:
        ground = free_ground(message)
        if ground.frame != self.parameters.frame:
            line = (
                f"The costmap is in '{ground.frame}' and the goal in '{self.parameters.frame}': it is not used. "
                "Set the parameter frame to the costmap's."
            )
            self.get_logger().warning(see(line, Symptom.PLANNER), throttle_duration_sec=QUIET_S)
            return
        self._ground = ground

    def _on_detections(self, message: Detection3DArray) -> None:
        stamp_ns = stamp_to_ns(message.header.stamp)
        age_s = (self.get_clock().now().nanoseconds - stamp_ns) / 1e9
        complaint = self._gate.complaint(stamp_ns)
        if complaint is None and 0 < self.parameters.max_age_s < age_s:
            complaint = f"they are {age_s:.1f} s old by this node's clock (max_age_s, use_sim_time)"
        if complaint is None:
            self._placed.put(message, message.header.frame_id, stamp_ns)
        else:
            self.get_logger().info(f"Detections are not used: {complaint}.", throttle_duration_sec=QUIET_S)

    def _use(self, message: Detection3DArray, T_frame_cam: Matrix) -> None:
        stamp_ns = stamp_to_ns(message.header.stamp)
        found = self._agreement.see(self._sightings(message, T_frame_cam), stamp_ns)
        if found is None:
            self._goal, self._due = None, None
            return
        T_frame_base = self._placed.pose_of(self.parameters.base_frame, stamp_ns)
        if T_frame_base is None:
            line = (
                f"tf does not know '{self.parameters.base_frame}' in '{self.parameters.frame}' at the image's time."
            )
            self.get_logger().warning(see(line, Symptom.PLANNER), throttle_duration_sec=QUIET_S)
            return
        place = self._choose(found.box, (float(T_frame_base[0, 3]), float(T_frame_base[1, 3])))
        if place is None:
            line = f"There is no free ground around the {found.word}."
            self.get_logger().warning(see(line, Symptom.PLANNER), throttle_duration_sec=QUIET_S)
            return
        self._goal = goal_message(place, self.parameters.frame, stamp_ns)
        self._due = (found.word, place)
        if self.parameters.automatic and self._is_news(*self._due):
            self._send()

    def _sightings(self, message: Detection3DArray, T_frame_cam: Matrix) -> list[Sighting]:
        """Return the detections that come into question, in the goal's frame."""
        out = []
        for detection in message.detections:
            for result in detection.results[:1]:
                word, score = result.hypothesis.class_id, float(result.hypothesis.score)
                if score < self.parameters.min_score or (self._words and word.casefold() not in self._words):
                    continue
                size = (detection.bbox.size.x, detection.bbox.size.y, detection.bbox.size.z)
                if np.isfinite(size).all():
                    box = Box(T_frame_cam @ matrix_from_pose(detection.bbox.center), size)
                    out.append(Sighting(detection.id, word, score, box))
        return out

    def _choose(self, box: Box, robot_xy: tuple[float, float]) -> Place | None:
        for place in places_around(box, robot_xy, self.parameters.standoff_m):
            if not self.parameters.costmap:
                return place
            if self._ground is not None and self._ground.allows(place.x, place.y, self.parameters.max_cost):
                return place
        return None

    def _is_news(self, word: str, place: Place) -> bool:
        if self._sent is None or self._sent[0] != word:
            return True
        return place.differs(self._sent[1], self.parameters.change_m, self.parameters.change_deg)

    def _send(self) -> bool:
        """Publish the goal, unless nobody would hear it."""
        assert self._goal is not None and self._due is not None
        if not self._output.get_subscription_count():
            line = f"Nobody listens to {self._output.topic_name}: the goal waits."
            self.get_logger().warning(see(line, Symptom.PLANNER), throttle_duration_sec=QUIET_S)
            return False
        self._output.publish(self._goal)
        word, place = self._sent = self._due
        self.get_logger().info(
            f"Goal before the {word}: x {place.x:.2f}, y {place.y:.2f} m, {np.degrees(place.yaw):.0f} degrees."
        )
        return True

    def _on_send(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        if self._goal is None:
            response.message = "There is no goal yet: no detections agree, or the scale is not METRIC."
            return response
        response.success = self._send()
        response.message = "Sent." if response.success else f"Nobody listens to {self._output.topic_name}."
        return response


def goal_message(place: Place, frame: str, stamp_ns: int) -> PoseStamped:
    """Return a place on the ground as a goal, with the stamp of the image that showed the thing."""
    x, y, z, w = (float(v) for v in tf_transformations.quaternion_from_euler(0.0, 0.0, place.yaw))
    return PoseStamped(
        header=Header(stamp=stamp_from_ns(stamp_ns), frame_id=frame),
        pose=Pose(position=Point(x=place.x, y=place.y, z=0.0), orientation=Quaternion(x=x, y=y, z=z, w=w)),
    )


def main(words: list[str] | None = None) -> int:
    """Run the example until it is told to stop."""
    from lsm_perception.examples.process import run

    return run("goal_from_detection", lambda: GoalFromDetection, sys.argv[1:] if words is None else words)


if __name__ == "__main__":
    sys.exit(main())
