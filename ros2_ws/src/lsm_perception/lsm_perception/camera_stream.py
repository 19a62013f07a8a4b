"""One camera from its subscriptions to the worker: check, calibrate, gate, submit. Nothing here may raise."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from rclpy.clock import Clock
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from lsm_core.mapping import KeyframeDecision, KeyframeReason
from lsm_perception.accounting import Account, Drop
from lsm_perception.calibration_choice import CalibrationChoice
from lsm_perception.conversions.compressed_images import source_from_compressed
from lsm_perception.conversions.errors import BadMessageError
from lsm_perception.conversions.images import source_from_image
from lsm_perception.depth_source import DepthSource
from lsm_perception.gate import TimeJumpedBack
from lsm_perception.image_watch import UNUSABLE, ImageWatch
from lsm_perception.listener import Listener
from lsm_perception.mask_source import MaskSource
from lsm_perception.parameters import NodeParameters
from lsm_perception.products import Candidate
from lsm_perception.source_image import SourceImage
from lsm_perception.stream_ports import CandidateQueue, ImageGate
from lsm_perception.symptoms import Symptom, see
from lsm_perception.timings import Timings
from lsm_perception.topic_events import TopicEvents

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class StreamHooks:
    """What a stream asks of the node.

    Attributes:
        reset: forget everything because of the reason given (another image format or calibration).
        jumped: the stamps of the images jumped back in time.
        refused: told of each image that was not kept, with the reason.
        problem: told of a fault that an operator can mend, throttled by the receiver.
    """

    reset: Callable[[str], None]
    jumped: Callable[[], None]
    refused: Callable[[SourceImage, str, KeyframeDecision | None], None]
    problem: Callable[[str], None]


class CameraStream:
    """Subscriptions of one camera; images pass the gate in the callback, candidates go to the worker."""

    def __init__(
        self,
        camera: str,
        parameters: NodeParameters,
        account: Account,
        gate: ImageGate,
        queue: CandidateQueue,
        timings: Timings,
        hooks: StreamHooks,
        clock: Clock,
        image_only: bool = False,
    ) -> None:
        """Wire one camera.

        Args:
            camera: its name, "" for the only one.
            parameters: in force.
            account: of all images.
            gate: judges each image.
            queue: takes those that passed.
            timings: of the stages.
            hooks: what the stream asks of the node.
            clock: the node's.
            image_only: listen to image and camera_info only (the second camera of a rig).
        """
        self.camera = camera
        self._parameters = parameters
        self._account = account
        self._gate = gate
        self._queue = queue
        self._image_only = image_only
        self._timings = timings
        self._hooks = hooks
        self._clock = clock
        self.listeners: list[Listener] = []
        self.stamp_offset_s = 0.0  # of the newest image: its stamp less the node's clock on arrival
        self.depth = DepthSource(parameters.input.max_pixels)
        self.masks = MaskSource(parameters.input.max_pixels, parameters.input.mask_max_age_s, hooks.problem)
        self.calibration = CalibrationChoice(hooks.problem, hooks.reset, parameters.input.rectified)
        self._watch = ImageWatch(camera)

    def subscribe(self, node: Node, events: TopicEvents) -> None:
        """Start listening."""
        prefix = f"{self.camera}/" if self.camera else ""
        compressed = self._parameters.image_transport == "compressed"
        kind, take = (CompressedImage, self.on_compressed) if compressed else (Image, self.on_image)
        topic = f"{prefix}image/compressed" if compressed else f"{prefix}image"
        image = Listener(node, "image", kind, topic, take, events, self._account.lose)
        info = Listener(node, "camera_info", CameraInfo, f"{prefix}camera_info", self.on_camera_info, events)
        self.listeners = [image, info]
        optional = {} if self._image_only else {"mask": self.on_mask}
        if self._parameters.scale.source in ("auto", "depth") and not self._image_only:
            optional["depth"] = self.on_depth
        for name, callback in optional.items():
            self.listeners.append(Listener(node, name, Image, f"{prefix}{name}", callback, events))

    def unsubscribe(self) -> None:
        """Stop listening."""
        for listener in self.listeners:
            listener.destroy()
        self.listeners = []

    def configure(self, parameters: NodeParameters) -> None:
        """Take new limits."""
        self._parameters = parameters
        self._gate.configure(parameters)
        self.masks.configure(parameters.input.max_pixels, parameters.input.mask_max_age_s)

    def on_camera_info(self, message: CameraInfo) -> None:
        """Keep the newest calibration; it is read when an image needs it."""
        self.calibration.take(message)

    def on_image(self, message: Image) -> None:
        """Take a raw image."""
        limit = self._parameters.input.max_pixels
        self._take(lambda now_s: source_from_image(message, self.camera, limit, now_s))

    def on_compressed(self, message: CompressedImage) -> None:
        """Take a compressed image."""
        limit = self._parameters.input.max_pixels
        self._take(lambda now_s: source_from_compressed(message, self.camera, limit, now_s))

    def on_depth(self, message: Image) -> None:
        """Keep a depth image; a malformed one is reported and forgotten."""
        try:
            self.depth.add(message)
        except (BadMessageError, ValueError) as error:
            self._hooks.problem(see(f"A depth image is not used: {error}", Symptom.MASKS_AND_DEPTH))

    def on_mask(self, message: Image) -> None:
        """Keep a mask of moving things; a malformed one is reported and forgotten."""
        try:
            self.masks.add(message)
        except BadMessageError as error:
            self._hooks.problem(see(f"A mask is not used: {error}", Symptom.MASKS_AND_DEPTH))

    def _take(self, make: Callable[[float], SourceImage]) -> None:
        """Bring one image to its end or to the worker; whatever happens, its account is settled."""
        received_s, arrived_ns = time.monotonic(), self._clock.now().nanoseconds
        ticket = self._account.open()
        try:
            image = make(received_s)
            self.stamp_offset_s = (image.stamp_ns - arrived_ns) / 1e9
            self._timings.add_age("transport", image.stamp_ns, arrived_ns)
            with self._timings.measure("gate"):
                candidate, reason, decision = self._judge(image)
            if candidate is not None:
                # One that waits can still be paired with the keyframe in work; one without overlap cannot.
                lost = candidate.decision.reason is KeyframeReason.LOST
                self._queue.submit(self.camera, candidate, ticket, yields=lost)
                return
            ticket.drop(reason)
            self._hooks.refused(image, reason, decision)
        except BadMessageError as error:
            ticket.drop(error.reason)
            camera_info = error.reason is Drop.BAD_CAMERA_INFO
            self._hooks.problem(see(str(error), Symptom.CAMERA_INFO if camera_info else Symptom.IMAGE_FORMAT))
        except Exception as error:
            ticket.drop(Drop.INTERNAL)
            logger.exception(see("Taking an image failed; the node goes on.", Symptom.INTERNAL_ERRORS))
            self._hooks.problem(see(f"{type(error).__name__}: {error}", Symptom.INTERNAL_ERRORS))

    def _judge(self, image: SourceImage) -> tuple[Candidate | None, str, KeyframeDecision | None]:
        if image.stamp_ns <= 0:
            line = "The stamp of the images is zero: they are dropped. Fix: let the driver stamp them."
            self._hooks.problem(see(line, Symptom.CLOCK))
            return None, Drop.BAD_STAMP, None
        if self._too_old(image.stamp_ns):
            line = (
                f"Images are {-self.stamp_offset_s:.1f} s behind this node's clock and dropped as stale: "
                "synchronise the clocks; play a bag with --clock and use_sim_time, or set input.max_age_s to 0."
            )
            self._hooks.problem(see(line, Symptom.STALE_IMAGES))
            return None, Drop.STALE, None
        if self._gate.changed_format(image):
            self._hooks.reset("the images have another size, encoding or frame_id")
        calibration = self.calibration.of(image)
        try:
            result = self._gate.consider(image, calibration)
        except TimeJumpedBack:
            self._hooks.jumped()
            result = self._gate.consider(image, calibration)
        self._watch_frame(image, result.drop)
        if result.drop is not None or result.decision is None:
            return None, result.drop or Drop.INTERNAL, result.decision
        return Candidate(image, calibration, result.decision, result.reference_ns), "", result.decision

    def _watch_frame(self, image: SourceImage, drop: Drop | None) -> None:
        """Report a camera from which nothing usable comes, and its recovery."""
        if drop is Drop.BAD_STAMP:
            return
        if drop not in UNUSABLE:
            back = self._watch.usable()
            if back:
                logger.info(back)
            return
        complaint = self._watch.unusable(drop, image.stamp_ns, self._parameters.input.unusable_s)
        if complaint:
            self._hooks.problem(see(complaint, Symptom.UNUSABLE_IMAGES))

    def _too_old(self, stamp_ns: int) -> bool:
        limit_s = self._parameters.input.max_age_s
        return 0 < limit_s < (self._clock.now().nanoseconds - stamp_ns) * 1e-9
