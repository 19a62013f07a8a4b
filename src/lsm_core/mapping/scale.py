"""Metres per unit: unknown, metric or degraded, from samples of one or more sources."""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from lsm_core.errors import InputError
from lsm_core.geometry.median import lower_weighted_median
from lsm_core.mapping.robust import MAD_TO_STD


class ScaleState(StrEnum):
    """What is known about metres (lsm_perception_msgs/Scale.state)."""

    UNKNOWN = "unknown"
    METRIC = "metric"
    DEGRADED = "degraded"


class ScaleSource(StrEnum):
    """Where a sample comes from (lsm_perception_msgs/Scale.source)."""

    NONE = "none"
    DEPTH = "depth"
    RIG = "rig"
    ODOMETRY = "odometry"
    CAMERA_HEIGHT = "camera_height"
    MODEL = "model"


RECENT = 10  # samples looked back upon to tell whether a scale is contested
MIN_FITTED = 0.7  # share of them that must fit
FEW = 5
MEDIAN_ERROR = 1.2533  # standard error of a median over that of a mean, normal distribution
AUTO_ORDER = (ScaleSource.DEPTH, ScaleSource.RIG, ScaleSource.ODOMETRY, ScaleSource.CAMERA_HEIGHT)


@dataclass(frozen=True)
class ScaleConfig:
    """How samples become a scale.

    Attributes:
        order: sources in the order of preference; a single one to fix it. MODEL is never in it.
        allow_model: accept the model's own claim of metres; it only ever gives DEGRADED.
        window: samples kept per source.
        min_samples: samples needed before a source gives a scale.
        max_spread: largest robust relative spread of the samples of a METRIC scale.
        max_error: largest relative standard error of their median (1.25 spread / sqrt(samples)) for METRIC: samples
            that scatter must be many.
        outlier_log_ratio: a sample further than this from the present scale (natural log) is set aside.
        jump_samples: this many samples set aside in a row that agree with each other replace the scale.
        takeover_pairs: chained pairs without a sample of a source after which the next in order takes its place.
        stale_pairs: chained pairs without any sample in use after which METRIC becomes DEGRADED.
    """

    order: tuple[ScaleSource, ...] = AUTO_ORDER
    allow_model: bool = False
    window: int = 15
    min_samples: int = 3
    max_spread: float = 0.5
    max_error: float = 0.15
    outlier_log_ratio: float = 0.7
    jump_samples: int = 4
    takeover_pairs: int = 10
    stale_pairs: int = 60


@dataclass(frozen=True)
class ScaleSample:
    """One measurement: metres per unit of the current segment, its source, weight (> 0) and image stamp."""

    metres_per_unit: float
    source: ScaleSource
    weight: float = 1.0
    stamp_ns: int = 0


@dataclass(frozen=True)
class ScaleEstimate:
    """The scale now (fields of lsm_perception_msgs/Scale).

    Attributes:
        state: UNKNOWN, METRIC or DEGRADED. Only METRIC may be attached to odom.
        source: of the samples behind it; NONE while UNKNOWN.
        metres_per_unit: NaN while UNKNOWN.
        spread: robust standard deviation / median of the samples; NaN without.
        epoch: 0 until the first scale or reset; grows with each reset and when an earlier scale stops to hold.
        samples: number behind the value.
        stamp_ns: stamp of the last sample used.
    """

    state: ScaleState
    source: ScaleSource
    metres_per_unit: float
    spread: float
    epoch: int
    samples: int
    stamp_ns: int


@dataclass(frozen=True)
class ScaleUpdate:
    """What a sample did.

    Attributes:
        estimate: the scale after it.
        used: whether the sample entered the window.
        reason: why not: "not_finite", "source_off", "outlier"; empty when used.
        new_epoch: the value was replaced discontinuously: start a new segment.
    """

    estimate: ScaleEstimate
    used: bool
    reason: str
    new_epoch: bool


class ScaleEstimator:
    """Weighted median of the last samples of the best source, with outlier gate and epochs. Single-threaded.

    METRIC needs samples that agree, most of which still fit: a scale of whose recent samples many were
    set aside is contested, and DEGRADED until they fit again or agree on another value (a new epoch).
    """

    def __init__(self, config: ScaleConfig | None = None) -> None:
        self._config = config or ScaleConfig()
        if self._config.min_samples < 1 or self._config.window < self._config.min_samples:
            raise InputError("Scale needs 1 <= min_samples <= window.")
        self._windows: dict[ScaleSource, deque[ScaleSample]] = {}
        self._set_aside: dict[ScaleSource, list[ScaleSample]] = {}
        self._fitted: dict[ScaleSource, deque[bool]] = {}  # whether the last samples fitted
        self._silent_pairs: Counter[ScaleSource] = Counter()  # chained pairs since a sample was used
        self._estimate = _unknown(0)

    @property
    def estimate(self) -> ScaleEstimate:
        """The scale now."""
        return self._estimate

    def add_sample(self, sample: ScaleSample) -> ScaleUpdate:
        """Take one measurement of the current segment's unit."""
        reason = self._refusal(sample)
        if reason:
            return ScaleUpdate(self._estimate, False, reason, False)
        window = self._windows.setdefault(sample.source, deque(maxlen=self._config.window))
        fitted = self._fitted.setdefault(sample.source, deque(maxlen=RECENT))
        aside = self._set_aside.setdefault(sample.source, [])
        used = not self._is_outlier(sample, window)
        if used:
            window.append(sample)
            aside.clear()
        else:
            aside.append(sample)
            if self._agree(aside):
                used = True
                window.clear()
                window.extend(aside)
                aside.clear()
                fitted.clear()
        fitted.append(used)
        if used:
            self._silent_pairs[sample.source] = -1  # end_pair makes it 0
        new_epoch = self._update()
        return ScaleUpdate(self._estimate, used, "" if used else "outlier", new_epoch)

    def end_pair(self) -> ScaleUpdate:
        """Note that a chained pair was dealt with, after its samples if it gave any.

        A source without samples for many pairs gives way to the next one, and a scale without any grows stale.
        """
        for source in self._windows:
            self._silent_pairs[source] += 1
        new_epoch = self._update()
        return ScaleUpdate(self._estimate, False, "", new_epoch)

    def on_new_segment(self) -> ScaleEstimate:
        """Drop all samples, because the unit changed: UNKNOWN, and a new epoch if there was a scale."""
        had_scale = self._estimate.state is not ScaleState.UNKNOWN
        self._windows.clear()
        self._set_aside.clear()
        self._fitted.clear()
        self._silent_pairs.clear()
        self._estimate = _unknown(self._estimate.epoch + int(had_scale))
        return self._estimate

    def change_unit(self, old_per_new: float) -> ScaleEstimate:
        """Keep the samples for a new segment whose unit is known in the old one's (a new epoch begins it).

        Args:
            old_per_new: old segment units per new one.
        """

        def moved(sample: ScaleSample) -> ScaleSample:
            return replace(sample, metres_per_unit=sample.metres_per_unit * old_per_new)

        for window in self._windows.values():
            held = [moved(sample) for sample in window]
            window.clear()
            window.extend(held)
        self._set_aside = {source: [moved(s) for s in aside] for source, aside in self._set_aside.items()}
        value = self._estimate.metres_per_unit * old_per_new
        self._estimate = replace(self._estimate, metres_per_unit=value)
        return self._estimate

    def reset(self) -> ScaleEstimate:
        """Same as a new segment, and always a new epoch, which tells of each ~/reset, even without a scale."""
        epoch = self._estimate.epoch + 1
        self.on_new_segment()
        self._estimate = _unknown(epoch)
        return self._estimate

    def adopt(self, claimed: ScaleEstimate) -> ScaleEstimate:
        """Take the scale of a map that comes from elsewhere: a claim, so DEGRADED at best, and a new epoch.

        No sample of this robot's motion supports it; the next new segment ends it.
        """
        epoch = self._estimate.epoch + 1
        self.on_new_segment()
        known = claimed.state is not ScaleState.UNKNOWN and math.isfinite(claimed.metres_per_unit)
        good = known and claimed.metres_per_unit > 0
        self._estimate = replace(claimed, state=ScaleState.DEGRADED, epoch=epoch) if good else _unknown(epoch)
        return self._estimate

    def _refusal(self, sample: ScaleSample) -> str:
        if not (math.isfinite(sample.metres_per_unit) and sample.metres_per_unit > 0 and sample.weight > 0):
            return "not_finite"
        is_model = sample.source is ScaleSource.MODEL
        allowed = self._config.allow_model if is_model else sample.source in self._config.order
        return "" if allowed else "source_off"

    def _is_outlier(self, sample: ScaleSample, window: deque[ScaleSample]) -> bool:
        if len(window) < self._config.min_samples:
            return False
        median, _ = _median_and_spread(window)
        return abs(math.log(sample.metres_per_unit / median)) > self._config.outlier_log_ratio

    def _agree(self, aside: list[ScaleSample]) -> bool:
        """Tell whether the last samples set aside are enough and near each other; forget older ones."""
        del aside[: -self._config.jump_samples]
        values = [math.log(sample.metres_per_unit) for sample in aside]
        enough = len(aside) >= self._config.jump_samples
        return enough and max(values) - min(values) <= self._config.outlier_log_ratio

    def _update(self) -> bool:
        """Take the scale of the best source with enough samples; return whether that begins a new epoch."""
        old, new = self._estimate, self._best()
        if new is None:
            return False
        replaced = old.state is not ScaleState.UNKNOWN and (
            abs(math.log(new.metres_per_unit / old.metres_per_unit)) > self._config.outlier_log_ratio
            or (old.source is ScaleSource.MODEL) != (new.source is ScaleSource.MODEL)
        )
        self._estimate = replace(new, epoch=max(1, old.epoch + int(replaced)))
        return replaced

    def _best(self) -> ScaleEstimate | None:
        """Return the first source in order whose samples agree, else one that merely has samples (DEGRADED)."""
        enough = [s for s in self._config.order if len(self._windows.get(s, ())) >= self._config.min_samples]
        fresh = [s for s in enough if self._silent_pairs[s] <= self._config.takeover_pairs]
        candidates = [self._of_source(source) for source in [*fresh, *(s for s in enough if s not in fresh)]]
        metric = [c for c in candidates if c.state is ScaleState.METRIC]
        if metric:
            return metric[0]
        if candidates and self._estimate.source not in (ScaleSource.NONE, ScaleSource.MODEL):
            return candidates[
                0
            ]  # samples that disagree never make a scale, but they put a doubt on the one there is
        return self._of_source(ScaleSource.MODEL) if self._windows.get(ScaleSource.MODEL) else None

    def _of_source(self, source: ScaleSource) -> ScaleEstimate:
        window = self._windows[source]
        median, spread = _median_and_spread(window)
        fitted = self._fitted[source]
        contested = len(fitted) >= self._config.jump_samples and sum(fitted) < MIN_FITTED * len(fitted)
        error = MEDIAN_ERROR * spread / math.sqrt(len(window))
        precise = spread <= self._config.max_spread and error <= self._config.max_error
        stale = self._silent_pairs[source] > self._config.stale_pairs
        good = source is not ScaleSource.MODEL and precise and not contested and not stale
        state = ScaleState.METRIC if good else ScaleState.DEGRADED
        epoch, stamp_ns = self._estimate.epoch, window[-1].stamp_ns
        return ScaleEstimate(state, source, median, spread, epoch, len(window), stamp_ns)


def _unknown(epoch: int) -> ScaleEstimate:
    return ScaleEstimate(ScaleState.UNKNOWN, ScaleSource.NONE, math.nan, math.nan, epoch, 0, 0)


def _median_and_spread(samples: Iterable[ScaleSample]) -> tuple[float, float]:
    """Return the weighted median of metres per unit and the robust standard deviation of its logarithm.

    Of few samples the largest deviation stands for the latter.
    """
    held = list(samples)
    logs = np.log([s.metres_per_unit for s in held])
    weights = np.array([s.weight for s in held], dtype=np.float64)
    median = lower_weighted_median(logs, weights)
    deviation = np.abs(logs - median)
    if len(held) < FEW:  # a median deviation of three ignores the worst one
        return math.exp(median), float(deviation.max())
    return math.exp(median), MAD_TO_STD * lower_weighted_median(deviation, weights)
