"""Everything between configure and cleanup: backend, worker, cameras, publishers. The lifecycle node drives it."""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Callable

import numpy as np
from nav_msgs.msg import Odometry
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.subscription import Subscription
from tf2_ros import Buffer, TransformListener

from lsm_core.backends.base import Backend
from lsm_core.mapping import KeyframeDecision
from lsm_perception import garbage
from lsm_perception.accounting import Account, Drop
from lsm_perception.camera_context import CameraContext, Shared, make_context
from lsm_perception.camera_stream import StreamHooks
from lsm_perception.capture import CaptureWaiter
from lsm_perception.device_memory import give_back_memory
from lsm_perception.device_watch import DeviceWatch
from lsm_perception.diagnostics import Health
from lsm_perception.guarded_backend import GuardedBackend
from lsm_perception.odometry import OdometrySource
from lsm_perception.parameters import NodeParameters
from lsm_perception.pipeline import PairCounts
from lsm_perception.products import Candidate, Products
from lsm_perception.publishers import Publishers
from lsm_perception.qos import input_qos, overridable
from lsm_perception.rig import Rig, rig_cameras
from lsm_perception.segmentation import Segmenter, StandingQueries, make_queries
from lsm_perception.source_image import SourceImage
from lsm_perception.statistics_reply import StatisticsReply
from lsm_perception.timings import Timings
from lsm_perception.worker import Job, Worker

logger = logging.getLogger(__name__)

TF_CACHE_S = 30.0
PROBLEM_PERIOD_S = 5.0


class Runtime:
    """The working parts of the node."""

    def __init__(
        self, node: Node, parameters: NodeParameters, backend: Backend, on_lost: Callable[[str], None]
    ) -> None:
        """Build every part; nothing runs before `start`.

        Args:
            node: for publishers, subscriptions, clock and log.
            parameters: in force.
            backend: the model; closed by `close`.
            on_lost: told once, in any thread, when the device will not work any more.

        Raises:
            UnsupportedError: a combination of parameters this version does not have.
        """
        self._node = node
        self._parameters = parameters
        self.device = DeviceWatch(self._free_memory, on_lost)
        self.backend = backend = GuardedBackend(backend, self.device)
        self.active = False
        self.timings = Timings()
        self.account = Account()
        self.captures = CaptureWaiter()
        self.publishers = Publishers(node)
        self.segmenter = Segmenter(backend, initial_queries(parameters))
        self._buffer = Buffer(cache_time=Duration(seconds=TF_CACHE_S))
        self._odometry = OdometrySource(self._buffer, parameters.odom_frame, parameters.odometry)
        self.worker: Worker[Candidate] = Worker(self._process, "lsm_inference")
        self.cameras = self._make_cameras(parameters)
        self.statistics = StatisticsReply(
            self.account, [c.pipeline for c in self.cameras.values()], self.timings, backend
        )
        self._listener: TransformListener | None = None
        self._odom: Subscription | None = None
        self._problem_lock = threading.Lock()
        self._problem: tuple[str, float] = ("", float("-inf"))
        self._problem_logged_s = float("-inf")
        self._started_s = time.monotonic()

    def warm_up(self) -> None:
        """Run the model once on a pattern, and ask it the standing queries, so the first keyframe is not slow."""
        pattern = np.random.default_rng(0).integers(0, 255, (96, 128, 3), dtype=np.uint8)
        image = np.ascontiguousarray(pattern.repeat(4, axis=0).repeat(4, axis=1))
        encoded = self.backend.encode(image)
        prediction = self.backend.predict([encoded, encoded])
        if self.backend.has_language:
            self.backend.query(prediction, list(self.segmenter.queries.texts) or ["floor"])
        garbage.freeze()

    def start(self) -> None:
        """Start the worker and listen."""
        self._started_s = time.monotonic()
        self.worker.start()
        if self._parameters.odometry.source != "none" or self._parameters.pairing == "rig":
            self._listener = TransformListener(self._buffer, self._node)
        if self._parameters.odometry.source in ("auto", "topic"):
            self._odom = self._node.create_subscription(
                Odometry,
                "odom",
                self._odometry.add,
                input_qos("odom"),
                callback_group=MutuallyExclusiveCallbackGroup(),
                qos_overriding_options=overridable(),
            )
        for context in self.cameras.values():
            context.subscribe(self._node)
            context.outputs.publish_scale(context.mapper.scale, context.camera)
            context.outputs.publish_label_info(self.segmenter.queries)
        self.active = True

    def stop(self, timeout_s: float) -> bool:
        """Stop listening and working; False when the inference in work did not end in time."""
        self.active = False
        self.captures.give_up()
        for context in self.cameras.values():
            context.unsubscribe(self._node)
        if self._listener is not None:
            self._listener.unregister()
            self._listener = None
        if self._odom is not None:
            self._node.destroy_subscription(self._odom)
            self._odom = None
        return self.worker.stop(timeout_s)

    def close(self) -> None:
        """Give everything back: publishers and the model's memory."""
        garbage.thaw()
        for context in self.cameras.values():
            context.outputs.destroy()
        self.publishers.destroy()
        self.backend.close()

    def configure(self, parameters: NodeParameters) -> None:
        """Hand changed parameters to every part."""
        self._odometry.configure(parameters.odometry)
        for context in self.cameras.values():
            context.configure(parameters)
        if parameters.queries != self._parameters.queries:
            self.set_queries(initial_queries(parameters))
        self._parameters = parameters

    def set_queries(self, queries: StandingQueries) -> None:
        """Replace the standing queries; their embeddings are made here, not in the worker."""
        if queries.texts and self.backend.has_language:
            self.backend.encode_texts(list(queries.texts))
        self.segmenter.set_queries(queries)
        for context in self.cameras.values():
            context.outputs.publish_label_info(queries)

    def reset(self) -> int:
        """Forget keyframes, trajectories, maps and scale of all cameras; return the epoch from now on."""
        self._odometry.reset()
        for context in self.cameras.values():
            context.reset(self.worker)
        return max(context.mapper.scale.epoch for context in self.cameras.values())

    def problem(self, text: str) -> None:
        """Note a fault that an operator can mend; the log gets one line in a while."""
        now = time.monotonic()
        with self._problem_lock:
            self._problem = (text, now)
            quiet = now - self._problem_logged_s < PROBLEM_PERIOD_S
            self._problem_logged_s = self._problem_logged_s if quiet else now
        if not quiet:
            self._node.get_logger().warning(text)

    def refresh(self) -> None:
        """Serve late listeners of products that are made on demand."""
        for context in self.cameras.values():
            context.outputs.refresh()

    def health(self, state: str) -> Health:
        """Return what diagnostics report."""
        parts = [context.pipeline.counts() for context in self.cameras.values()]
        rejected: dict[str, int] = {}
        for part in parts:
            for reason, count in part.rejected.items():
                rejected[reason] = rejected.get(reason, 0) + count
        pairs = PairCounts(
            sum(p.keyframes for p in parts), sum(p.pairs for p in parts), sum(p.accepted for p in parts), rejected
        )
        now = time.monotonic()
        silent = {}
        for context in self.cameras.values():
            for stream in context.streams:
                last = max(stream.last_image_s, self._started_s)
                for topic in stream.topics[:1]:
                    silent[topic] = (now - last, self._node.count_publishers(topic))
        with self._problem_lock:
            text, when = self._problem
        first = next(iter(self.cameras.values()))
        return Health(
            state,
            self.backend.name,
            str(self.backend.device),
            self.account.counts(),
            pairs,
            first.mapper.scale,
            self.worker.waiting,
            self.worker.alive,
            silent,
            text,
            now - when,
            self.statistics.transport_lost,
            self.device.degraded,
            self.device.fault,
            self.device.out_of_memory,
        )

    def _make_cameras(self, parameters: NodeParameters) -> dict[str, CameraContext]:
        shared = Shared(
            self._node,
            self.backend,
            self.publishers,
            self.segmenter,
            self._odometry,
            self.account,
            self.timings,
            self.worker,
            itertools.count(1),
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
        return Rig(second, parameters, self.backend, self._buffer, self.account, self.timings, hooks, clock)

    def _hooks(self, camera: str) -> StreamHooks:
        def reset(reason: str) -> None:
            # Through logging: a driver that changes with every image must not flood the log.
            logger.warning(f"Starting anew{' for ' + camera if camera else ''}: {reason}.")
            if reason == "time jumped back":
                self._buffer.clear()
                self._odometry.reset()
            self.cameras[camera].reset(self.worker)

        def refused(image: SourceImage, reason: str, decision: KeyframeDecision | None) -> None:
            self.cameras[camera].outputs.publish_refused(image, reason, decision)

        def lost(count: int) -> None:
            self.statistics.transport_lost += count

        return StreamHooks(reset, refused, lost, self.problem)

    def _process(self, job: Job[Candidate], is_current: object) -> None:
        self.timings.add("wait", (time.monotonic() - job.payload.image.received_s) * 1e3)
        try:
            self.cameras[job.camera].pipeline.process(job, is_current)  # type: ignore[arg-type]
        except Exception as error:
            if not self.device.notice(error):
                raise
            job.ticket.drop(Drop.BACKEND)

    def _free_memory(self, reason: str) -> str:
        """Keep half as many keyframes and give back what that frees; return what the node does without."""
        kept = [context.keep_half() for context in self.cameras.values()]
        give_back_memory()
        without = f"keeps at most {min(kept)} keyframes"
        self.problem(f"Memory ran out: {reason}. The node {without} from now on.")
        return without

    def _on_products(self, products: Products) -> None:
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
