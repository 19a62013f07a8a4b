"""The state of one camera's map: pairs become a chain, samples become a scale, keyframes are kept for queries."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from lsm_core.mapping import (
    ChainConfig,
    KeyframeWindow,
    PairChain,
    PairGeometry,
    SampleConfig,
    ScaleEstimate,
    ScaleEstimator,
    ScaleSample,
    ScaleSource,
    Trajectory,
    WindowConfig,
    single_view,
)
from lsm_core.types import Prediction
from lsm_perception.map_state import MapContents, MapUpdate, OutdatedError
from lsm_perception.pair_check import PairJudge, PairVerdict
from lsm_perception.parameters import NodeParameters
from lsm_perception.partner_choice import PartnerChoice
from lsm_perception.products import Keyframe, Matrix, PairReport, PlacedPair
from lsm_perception.rig_pair import NOT_KEPT, RigPair
from lsm_perception.rig_place import rig_report, second_look
from lsm_perception.scale_sampling import pair_samples
from lsm_perception.units import is_metric


class Mapper:
    """Chain, scale, trajectory and keyframe store of one camera. The lock makes each call atomic.

    Where the partner of new keyframes is given up (`PartnerChoice`), the newest keyframe becomes it, and a new
    segment begins there.
    """

    def __init__(self, parameters: NodeParameters) -> None:
        self._lock = threading.RLock()
        self._parameters = parameters
        self._judge = PairJudge(parameters)
        self._chain = PairChain(ChainConfig(max_spread=parameters.chain.max_spread))
        self._scale = ScaleEstimator(parameters.scale.config())
        self._window = KeyframeWindow(WindowConfig(max_keyframes=parameters.keyframes.window))
        self._trajectory = Trajectory(parameters.map.max_path)
        self._partner = PartnerChoice()
        self._generation = 0

    @property
    def scale(self) -> ScaleEstimate:
        """The scale now."""
        with self._lock:
            return self._scale.estimate

    def knows_better_than_height(self) -> bool:
        """Whether metres come from a source before the camera's height, so that looking for the floor is no use."""
        scale = self.scale
        return is_metric(scale) and scale.source is not ScaleSource.CAMERA_HEIGHT

    @property
    def segment(self) -> int:
        """Number of the current chain segment, 0 before the first."""
        with self._lock:
            return self._chain.segment

    @property
    def generation(self) -> int:
        """How often the map was reset."""
        with self._lock:
            return self._generation

    def configure(self, parameters: NodeParameters) -> None:
        """Take new limits of the pose gate."""
        with self._lock:
            self._parameters = parameters
            self._judge = PairJudge(parameters)

    def partner(self) -> tuple[Keyframe | None, int]:
        """Return the keyframe that the next one is paired with, None for a first one, and the map's generation."""
        with self._lock:
            return self._partner.keyframe, self._generation

    def prepare(self, older: Keyframe, newer: Keyframe) -> None:
        """Begin, in a thread, what judging this pair needs and what does not wait for its prediction."""
        with self._lock:
            judge = self._judge
        judge.prepare(older, newer)

    def latest(self) -> Keyframe | None:
        """Return the newest kept keyframe."""
        with self._lock:
            return _own(self._window.latest())

    def get(self, keyframe_id: int) -> Keyframe | None:
        """Return a kept keyframe by id."""
        with self._lock:
            return _own(self._window.get(keyframe_id))

    def nearest(self, stamp_ns: int) -> Keyframe | None:
        """Return the kept keyframe with this stamp, or the nearest in time."""
        with self._lock:
            return _own(self._window.nearest(stamp_ns))

    def of_segment(self, last: int) -> list[Keyframe]:
        """Return the newest keyframes of the current segment, oldest first."""
        with self._lock:
            records = self._window.of_segment(self._chain.segment)
            return [r for r in records if isinstance(r, Keyframe) and r.in_map][-last:]

    def snapshot(self, last: int) -> tuple[ScaleEstimate, list[Keyframe]]:
        """Return the scale and the newest keyframes of the current segment, oldest first, of one moment."""
        with self._lock:
            return self._scale.estimate, self.of_segment(last)

    def contents(self) -> MapContents:
        """Return all that is known, of one moment; nothing of it will change."""
        with self._lock:
            kept = [r for r in self._window.all() if isinstance(r, Keyframe) and r.prediction is not None]
            segment = self._chain.segment
            return MapContents(self._scale.estimate, segment, tuple(kept), self._trajectory.arrays(segment))

    def load(self, contents: MapContents, generation: int) -> tuple[int, int, tuple[Keyframe, ...]]:
        """Forget everything, and take a map from elsewhere: a segment and an epoch of its own.

        Keyframes that have a pose get that segment. The next image is a first one: its place in it is unknown.

        Args:
            contents: the map; its scale becomes a claim (`ScaleEstimator.adopt`).
            generation: of the map when the request for it came.

        Returns:
            The segment, the generation from now on, and the keyframes that were kept before.

        Raises:
            OutdatedError: the map was reset meanwhile.
        """
        with self._lock:
            self._check(generation)
            removed = self.reset()
            segment = self._chain.skip_segment()
            self._scale.adopt(contents.scale)
            for keyframe in contents.keyframes:
                self._store(replace(keyframe, segment=0 if keyframe.T_map_cam is None else segment))
            for stamp_ns, T_map_cam in contents.path.poses():
                self._trajectory.add(stamp_ns, T_map_cam, segment)
            return segment, self._generation, removed

    def nothing(self) -> MapContents:
        """Return a map that holds nothing."""
        return MapContents(ScaleEstimator().estimate, 0, (), Trajectory().arrays(0))

    def path(self) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
        """Return stamps [N] ns, positions [N, 3] in segment units and quaternions wxyz [N, 4] of the segment."""
        with self._lock:
            arrays = self._trajectory.arrays(self._chain.segment)
            return arrays.stamps_ns, arrays.positions, arrays.quats

    def add_masks_only(self, keyframe: Keyframe, prediction: Prediction, generation: int) -> MapUpdate:
        """Keep a keyframe (view 1 of the prediction) for its masks: a first one, or one forced by age.

        Raises:
            OutdatedError: the map was reset since `partner` gave this generation.
        """
        with self._lock:
            self._check(generation)
            update = self._masks_only(keyframe, prediction)
            if self._partner.keyframe is None:
                self._partner.choose(update.keyframe)
            return update

    def start_anew(self, keyframe: Keyframe, generation: int) -> MapUpdate:
        """Let the next keyframe be paired with this one: it shows nothing of the one before.

        It is kept for queries once that pair is accepted.

        Raises:
            OutdatedError: the map was reset since `partner` gave this generation.
        """
        with self._lock:
            self._check(generation)
            self._partner.choose(keyframe)
            return MapUpdate(keyframe, None, None, self._scale.estimate, False, ())

    def add_pair(
        self,
        older: Keyframe,
        newer: Keyframe,
        prediction: Prediction,
        overlap: float,
        generation: int,
        rig: RigPair | None = None,
        known_scale: float | None = None,
    ) -> MapUpdate:
        """Judge the pair (views 0 and 1 of the prediction), and join it to the chain when it is good.

        Args:
            older, newer: the keyframes.
            prediction: of both.
            overlap: share of the keyframe before `newer` that is in its view; NaN when unknown.
            generation: as `partner` gave it.
            rig: the rig's pair of the newer keyframe, None without.
            known_scale: see `Chain.add`.

        Raises:
            OutdatedError: the map was reset since `partner` gave this generation.
        """
        verdict = self._judge.judge(older, newer, prediction)
        with self._lock:
            self._check(generation)
            if not verdict.accepted:
                return self._reject(older, newer, prediction, verdict, overlap, rig)
            update = self._accept(older, newer, prediction, verdict, rig, known_scale)
            return replace(update, other_pair=self._rig_report(rig, update.keyframe))

    def add_rig_pair(
        self, keyframe: Keyframe, rig: RigPair, begin: bool, still: bool, generation: int
    ) -> MapUpdate:
        """Add a keyframe that has no pair over time, by the rig's pair alone.

        Args:
            keyframe: view 1 of the rig's prediction.
            rig: its pair, judged.
            begin: a first keyframe, or one that shows nothing of the last; False for one forced by age.
            still: the camera stands where the last keyframe was made.
            generation: as `partner` gave it.

        Raises:
            OutdatedError: the map was reset since `partner` gave this generation.
        """
        with self._lock:
            self._check(generation)
            anchor = self._partner.keyframe
            if begin or anchor is None or anchor.T_map_cam is None:
                if rig.accepted:
                    return self._begin_with_rig(keyframe, rig)
                update = self._masks_only(keyframe, rig.prediction)
                self._partner.choose(update.keyframe)
            else:
                if rig.accepted and still:
                    look = self._look_again(keyframe, rig, anchor)
                    if look is not None:
                        return look
                update = self._masks_only(keyframe, rig.prediction)
            return replace(update, pair=self._rig_report(rig, update.keyframe))

    def pair_failed(self) -> None:
        """Count a pair that the model could not answer.

        After `keyframes.retries` more the next keyframe is a first one: what is kept of the partner may be bad.
        """
        with self._lock:
            self._partner.fail(self._parameters.keyframes)

    def keep_half(self) -> tuple[int, tuple[Keyframe, ...]]:
        """Keep half as many keyframes from now on; return how many, and those that are not kept any more."""
        with self._lock:
            removed = self._window.keep_half()
            return self._window.max_keyframes, tuple(r for r in removed if isinstance(r, Keyframe))

    def reset(self) -> tuple[Keyframe, ...]:
        """Forget keyframes, chain and scale; return the keyframes that were kept."""
        with self._lock:
            self._generation += 1
            self._chain.start_segment()
            self._scale.reset()
            self._trajectory.clear()
            self._partner.choose(None)
            return tuple(r for r in self._window.clear() if isinstance(r, Keyframe))

    def _check(self, generation: int) -> None:
        if generation != self._generation:
            raise OutdatedError

    def _masks_only(self, keyframe: Keyframe, prediction: Prediction) -> MapUpdate:
        """Keep a keyframe (view 1) without a place in space."""
        kept = replace(
            keyframe,
            prediction=single_view(prediction, 1),
            view=0,
            T_map_cam=None,
            segment=0,
            depth_m=None,
            floor=None,
        )
        return MapUpdate(kept, None, None, self._scale.estimate, False, self._store(kept))

    def _reject(
        self,
        older: Keyframe,
        newer: Keyframe,
        prediction: Prediction,
        verdict: PairVerdict,
        overlap: float,
        rig: RigPair | None,
    ) -> MapUpdate:
        report = verdict.report(older, newer, verdict.T_older_newer, 1.0, False, 0)
        give_up = self._partner.reject(verdict.overlap, overlap, self._parameters.keyframes)
        if rig is not None and rig.accepted and (give_up or older.T_map_cam is None):
            return replace(self._begin_with_rig(newer, rig), other_pair=report)
        update = self._masks_only(newer, prediction)
        if give_up:
            self._partner.choose(update.keyframe)
        return replace(update, pair=report, other_pair=self._rig_report(rig, update.keyframe))

    def _begin_with_rig(self, keyframe: Keyframe, rig: RigPair) -> MapUpdate:
        """Begin a segment with the rig's own pair; its map frame is the second camera's."""
        self._chain.start_segment()
        return self._accept(rig.second, keyframe, rig.prediction, rig.verdict, rig)

    def _look_again(self, keyframe: Keyframe, rig: RigPair, anchor: Keyframe) -> MapUpdate | None:
        """Place a keyframe where its anchor is, with fresh depth of the rig; None when the depths disagree."""
        look = second_look(anchor, rig, keyframe.stamp_ns, self._sample_config())
        if look is None or anchor.T_map_cam is None:
            return None
        if self._take_samples([look.sample]):
            return self._begin_with_rig(keyframe, rig)
        kept = self._placed(keyframe, look.placed.view(1), anchor.T_map_cam, anchor.segment)
        kept = replace(kept, in_map=False)
        removed = self._store(kept)
        report = rig.verdict.report(rig.second, kept, look.T_second_primary, look.scale, True, kept.segment)
        return MapUpdate(kept, report, look.placed, self._scale.estimate, False, removed)

    def _rig_report(self, rig: RigPair | None, newer: Keyframe) -> PairReport | None:
        return rig_report(rig, newer, self._scale.estimate.metres_per_unit)

    def _accept(
        self,
        older: Keyframe,
        newer: Keyframe,
        prediction: Prediction,
        verdict: PairVerdict,
        rig: RigPair | None = None,
        known_scale: float | None = None,
    ) -> MapUpdate:
        step = self._chain.add(PairGeometry.from_prediction(prediction, older.id, newer.id), known_scale)
        if step.new_segment:
            self._scale.on_new_segment()
        cleared = step.new_segment
        height_m = self._parameters.scale.camera_height_m
        config = self._sample_config()
        if self._take_samples(pair_samples(older, newer, prediction, step, rig, height_m, config)):
            # The value was replaced at once: nothing of the old segment may be mixed with what comes.
            self._chain.start_segment()
            self._scale.change_unit(step.scale)  # the new segment's unit is this pair's
            step = self._chain.add(PairGeometry.from_prediction(prediction, older.id, newer.id), known_scale)
            cleared = True
        placed = PlacedPair(prediction, step.map_from_pair)
        removed: tuple[Keyframe, ...] = ()
        if step.new_segment and older.id != NOT_KEPT:
            first = self._placed(older, placed.view(0), step.T_map_older, step.segment)
            removed += self._store(first)
            self._trajectory.add(first.stamp_ns, step.T_map_older, step.segment)
        kept = self._placed(newer, placed.view(1), step.T_map_newer, step.segment)
        removed += self._store(kept)
        self._trajectory.add(kept.stamp_ns, step.T_map_newer, step.segment)
        self._partner.choose(kept)
        T_older_newer = np.linalg.inv(step.T_map_older) @ step.T_map_newer
        report = verdict.report(older, kept, T_older_newer, step.scale, True, step.segment)
        return MapUpdate(kept, report, placed, self._scale.estimate, cleared, removed)

    def _placed(self, keyframe: Keyframe, in_map: Prediction, T_map_cam: Matrix, segment: int) -> Keyframe:
        return replace(
            keyframe,
            prediction=in_map,
            view=0,
            T_map_cam=T_map_cam,
            segment=segment,
            depth_m=None,
            floor=None,
        )

    def _sample_config(self) -> SampleConfig:
        return SampleConfig(min_baseline_m=self._parameters.scale.min_baseline_m)

    def _take_samples(self, samples: list[ScaleSample]) -> bool:
        """Take the samples of one chained pair; True when the scale was replaced discontinuously."""
        updates = [self._scale.add_sample(sample) for sample in samples]
        return any([u.new_epoch for u in [*updates, self._scale.end_pair()]])

    def _store(self, keyframe: Keyframe) -> tuple[Keyframe, ...]:
        return tuple(r for r in self._window.add(keyframe) if isinstance(r, Keyframe))


def _own(record: object) -> Keyframe | None:
    return record if isinstance(record, Keyframe) else None
