"""Metres per unit: unknown, metric or degraded, from samples of one or more sources."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


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
        outlier_log_ratio: a sample further than this from the present scale (natural log) is set aside.
        jump_samples: that many samples set aside in a row that agree with each other replace the scale.
        stale_pairs: chained pairs without a sample after which METRIC becomes DEGRADED.
    """

    order: tuple[ScaleSource, ...] = AUTO_ORDER
    allow_model: bool = False
    window: int = 15
    min_samples: int = 3
    max_spread: float = 0.25
    outlier_log_ratio: float = 0.5
    jump_samples: int = 4
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
        epoch: 0 until the first scale; grows when an earlier scale stops to hold.
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
    """Weighted median of the last samples of the best source, with outlier gate and epochs. Single-threaded."""

    def __init__(self, config: ScaleConfig | None = None) -> None:
        raise NotImplementedError

    @property
    def estimate(self) -> ScaleEstimate:
        """The scale now."""
        raise NotImplementedError

    def add_sample(self, sample: ScaleSample) -> ScaleUpdate:
        """Take one measurement of the current segment's unit."""
        raise NotImplementedError

    def skip_sample(self) -> ScaleEstimate:
        """Note a chained pair that gave no sample; many in a row make the scale stale (DEGRADED)."""
        raise NotImplementedError

    def on_new_segment(self) -> ScaleEstimate:
        """Drop all samples, because the unit changed: UNKNOWN, and a new epoch if there was a scale."""
        raise NotImplementedError

    def reset(self) -> ScaleEstimate:
        """Same as a new segment (service ~/reset); the epoch is never set back."""
        raise NotImplementedError
