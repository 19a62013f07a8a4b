"""Everything between configure and cleanup: backend, worker, cameras, publishers. The lifecycle node drives it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import numpy as np
from nav_msgs.msg import Odometry
from rclpy.duration import Duration
from rclpy.node import Node
from tf2_ros import Buffer, TransformListener

from lsm_core.errors import LsmError
from lsm_core.mapping import KeyframeDecision
from lsm_perception import garbage
from lsm_perception.accounting import Account, Drop
from lsm_perception.camera_context import CameraContext, Shared, make_context
from lsm_perception.camera_stream import StreamHooks
from lsm_perception.capture import CaptureWaiter
from lsm_perception.device_memory import give_back_memory
from lsm_perception.device_watch import DeviceWatch, one_line
from lsm_perception.graph import Graph
from lsm_perception.guarded_backend import GuardedBackend
from lsm_perception.input_watch import InputWatch
from lsm_perception.keyframe_ids import KeyframeIds
from lsm_perception.listener import Listener
from lsm_perception.marker_outputs import MarkerBoard
from lsm_perception.models import Models
from lsm_perception.odometry import OdometrySource
from lsm_perception.pair_poses import PairPoses
from lsm_perception.parameters import NodeParameters
from lsm_perception.problems import Problems
from lsm_perception.products import Candidate, Products
from lsm_perception.publishers import Publishers
from lsm_perception.rig import Rig, rig_cameras
from lsm_perception.segmentation import Segmenter, StandingQueries, make_queries
from lsm_perception.source_image import SourceImage
from lsm_perception.statistics_reply import StatisticsReply
from lsm_perception.symptoms import Symptom, see
from lsm_perception.time_watch import TimeWatch
from lsm_perception.timings import Timings
from lsm_perception.topic_events import TopicEvents
from lsm_perception.worker import Job, Worker

logger = logging.getLogger(__name__)

TF_CACHE_S = 30.0


class Runtime:
    """The working parts of the node."""

    def __init__(
        self,
        node: Node,
        parameters: NodeParameters,
        models: Models,
        on_lost: Callable[[str], None],
    ) -> None:
        """Build every part; nothing runs before `start`.

        Args:
            node: for publishers, subscriptions, clock and log.
            parameters: in force.
            models: the model, and what finds poses for it; closed by `close`.
            on_lost: told once, in any thread, when the device will not work any more.

        Raises:
            UnsupportedError: a combination of parameters this version does not have.
        """
        self._node = node
        self.parameters = parameters
        self.device = DeviceWatch(self._free_memory, on_lost)
        self.backend = backend = GuardedBackend(models.backend, self.device)
        self._estimator = None if models.estimator is None else GuardedBackend(models.estimator, self.device)
        self._poses = PairPoses(backend, self._estimator)
        self.active = False
        self.timings = Timings()
        self.account = Account()
        self.captures = CaptureWaiter()
        self.ids = KeyframeIds()
        self.problems = Problems(node.get_logger().warning)
        self.graph = Graph(node)
        self.events = TopicEvents(self.graph, self.problems.note)
        self.clock = TimeWatch(node, self._clock_jumped)
        self.inputs = InputWatch(self.graph, node.get_logger().warning, node.get_logger().info)
        self.publishers = Publishers(node, self.events, self._serve)
        self.segmenter = Segmenter(backend, initial_queries(parameters))
        self.buffer = Buffer(cache_time=Duration(seconds=TF_CACHE_S))
        self.odometry = OdometrySource(self.buffer, parameters.odom_frame, parameters.odometry)
        self.worker: Worker[Candidate] = Worker(self._process, "lsm_inference", self._on_drop)
        try:
            self.cameras = self._make_cameras(parameters)
        except LsmError:
            self.publishers.destroy()
            raise
        self.statistics = StatisticsReply(
            self.account, [c.pipeline for c in self.cameras.values()], self.timings, backend, self.events
        )
        self._listener: TransformListener | None = None
        self.odometry_listener: Listener | None = None
        self.last_output_s = float("-inf")

    def warm_up(self) -> None:
        """Run the model once on a pattern, and ask it the standing queries, so the first keyframe is not slow."""
        pattern = np.random.default_rng(0).integers(0, 255, (96, 128, 3), dtype=np.uint8)
        image = np.ascontiguousarray(pattern.repeat(4, axis=0).repeat(4, axis=1))
        K = np.array([[400.0, 0, 255.5], [0, 400.0, 191.5], [0, 0, 1]]) if self.backend.needs_intrinsics else None
        encoded = self.backend.encode(image, K)
        poses = [np.eye(4), np.eye(4)] if self.backend.needs_poses else None
        prediction = self.backend.predict([encoded, encoded], poses=poses)
        if self.backend.has_language:
            self.backend.query(prediction, list(self.segmenter.queries.texts) or ["floor"])
        garbage.freeze()

    def start(self) -> None:
        """Start the worker and listen."""
        self.worker.start()
        if self.parameters.odometry.source != "none" or self.parameters.pairing == "rig":
            self._listener = TransformListener(self.buffer, self._node)
        if self.parameters.odometry.source in ("auto", "topic"):
            self.odometry_listener = Listener(self._node, "odom", Odometry, "odom", self.odometry.add, self.events)
        for context in self.cameras.values():
            context.subscribe(self._node, self.events)
            context.outputs.publish_scale(context.mapper.scale, context.camera)
            context.outputs.publish_label_info(self.segmenter.queries)
        self.clock.start(self.parameters.input.jump_back_s)
        self.active = True

    def stop(self, timeout_s: float) -> bool:
        """Stop listening and working; False when the inference in work did not end in time."""
        self.active = False
        self.clock.stop()
        self.captures.give_up()
        self.inputs.forget()
        for context in self.cameras.values():
            context.unsubscribe()
        if self._listener is not None:
            self._listener.unregister()
            self._listener = None
        if self.odometry_listener is not None:
            self.odometry_listener.destroy()
            self.odometry_listener = None
        return self.worker.stop(timeout_s)

    def close(self) -> None:
        """Give everything back: publishers and the model's memory; an inference still in work keeps its model."""
        garbage.thaw()
        for context in self.cameras.values():
            context.outputs.destroy()
        self.publishers.destroy()
        if not self.worker.alive:
            self.backend.close()
            if self._estimator is not None:
                self._estimator.close()

    def configure(self, parameters: NodeParameters) -> None:
        """Hand changed parameters to every part."""
        self.odometry.configure(parameters.odometry)
        for context in self.cameras.values():
            context.configure(parameters)
        if parameters.queries != self.parameters.queries:
            self.set_queries(initial_queries(parameters))
        self.parameters = parameters

    def set_queries(self, queries: StandingQueries) -> None:
        """Replace the standing queries; their embeddings are made here, not in the worker."""
        if queries.texts and self.backend.has_language:
            self.backend.encode_texts(list(queries.texts))
        self.segmenter.set_queries(queries)
        for context in self.cameras.values():
            context.outputs.publish_label_info(queries)

    def reset(self) -> int:
        """Forget keyframes, trajectories, maps and scale of all cameras; return the epoch from now on."""
        self.odometry.reset()
        for context in self.cameras.values():
            context.reset(self.worker)
        return max(context.mapper.scale.epoch for context in self.cameras.values())

    def waits_for_clock(self) -> bool:
        """Whether the node's clock is a simulation's that has not begun."""
        simulated = bool(self._node.get_parameter("use_sim_time").value)
        return simulated and self._node.get_clock().now().nanoseconds == 0

    def refresh(self) -> None:
        """Publish what is made on demand, where it has changed and somebody listens."""
        for context in self.cameras.values():
            context.outputs.refresh()

    def _make_cameras(self, parameters: NodeParameters) -> dict[str, CameraContext]:
        shared = Shared(
            self._node,
            self.backend,
            self.publishers,
            self.segmenter,
            self.odometry,
            self.account,
            self.timings,
            self.worker,
            self.ids,
            MarkerBoard(self.publishers),
            self._poses,
        )
        names = list(dict.fromkeys(parameters.cameras or ("",)))
        if parameters.pairing == "rig":
            primary, second = rig_cameras(names)
            rig = self._make_rig(second, parameters, self._hooks(primary))
            return {
                primary: make_context(primary, parameters, shared, self._on_products, self._hooks(primary), rig)
            }
        return {
            camera: make_context(camera, parameters, shared, self._on_products, self._hooks(camera))
            for camera in names
        }

    def _make_rig(self, second: str, parameters: NodeParameters, hooks: StreamHooks) -> Rig:
        clock = self._node.get_clock()
        return Rig(second, parameters, self.backend, self.buffer, self.account, self.timings, hooks, clock)

    def _hooks(self, camera: str) -> StreamHooks:
        def reset(reason: str) -> None:
            # Through logging: a driver that changes with every image must not flood the log.
            line = f"Starting anew{' for ' + camera if camera else ''}: {reason}."
            logger.warning(see(line, Symptom.STARTING_ANEW))
            self.cameras[camera].reset(self.worker)

        def jumped() -> None:
            if self.clock.is_new():
                self._start_anew("time jumped back, as the images' stamps tell")
            else:  # the clock told of it already; this camera had images on their way
                self.cameras[camera].reset(self.worker)

        def refused(image: SourceImage, reason: str, decision: KeyframeDecision | None) -> None:
            self.cameras[camera].outputs.publish_refused(image, reason, decision)

        return StreamHooks(reset, jumped, refused, self.problems.note)

    def _start_anew(self, reason: str, clock_ns: Callable[[], int] | None = None) -> None:
        """Forget all that belongs to a time before a jump: transforms, odometry, depth, masks, keyframes, maps."""
        logger.warning(see("Starting anew: %s.", Symptom.STARTING_ANEW), reason)
        self.odometry.reset()
        for context in self.cameras.values():
            context.reset(self.worker, clock_ns)

    def _clock_jumped(self, reason: str) -> None:
        self._start_anew(reason, lambda: self._node.get_clock().now().nanoseconds)

    def _process(self, job: Job[Candidate], is_current: object) -> None:
        self.timings.add("wait", (time.monotonic() - job.payload.image.received_s) * 1e3)
        pipeline = self.cameras[job.camera].pipeline
        try:
            pipeline.process(job, is_current)  # type: ignore[arg-type]
        except Exception as error:
            if not self.device.notice(error):
                raise
            pipeline.give_up(job, one_line(error))

    def _on_drop(self, camera: str, candidate: Candidate, reason: Drop) -> None:
        self.cameras[camera].outputs.publish_refused(candidate.image, reason, candidate.decision)

    def _free_memory(self, reason: str) -> str:
        """Keep half as many keyframes and give back what that frees; return what the node does without."""
        kept = [context.keep_half() for context in self.cameras.values()]
        give_back_memory()
        without = f"keeps at most {min(kept)} keyframes"
        line = f"Memory ran out: {reason}. The node {without} from now on."
        self.problems.note(see(line, Symptom.OUT_OF_MEMORY))
        return without

    def _serve(self, output: str) -> None:
        """Serve a new listener of a latched product that is made on demand at once."""
        if output == "map_points" and self.active:
            self.refresh()

    def _on_products(self, products: Products) -> None:
        self.last_output_s = time.monotonic()
        self.timings.add("total", (time.monotonic() - products.image.received_s) * 1e3)
        self.timings.add_age("latency", products.image.stamp_ns, self._node.get_clock().now().nanoseconds)
        self.captures.notice(products)


def initial_queries(parameters: NodeParameters) -> StandingQueries:
    """Return the standing queries of the parameters.

    Raises:
        QueryError: a text is malformed.
    """
    texts = [text for text in parameters.queries.texts if text.strip()]
    return make_queries(texts, [], parameters.queries.threshold)
