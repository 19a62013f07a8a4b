"""From products to topics, in an order that lets a listener place each message: scale, tf, then what uses them."""

from __future__ import annotations

import threading

import numpy as np
from lsm_perception_msgs.msg import Keyframe as KeyframeMessage
from rclpy.node import Node
from std_msgs.msg import Header

from lsm_core.mapping import KeyframeDecision, PointCloud, ScaleEstimate
from lsm_core.mapping.clouds import reliable_pixels
from lsm_perception.cloud_outputs import CloudOutputs
from lsm_perception.conversions.camera_info import info_message
from lsm_perception.conversions.images import image_message
from lsm_perception.conversions.poses import pose_from_wxyz
from lsm_perception.conversions.reports import (
    header,
    keyframe_message,
    pair_pose_message,
    path_message,
    relative_pose_message,
    scale_message,
)
from lsm_perception.detection_outputs import DetectionOutputs
from lsm_perception.frames import FrameNames
from lsm_perception.mapper import Mapper
from lsm_perception.marker_outputs import MarkerOutputs
from lsm_perception.mask_outputs import MaskOutputs
from lsm_perception.parameters import NodeParameters
from lsm_perception.products import Keyframe, PairReport, Products
from lsm_perception.publishers import Publishers
from lsm_perception.segmentation import StandingQueries
from lsm_perception.source_image import SourceImage
from lsm_perception.tf_publisher import FramePublisher
from lsm_perception.units import is_metric, metres, scaled_covariance, scaled_pose

LOADED = "loaded"  # reason of a keyframe that came with a map
SEGMENTED = (
    "segmentation/label",
    "segmentation/score",
    "segmentation/overlay",
    "points",
    "map_points",
    "detections",
    "markers",
)


class Outputs:
    """Everything one camera publishes; each call is atomic."""

    def __init__(
        self,
        node: Node,
        publishers: Publishers,
        names: FrameNames,
        mapper: Mapper,
        parameters: NodeParameters,
        markers: MarkerOutputs,
    ) -> None:
        self._publishers = publishers
        self._names = names
        self._mapper = mapper
        self._parameters = parameters
        self._markers = markers
        self._lock = threading.RLock()
        self._frames = FramePublisher(node, names)
        self._clouds = CloudOutputs(publishers, names, mapper, parameters)
        self._masks = MaskOutputs(publishers)
        self._detections = DetectionOutputs(publishers, parameters)
        self._last_scale: ScaleEstimate | None = None
        self._source = Header()

    def configure(self, parameters: NodeParameters) -> None:
        """Take new limits."""
        with self._lock:
            self._parameters = parameters
            self._clouds.configure(parameters)
            self._detections.configure(parameters)

    def destroy(self) -> None:
        """Take away what is not one of the node's own publishers."""
        with self._lock:
            self._frames.destroy()

    def wants_segmentation(self) -> bool:
        """Whether anybody listens to what needs the standing queries."""
        return self._publishers.wants(*SEGMENTED)

    def prepare(self, keyframe: Keyframe, scale: ScaleEstimate) -> None:
        """Make what will be published of a keyframe and does not need its words; only the worker calls this."""
        self._clouds.prepare(keyframe, scale)

    def publish(self, products: Products) -> None:
        """Publish all that one keyframe gives, to those who listen."""
        with self._lock:
            if products.generation != self._mapper.generation:
                return  # the map was reset after the worker looked: what was said since must stay said
            keyframe = products.keyframe
            self._source = header(keyframe.stamp_ns, keyframe.frame_id)
            if products.cleared:
                self._clouds.clear(self._source)
            rescaled = self._publish_scale(products.scale, keyframe.camera)
            self._frames.publish(products, self._parameters.publish_tf, self._parameters.attach_to_odom)
            self._clouds.publish_points(products)  # what a planner waits for comes first, what takes time last
            self._publish_keyframe(products)
            if products.pair is not None:
                self._publish_pair(products.pair, products.scale)
            if products.other_pair is not None:
                self._publish_pair(products.other_pair, products.scale, alone=False)
            self._publish_depth(products)
            self._masks.publish(products)
            self._detections.publish(products)
            self._publish_path(products)
            if rescaled or keyframe.T_map_cam is not None:
                self._publish_markers()
            self._clouds.publish_gaussians(products)
            self.refresh()

    def publish_refused(self, image: SourceImage, reason: str, decision: KeyframeDecision | None) -> None:
        """Publish on ~/keyframes that an image was not kept, and why."""
        if self._publishers.wants("keyframes"):
            message = keyframe_message(
                header(image.stamp_ns, image.frame_id),
                image.camera,
                0,
                KeyframeMessage.REJECTED,
                reason,
                decision,
            )
            self._publishers.publish("keyframes", message)

    def publish_label_info(self, queries: StandingQueries) -> None:
        """Publish the latched table of labels."""
        self._masks.publish_label_info(queries, self._source)

    def publish_scale(self, scale: ScaleEstimate, camera: str) -> None:
        """Publish the scale, changed or not (at start, after a reset)."""
        with self._lock:
            self._last_scale = None
            self._publish_scale(scale, camera)

    def refresh(self) -> None:
        """Serve late listeners of latched products that are made on demand."""
        with self._lock:
            scale, keyframes = self._mapper.snapshot(self._parameters.map.keyframes)
            # The map may be ahead of what was published: its scale must be said first.
            if self._last_scale is not None and not scale_changed(self._last_scale, scale):
                self._clouds.publish_map(scale, keyframes)

    def publish_loaded(self, camera: str, segment: int, generation: int, points: PointCloud) -> None:
        """Publish a map that was loaded: scale, keyframes, path, and its points to who listens, now or later.

        Args:
            camera: whose map it is.
            segment, generation: that `Mapper.load` gave it; nothing is published once they are not in force.
            points: in the map's frame and unit.
        """
        with self._lock:
            contents = self._mapper.contents()
            if generation != self._mapper.generation or contents.segment != segment:
                return
            for keyframe in contents.keyframes:
                self._source = header(keyframe.stamp_ns, keyframe.frame_id)
                message = keyframe_message(self._source, camera, keyframe.id, KeyframeMessage.ADDED, LOADED, None)
                self._publishers.publish("keyframes", message)
            self.publish_scale(contents.scale, camera)
            self._publish_poses(contents.scale)
            self._publish_markers()
            self._clouds.show_loaded(points, self._source)
            self.refresh()

    def map_cloud(self) -> PointCloud:
        """Return what ~/map_points shows, in the map's frame and the segment's unit."""
        with self._lock:
            return self._clouds.map_cloud(*self._mapper.snapshot(self._parameters.map.keyframes))

    def clear(self, removed: tuple[Keyframe, ...]) -> None:
        """Take back what was published: an empty map and path, and the keyframes that are gone."""
        with self._lock:
            self._frames.clear()
            self._detections.clear()
            self._clouds.clear(self._source)
            frame = self._names.unscaled.map
            self._publishers.publish("path", path_message(Header(stamp=self._source.stamp, frame_id=frame), []))
            self._markers.clear(self._source)
            self._publish_removed(removed, KeyframeMessage.REASON_RESET)

    def publish_removed(self, removed: tuple[Keyframe, ...]) -> None:
        """Publish on ~/keyframes that keyframes are not kept any more, to make room."""
        with self._lock:
            self._publish_removed(removed, KeyframeMessage.REASON_WINDOW)

    def _publish_scale(self, scale: ScaleEstimate, camera: str) -> bool:
        """Publish the scale where it has changed, and return whether it has."""
        changed = self._last_scale is None or scale_changed(self._last_scale, scale)
        if changed:
            self._publishers.publish("scale", scale_message(scale, camera, self._source))
            self._last_scale = scale
        return changed

    def _publish_keyframe(self, products: Products) -> None:
        if self._publishers.wants("keyframes"):
            action = KeyframeMessage.REFRESHED if products.refreshed else KeyframeMessage.ADDED
            keyframe = products.keyframe
            message = keyframe_message(
                self._source,
                keyframe.camera,
                keyframe.id,
                action,
                products.decision.reason.value,
                products.decision,
            )
            self._publishers.publish("keyframes", message)
        self._publish_removed(products.removed, KeyframeMessage.REASON_WINDOW)

    def _publish_removed(self, removed: tuple[Keyframe, ...], reason: str) -> None:
        if not self._publishers.wants("keyframes"):
            return
        for keyframe in removed:
            source = header(keyframe.stamp_ns, keyframe.frame_id)
            self._publishers.publish(
                "keyframes",
                keyframe_message(source, keyframe.camera, keyframe.id, KeyframeMessage.REMOVED, reason, None),
            )

    def _publish_pair(self, pair: PairReport, scale: ScaleEstimate, alone: bool = True) -> None:
        """Publish the report on a pair; one that does not stand alone is not what the frames on /tf show."""
        if not self._publishers.wants("pair_pose", "relative_pose"):
            return
        metric = is_metric(scale) and pair.accepted
        factor = metres(scale) if metric else 1.0
        tree = self._names.tree(metric)
        own = metric and not alone
        message = pair_pose_message(
            pair,
            scaled_pose(pair.T_older_newer, factor),
            scaled_covariance(pair.covariance, factor),
            pair.older.frame_id if own else tree.keyframe,
            pair.newer.frame_id if own else tree.camera,
            metric,
            scale.epoch,
        )
        self._publishers.publish("pair_pose", message)
        if pair.accepted and alone:
            self._publishers.publish("relative_pose", relative_pose_message(message))

    def _publish_depth(self, products: Products) -> None:
        """Publish depth on the model's grid with its own camera_info; in metres or not at all."""
        prediction = products.keyframe.prediction
        wanted = self._publishers.wants("depth/image", "depth/camera_info")
        if not wanted or not is_metric(products.scale) or products.keyframe.T_map_cam is None or prediction is None:
            return
        depth = prediction.depth(0).detach().cpu().float().numpy()
        confidence = prediction.confidence[0].detach().cpu().float().numpy()
        keep = reliable_pixels(depth, confidence, self._parameters.points.config())
        depth = np.where(keep, depth * metres(products.scale), np.nan).astype(np.float32)
        height, width = depth.shape
        K = prediction.intrinsics[0].detach().cpu().numpy()
        self._publishers.publish("depth/camera_info", info_message(K, width, height, self._source))
        self._publishers.publish("depth/image", image_message(depth, "32FC1", self._source))

    def _publish_path(self, products: Products) -> None:
        if products.keyframe.T_map_cam is not None and self._publishers.wants("path"):
            self._publish_poses(products.scale)

    def _publish_poses(self, scale: ScaleEstimate) -> None:
        metric, factor = is_metric(scale), metres(scale)
        stamps, positions, quaternions = self._mapper.path()
        last = slice(max(0, len(stamps) - self._parameters.map.max_path), None)
        poses = [
            (int(t), pose_from_wxyz(factor * p, q))
            for t, p, q in zip(stamps[last], positions[last], quaternions[last], strict=True)
        ]
        source = Header(stamp=self._source.stamp, frame_id=self._names.tree(metric).map)
        self._publishers.publish("path", path_message(source, poses))

    def _publish_markers(self) -> None:
        if not self._markers.wanted():
            return
        contents = self._mapper.contents()
        # The map may be ahead of what was published: what has made it so is published next, with its markers.
        if self._last_scale is not None and not scale_changed(self._last_scale, contents.scale):
            limit = self._parameters.map.max_path
            self._markers.publish(contents, self._detections.things, self._source, limit)


def scale_changed(old: ScaleEstimate, new: ScaleEstimate) -> bool:
    """Whether listeners of the latched scale must be told: any field but the stamp differs."""
    same = (old.state, old.source, old.epoch, old.samples) == (new.state, new.source, new.epoch, new.samples)
    figures = ((old.metres_per_unit, new.metres_per_unit), (old.spread, new.spread))
    return not same or any(a != b and not (np.isnan(a) and np.isnan(b)) for a, b in figures)
