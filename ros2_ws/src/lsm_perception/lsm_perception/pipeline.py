"""From a candidate keyframe to products, one at a time: decode, encode, pair, judge, chain, segment. No rclpy."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lsm_core.backends.base import Backend
from lsm_core.errors import LsmError
from lsm_core.mapping import KeyframeAction, KeyframeDecision, KeyframeReason, ScaleEstimate, single_view
from lsm_core.types import Prediction
from lsm_perception.accounting import Drop
from lsm_perception.beside import Beside
from lsm_perception.conversions.errors import BadMessageError
from lsm_perception.dynamic_pixels import DynamicPixels, without_dynamic
from lsm_perception.finite_check import NON_FINITE_FIX, non_finite_features, non_finite_prediction
from lsm_perception.floor_finder import FloorFinder
from lsm_perception.gate import CameraGate
from lsm_perception.keyframe_ids import KeyframeIds
from lsm_perception.map_state import MapUpdate, OutdatedError
from lsm_perception.mapper import Mapper
from lsm_perception.pair_poses import PairPoses
from lsm_perception.products import Candidate, Keyframe, Matrix, NamedPoints, Products
from lsm_perception.rig_pair import RigPair, RigPairer
from lsm_perception.segmentation import Segmenter
from lsm_perception.source_image import Rgb, SourceImage
from lsm_perception.symptoms import Symptom, see
from lsm_perception.timings import Timings
from lsm_perception.worker import Job

logger = logging.getLogger(__name__)
SOON_NS = 1_000_000_000
Names = Beside[NamedPoints | None]
STILL_FLOW_PX = 1.0  # of 320 columns, about 0.2 degrees
OdometryLookup = Callable[[str, int], Matrix | None]
DepthLookup = Callable[[int, int, int], NDArray[np.float32] | None]
MaskLookup = Callable[[SourceImage], NDArray[np.bool_] | None]


@dataclass(frozen=True)
class Sinks:
    """Where the pipeline asks and answers; the node connects these to topics.

    Attributes:
        publish: takes the products of a keyframe.
        wants_segmentation: whether anybody listens to what needs the standing queries.
        odometry: T_odom_cam at (image frame, stamp in ns), None when unknown.
        depth: depth in metres at (stamp in ns, width, height) of the image, None when there is none.
        moving: mask of what moves in an image, on its own pixels, None when there is none.
        dropped: told of candidates that did not become keyframes, with the reason.
        problem: told of a fault of the model, throttled by the receiver.
        prepare: told of a keyframe and the scale before its words are known; its products follow, unless it is
            given up.
    """

    publish: Callable[[Products], None]
    wants_segmentation: Callable[[], bool]
    odometry: OdometryLookup
    depth: DepthLookup
    moving: MaskLookup
    dropped: Callable[[Candidate, str], None]
    problem: Callable[[str], None]
    prepare: Callable[[Keyframe, ScaleEstimate], None] = lambda _keyframe, _scale: None


@dataclass(frozen=True)
class PairCounts:
    """Keyframes and pairs so far; `rejected` by reason."""

    keyframes: int
    pairs: int
    accepted: int
    rejected: dict[str, int]


class DroppedError(Exception):
    """The candidate is given up; `reason` says why."""

    def __init__(self, reason: Drop, detail: str = "") -> None:
        super().__init__(detail or reason.value)
        self.reason = reason


class Pipeline:
    """What the worker's thread runs for each candidate of one camera."""

    def __init__(
        self,
        backend: Backend,
        gate: CameraGate,
        mapper: Mapper,
        segmenter: Segmenter,
        timings: Timings,
        sinks: Sinks,
        ids: KeyframeIds | None = None,
        rig: RigPairer | None = None,
        floor: FloorFinder | None = None,
        poses: PairPoses | None = None,
    ) -> None:
        self._backend = backend
        self._gate = gate
        self._mapper = mapper
        self._segmenter = segmenter
        self._timings = timings
        self._sinks = sinks
        self._ids = KeyframeIds() if ids is None else ids
        self._rig = rig
        self._floor = floor
        self._poses = PairPoses(backend) if poses is None else poses
        self._lock = threading.Lock()
        self._keyframes = self._pairs = self._accepted = 0
        self._rejected: dict[str, int] = {}
        self.last_error = ""

    def counts(self) -> PairCounts:
        """Return keyframes and pairs so far."""
        with self._lock:
            return PairCounts(self._keyframes, self._pairs, self._accepted, dict(self._rejected))

    def clear_counts(self) -> None:
        """Set the counters to zero."""
        with self._lock:
            self._keyframes = self._pairs = self._accepted = 0
            self._rejected.clear()

    def process(self, job: Job[Candidate], is_current: Callable[[], bool]) -> None:
        """Make a keyframe of a candidate and publish what follows; settles the job's ticket.

        Errors of the model or the image drop the candidate with a reason; anything else is left to the caller.
        """
        candidate = job.payload
        try:
            products = self._make(candidate, is_current)
        except DroppedError as error:
            self._drop(job, error.reason, str(error))
        except BadMessageError as error:
            self._sinks.problem(see(str(error), Symptom.IMAGE_FORMAT))
            self._drop(job, error.reason, str(error))
        except LsmError as error:
            self.give_up(job, str(error))
        else:
            job.ticket.use()
            if self._rig is not None:
                self._rig.settle(None)
            self._count(products)
            if is_current():
                with self._timings.measure("publish"):
                    self._sinks.publish(products)
        finally:
            if self._rig is not None:
                self._rig.settle(Drop.INTERNAL)

    def give_up(self, job: Job[Candidate], reason: str) -> None:
        """Drop a candidate that the model, or the device under it, failed on."""
        self.last_error = reason
        self._drop(job, Drop.BACKEND, f"The model failed on an image: {reason}")

    def _make(self, candidate: Candidate, is_current: Callable[[], bool]) -> Products:
        if not is_current():
            raise DroppedError(Drop.RESET)
        if not self._gate.accept(candidate.decision, candidate.reference_ns):
            raise DroppedError(Drop.SUPERSEDED)
        with self._timings.measure("decode"):
            rgb = candidate.image.decode()
            undistorted = candidate.calibration.undistort(rgb)
        newer = self._encode(candidate, undistorted)
        refresh = candidate.decision.action is KeyframeAction.REFRESH
        older, generation = self._mapper.partner()
        rig = self._pair_of_rig(newer)
        prediction = None
        # A rig's pair gives the masks of a keyframe that has no pair over time.
        alone = rig is not None and (older is None or refresh)
        if not alone and (older is None or worth_a_pair(candidate, older)):
            if older is not None and not refresh:
                self._mapper.prepare(older, newer)
            with self._timings.measure("predict"):
                prediction = self._predict(older, newer)
        names = self._begin_naming(newer, prediction)
        # Asked for now, not at the start: a mask may come while the model works.
        newer = replace(newer, dynamic=self._moving(candidate))
        if prediction is not None:
            prediction = without_dynamic(prediction, [(older or newer).dynamic, newer.dynamic])
        if rig is not None:
            rig = replace(rig, prediction=without_dynamic(rig.prediction, [None, newer.dynamic]))
        if self._floor is not None and prediction is not None and not self._mapper.knows_better_than_height():
            newer = replace(newer, floor=self._floor.floor(prediction, 1))
        if not is_current():
            raise DroppedError(Drop.RESET)
        with self._timings.measure("map"):
            update = self._update(candidate.decision, older, newer, prediction, generation, rig)
        with self._timings.measure("cloud"):
            self._sinks.prepare(update.keyframe, update.scale)
        return self._products(candidate, rgb, update, refresh, generation, names)

    def _encode(self, candidate: Candidate, image: Rgb) -> Keyframe:
        source = candidate.image
        with self._timings.measure("encode"):
            encoded = self._backend.encode(image, candidate.calibration.K)
            bad = non_finite_features(encoded)
            if bad is not None:
                raise DroppedError(Drop.NON_FINITE, f"The model's answer is not finite: {bad}. {NON_FINITE_FIX}")
        with self._timings.measure("odometry"):
            T_odom_cam = self._sinks.odometry(source.frame_id, source.stamp_ns)
            depth = self._sinks.depth(source.stamp_ns, source.width, source.height)
        return Keyframe(
            id=self._ids.next(),
            stamp_ns=source.stamp_ns,
            camera=source.camera,
            frame_id=source.frame_id,
            segment=0,
            T_map_cam=None,
            prediction=None,
            view=0,
            encoded=encoded,
            calibration=candidate.calibration,
            T_odom_cam=T_odom_cam,
            depth_m=None if depth is None else candidate.calibration.undistort_depth(depth),
        )

    def _pair_of_rig(self, newer: Keyframe) -> RigPair | None:
        """Return the pair with the second camera's image of the same time; None without a rig or such an image."""
        if self._rig is None:
            return None
        with self._timings.measure("predict"):
            return self._rig.pair(newer, self._predict)

    def _moving(self, candidate: Candidate) -> DynamicPixels | None:
        mask = self._sinks.moving(candidate.image)
        if mask is None or not mask.any():
            return None
        return DynamicPixels.from_mask(candidate.calibration.undistort_mask(mask))

    def _predict(self, older: Keyframe | None, newer: Keyframe, T_older_newer: Matrix | None = None) -> Prediction:
        """Predict the pair, or the first keyframe with itself: its masks are good, its geometry is not used."""
        assert newer.encoded is not None
        if older is not None and older.encoded is None:
            older = None
        first = newer.encoded if older is None or older.encoded is None else older.encoded
        poses = self._poses.of(older, newer, T_older_newer)
        prediction = self._backend.predict([first, newer.encoded], poses=poses)
        bad = non_finite_prediction(prediction)
        if bad is not None:
            raise DroppedError(Drop.NON_FINITE, f"The model's answer is not finite: {bad}. {NON_FINITE_FIX}")
        return prediction

    def _update(
        self,
        decision: KeyframeDecision,
        older: Keyframe | None,
        newer: Keyframe,
        prediction: Prediction | None,
        generation: int,
        rig: RigPair | None,
    ) -> MapUpdate:
        """Put the keyframe into the map. One that shows nothing of the last is only the start of the next pair."""
        refresh = decision.action is KeyframeAction.REFRESH
        try:
            if prediction is None and rig is not None:
                return self._mapper.add_rig_pair(newer, rig, not refresh, stands_still(decision), generation)
            if prediction is None:
                return self._mapper.start_anew(newer, generation)
            if older is None or older.encoded is None or refresh:
                return self._mapper.add_masks_only(newer, prediction, generation)
            # Corners that could not be followed: when the model cannot pair it either, the view is another one.
            overlap = 0.0 if decision.reason is KeyframeReason.LOST else decision.overlap
            known = self._poses.known_scale(older, newer)
            return self._mapper.add_pair(older, newer, prediction, overlap, generation, rig, known)
        except OutdatedError as error:
            raise DroppedError(Drop.RESET) from error

    def _begin_naming(self, newer: Keyframe, prediction: Prediction | None) -> Names | None:
        """Ask the standing queries beside the map's work: they need the prediction's features and no pose."""
        if prediction is None or not self._sinks.wants_segmentation():
            return None
        keyframe = replace(newer, prediction=single_view(prediction, 1), view=0)
        return Beside("lsm_naming", lambda: self._name(keyframe))

    def _name(self, keyframe: Keyframe) -> NamedPoints | None:
        with self._timings.measure("segment"):
            return self._segmenter.name_points(keyframe)

    def _products(
        self,
        candidate: Candidate,
        rgb: Rgb,
        update: MapUpdate,
        refresh: bool,
        generation: int,
        begun: Names | None,
    ) -> Products:
        named = None
        if begun is not None:
            named = begun.result()
        elif self._sinks.wants_segmentation():
            named = self._name(update.keyframe)
        return Products(
            keyframe=update.keyframe,
            image=candidate.image,
            rgb=rgb,
            decision=candidate.decision,
            refreshed=refresh,
            pair=update.pair,
            placed=update.placed,
            scale=update.scale,
            cleared=update.cleared,
            named=named,
            removed=update.removed,
            other_pair=update.other_pair,
            generation=generation,
        )

    def _drop(self, job: Job[Candidate], reason: Drop, detail: str) -> None:
        logger.debug("Dropped a candidate keyframe: %s", detail)
        if reason in (Drop.BACKEND, Drop.NON_FINITE):
            self._sinks.problem(see(detail, Symptom.MODEL_ERRORS))
            self._mapper.pair_failed()
        job.ticket.drop(reason)
        if self._rig is not None:
            self._rig.settle(reason)
        self._sinks.dropped(job.payload, reason.value)

    def _count(self, products: Products) -> None:
        with self._lock:
            self._keyframes += 1
            for pair in (products.pair, products.other_pair):
                if pair is None:
                    continue
                self._pairs += 1
                if pair.accepted:
                    self._accepted += 1
                else:
                    self._rejected[pair.reason] = self._rejected.get(pair.reason, 0) + 1


def worth_a_pair(candidate: Candidate, older: Keyframe) -> bool:
    """Whether a candidate may show the same things as an older keyframe.

    Fast turns lose the corners, not the overlap, so soon after a keyframe the model is asked all the same. Later it
    would be a wasted inference, and with a slow model the next view would be lost again meanwhile.
    """
    soon = candidate.image.stamp_ns - older.stamp_ns <= SOON_NS
    return candidate.decision.reason is not KeyframeReason.LOST or soon


def stands_still(decision: KeyframeDecision) -> bool:
    """Whether the view is that of the last keyframe, as far as corners can tell."""
    return decision.flow_px <= STILL_FLOW_PX
