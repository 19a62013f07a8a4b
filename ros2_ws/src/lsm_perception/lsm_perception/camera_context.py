"""All that belongs to one camera, wired together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rclpy.node import Node

from lsm_core.backends.base import Backend
from lsm_core.mapping import PointCloud
from lsm_perception.accounting import Account
from lsm_perception.camera_stream import CameraStream, StreamHooks
from lsm_perception.floor_finder import FloorFinder
from lsm_perception.frames import FrameNames, frame_names
from lsm_perception.gate import CameraGate
from lsm_perception.keyframe_ids import KeyframeIds
from lsm_perception.map_state import MapContents
from lsm_perception.mapper import Mapper
from lsm_perception.marker_outputs import MarkerBoard, MarkerOutputs
from lsm_perception.odometry import OdometrySource
from lsm_perception.outputs import Outputs
from lsm_perception.pair_poses import PairPoses
from lsm_perception.parameters import NodeParameters
from lsm_perception.pipeline import Pipeline, Sinks
from lsm_perception.products import Candidate, Products
from lsm_perception.publishers import Publishers
from lsm_perception.rig import Rig
from lsm_perception.segmentation import Segmenter
from lsm_perception.timings import Timings
from lsm_perception.topic_events import TopicEvents
from lsm_perception.worker import Worker


@dataclass(frozen=True)
class Shared:
    """What all cameras of a node share."""

    node: Node
    backend: Backend
    publishers: Publishers
    segmenter: Segmenter
    odometry: OdometrySource
    account: Account
    timings: Timings
    worker: Worker[Candidate]
    ids: KeyframeIds
    markers: MarkerBoard
    poses: PairPoses


@dataclass(frozen=True)
class CameraContext:
    """The parts of one camera."""

    camera: str
    names: FrameNames
    gate: CameraGate
    mapper: Mapper
    outputs: Outputs
    pipeline: Pipeline
    stream: CameraStream
    rig: Rig | None = None

    @property
    def streams(self) -> list[CameraStream]:
        """The streams of its images: its own, and the second camera's of a rig."""
        return [self.stream] if self.rig is None else [self.stream, self.rig.stream]

    def subscribe(self, node: Node, events: TopicEvents) -> None:
        """Start listening."""
        if self.rig is not None:
            self.rig.subscribe(node, events)
        self.stream.subscribe(node, events)

    def unsubscribe(self) -> None:
        """Stop listening."""
        self.stream.unsubscribe()
        if self.rig is not None:
            self.rig.unsubscribe()

    def configure(self, parameters: NodeParameters) -> None:
        """Hand new parameters to every part."""
        self.stream.configure(parameters)
        self.mapper.configure(parameters)
        self.outputs.configure(parameters)
        if self.rig is not None:
            self.rig.configure(parameters)

    def keep_half(self) -> int:
        """Keep half as many keyframes from now on, and return how many that are."""
        limit, removed = self.mapper.keep_half()
        self.outputs.publish_removed(removed)
        return limit

    def reset(self, worker: Worker[Candidate], clock_ns: Callable[[], int] | None = None) -> None:
        """Forget keyframes, trajectory, map and scale; what is in work will not be published.

        Args:
            worker: where its images wait.
            clock_ns: the clock that has jumped, None when it did not.
        """
        self._drop_inputs(worker, clock_ns)
        removed = self.mapper.reset()
        self.outputs.clear(removed)
        self.outputs.publish_scale(self.mapper.scale, self.camera)

    def load(self, worker: Worker[Candidate], contents: MapContents, points: PointCloud, generation: int) -> None:
        """Replace the map by one from elsewhere and publish it; what is in work will not be published.

        Args:
            worker: where its images wait.
            contents: the map.
            points: its cloud, in the map's frame and unit.
            generation: of the present map when the request came.

        Raises:
            OutdatedError: the map was reset since.
        """
        self._drop_inputs(worker, None)
        segment, generation, removed = self.mapper.load(contents, generation)
        self.outputs.clear(removed)
        self.outputs.publish_loaded(self.camera, segment, generation, points)

    def _drop_inputs(self, worker: Worker[Candidate], clock_ns: Callable[[], int] | None) -> None:
        """Let go of images in line or in work, and of what came for them; the next one is a first one."""
        worker.reset(self.camera)
        self.gate.reset(clock_ns)
        if self.rig is not None:
            self.rig.reset(clock_ns)
        self.stream.depth.clear()
        self.stream.masks.clear()


def make_context(
    camera: str,
    parameters: NodeParameters,
    shared: Shared,
    on_products: Callable[[Products], None],
    hooks: StreamHooks,
    rig: Rig | None = None,
) -> CameraContext:
    """Wire the parts of one camera.

    Args:
        camera: its name, "" for the only one.
        parameters: in force.
        shared: what all cameras share.
        on_products: told of each keyframe after it was published.
        hooks: what the stream asks of the node; `refused` is also told of candidates the worker gave up.
        rig: the second camera, where this one is the primary of a rig.
    """
    names = frame_names(parameters.frame_prefix, camera, parameters.odom_frame)
    gate = CameraGate(parameters)
    mapper = Mapper(parameters)
    markers = MarkerOutputs(shared.markers, names, camera)
    outputs = Outputs(shared.node, shared.publishers, names, mapper, parameters, markers)

    def publish(products: Products) -> None:
        outputs.publish(products)
        on_products(products)

    def dropped(candidate: Candidate, reason: str) -> None:
        hooks.refused(candidate.image, reason, candidate.decision)

    queue = shared.worker if rig is None else rig.queue(shared.worker)
    stream = CameraStream(
        camera, parameters, shared.account, gate, queue, shared.timings, hooks, shared.node.get_clock()
    )
    sinks = Sinks(
        publish,
        outputs.wants_segmentation,
        shared.odometry.pose,
        stream.depth.at,
        stream.masks.of,
        dropped,
        hooks.problem,
        outputs.prepare,
    )
    pairer = None if rig is None else rig.pairer
    floor = FloorFinder(shared.backend) if parameters.scale.wants_floor else None
    pipeline = Pipeline(
        shared.backend,
        gate,
        mapper,
        shared.segmenter,
        shared.timings,
        sinks,
        shared.ids,
        pairer,
        floor,
        shared.poses,
    )
    return CameraContext(camera, names, gate, mapper, outputs, pipeline, stream, rig)
