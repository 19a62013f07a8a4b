"""The demo's own ROS node: hears the outputs, asks the services."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from cv_bridge import CvBridge
from lsm_perception_msgs.msg import Keyframe, PairPose, ResultCode, Scale
from lsm_perception_msgs.srv import QueryText, SetQueries, Stats
from rclpy.node import Node
from rclpy.task import Future
from tf2_msgs.msg import TFMessage

from lsm_core.evaluation.odometry_check import TimedPair
from lsm_perception.conversions import stamp_to_ns
from lsm_perception.conversions.poses import matrix_from_pose
from lsm_perception.demo.recording import (
    CloudRecord,
    PairRecord,
    PathRecord,
    QueryReply,
    Recording,
    ScaleRecord,
    StatsRecord,
)
from lsm_perception.publishers import TYPES
from lsm_perception.qos import output_qos

NODE = "/lsm_perception"
SCALE_STATES = {Scale.UNKNOWN: "unknown", Scale.METRIC: "metric", Scale.DEGRADED: "degraded"}
ACTIONS = {
    Keyframe.ADDED: "added",
    Keyframe.REFRESHED: "refreshed",
    Keyframe.REMOVED: "removed",
    Keyframe.REJECTED: "rejected",
}
KEPT_DEPTHS = 40
DEPTH = 20  # of the subscriptions' queues, so that a busy moment loses nothing


class Listener(Node):
    """Subscribes what the demo keeps; callbacks only store."""

    def __init__(self, recording: Recording) -> None:
        super().__init__("lsm_demo")
        self._recording = recording
        self._bridge = CvBridge()
        handlers: dict[str, Callable[[Any], None]] = {
            "keyframes": self._on_keyframe,
            "pair_pose": self._on_pair,
            "scale": self._on_scale,
            "points": self._on_points,
            "gaussians": self._on_gaussians,
            "path": self._on_path,
            "depth/image": self._on_depth,
            "segmentation/label": self._on_label,
            "segmentation/label_info": self._on_label_info,
        }
        for name, handler in handlers.items():
            self._listen(name, handler)
        self.create_subscription(TFMessage, "/tf", self._on_tf, 100)
        self.set_queries = self.create_client(SetQueries, f"{NODE}/set_queries")
        self.query_text = self.create_client(QueryText, f"{NODE}/query_text")
        self.stats = self.create_client(Stats, f"{NODE}/stats")

    def ask_stats(self) -> Future:
        """Ask for the counters; the recording has them when the future is done."""
        future = self.stats.call_async(Stats.Request())
        future.add_done_callback(self._on_stats)
        return future

    def ask_query(self, texts: tuple[str, ...], timeout_s: float = 20.0) -> Future:
        """Ask for words on the newest keyframe; the recording has the answer when the future is done."""
        request = QueryText.Request(texts=list(texts), target=QueryText.Request.LATEST)
        request.timeout.sec = int(timeout_s)
        future = self.query_text.call_async(request)
        asked = time.monotonic()
        future.add_done_callback(lambda done: self._on_reply(done, texts, asked))
        return future

    def listen_to_map(self) -> None:
        """Subscribe the latched map. Late, because the node makes it for whoever listens, and that costs."""
        self._listen("map_points", self._on_map)

    def _listen(self, name: str, handler: Callable[[Any], None]) -> None:
        qos = output_qos(name)
        qos.depth = DEPTH
        self.create_subscription(TYPES[name], f"{NODE}/{name}", self._counted(name, handler), qos)

    def _counted(self, name: str, handler: Callable[[Any], None]) -> Callable[[Any], None]:
        def count_and_handle(message: Any) -> None:
            with self._recording.lock:
                self._recording.counts[name] += 1
                try:
                    handler(message)
                except Exception as error:  # the executor's thread must live; the session reports it
                    self._recording.faults.append(f"{name}: {type(error).__name__}: {error}")

        return count_and_handle

    def _on_keyframe(self, message: Keyframe) -> None:
        self._recording.keyframes[ACTIONS.get(message.action, "unknown")] += 1
        if message.action in (Keyframe.ADDED, Keyframe.REFRESHED):
            self._recording.keyframe_stamps.append(stamp_to_ns(message.header.stamp))

    def _on_pair(self, message: PairPose) -> None:
        # A rejected pair may have no pose at all.
        T_older_newer = matrix_from_pose(message.pose.pose) if message.accepted else np.full((4, 4), np.nan)
        older_ns, newer_ns = stamp_to_ns(message.reference_stamp), stamp_to_ns(message.header.stamp)
        timed = TimedPair(older_ns, newer_ns, T_older_newer)
        metric = message.unit == PairPose.UNIT_METRIC
        record = PairRecord(timed, message.accepted, message.reason, int(message.segment), metric)
        self._recording.pairs.append(record)

    def _on_scale(self, message: Scale) -> None:
        state = SCALE_STATES.get(message.state, "unknown")
        self._recording.scale = ScaleRecord(state, message.source, message.metres_per_unit, message.spread)

    def _on_points(self, message: Any) -> None:
        metric = not message.header.frame_id.endswith("_unscaled")
        factor = self._recording.scale.metres_per_unit if metric else 1.0
        self._recording.clouds[stamp_to_ns(message.header.stamp)] = CloudRecord(message, metric, factor)

    def _on_map(self, message: Any) -> None:
        if message.width:
            self._recording.map_message = message

    def _on_gaussians(self, message: Any) -> None:
        self._recording.gaussians = message

    def _on_path(self, message: Any) -> None:
        if not message.poses or not self._recording.accepted:
            return
        poses = {stamp_to_ns(p.header.stamp): matrix_from_pose(p.pose) for p in message.poses}
        segment = self._recording.accepted[-1].segment
        self._recording.paths[segment] = PathRecord(message.header.frame_id, poses)

    def _on_depth(self, message: Any) -> None:
        depths = self._recording.depths
        depths[stamp_to_ns(message.header.stamp)] = np.array(self._bridge.imgmsg_to_cv2(message), np.float32)
        while len(depths) > KEPT_DEPTHS:
            del depths[next(iter(depths))]

    def _on_label(self, message: Any) -> None:
        label = np.array(self._bridge.imgmsg_to_cv2(message), np.uint8)
        self._recording.labels[stamp_to_ns(message.header.stamp)] = label
        self._recording.filled_labels += int((label != 255).any())

    def _on_label_info(self, message: Any) -> None:
        named = {c.class_id: c.class_name for c in message.class_map if c.class_id != 255}
        self._recording.label_names = tuple(named[i] for i in sorted(named))

    def _on_tf(self, message: TFMessage) -> None:
        with self._recording.lock:
            for transform in message.transforms:
                if "lsm_" in transform.child_frame_id:
                    self._recording.transforms[transform.header.frame_id, transform.child_frame_id] += 1

    def _on_stats(self, done: Future) -> None:
        reply = done.result()
        if reply is None or not reply.success:
            return
        record = StatsRecord(
            delivered=reply.delivered,
            used=reply.used,
            dropped={drop.reason: drop.count for drop in reply.dropped if drop.count},
            transport_lost=reply.transport_lost,
            keyframes=reply.keyframes,
            pairs=reply.pairs,
            timings={t.stage: {"count": t.count, "p50": t.p50_ms, "p95": t.p95_ms} for t in reply.timings},
            backend=reply.backend,
            device=reply.device,
            memory_mib=reply.memory_mib,
        )
        with self._recording.lock:
            self._recording.stats = record

    def _on_reply(self, done: Future, texts: tuple[str, ...], asked: float) -> None:
        reply = done.result()
        if reply is None:
            return
        with self._recording.lock:
            if not reply.success:
                if reply.code != ResultCode.NOT_READY:
                    self._recording.refused_queries[f"{reply.code}: {reply.message}"] += 1
                return
            masks = tuple(np.array(self._bridge.imgmsg_to_cv2(mask), np.uint8) > 0 for mask in reply.masks)
            answer = QueryReply(
                stamp_to_ns(reply.header.stamp),
                texts,
                masks,
                tuple(float(p) for p in reply.presence),
                tuple(float(s) for s in reply.score),
                np.array(self._bridge.imgmsg_to_cv2(reply.label_map), np.uint8),
                1000 * (time.monotonic() - asked),
            )
            self._recording.replies.append(answer)
