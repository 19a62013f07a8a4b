"""Settings of a training run: data, curriculum, losses, optimiser."""

from __future__ import annotations

from dataclasses import dataclass, field

from lsm_core.nn.tiny import TinyConfig


@dataclass(frozen=True)
class Grid:
    """An image size the network trains at, and how often."""

    height: int  # px, multiple of 32
    width: int  # px, multiple of 32
    share: float


@dataclass(frozen=True)
class Stage:
    """One step of the curriculum: from this share of the time on, train at these sizes."""

    begins: float  # share of the run's time, 0 to 1
    grids: tuple[Grid, ...]  # the first one is used for validation
    batch: int  # pairs per step
    min_overlap: float
    by_class: float = 0.0  # share of the pairs drawn by class: a class first, then a pair that shows it
    language: float = 1.0  # factor on the language term
    unrelated: float = 0.0  # share of the pairs whose second view is from elsewhere


SMALL_GRIDS = (Grid(96, 128, 0.75), Grid(96, 160, 0.25))
MIDDLE_GRIDS = (Grid(128, 160, 0.6), Grid(128, 192, 0.25), Grid(160, 160, 0.15))
FULL_GRIDS = (
    Grid(192, 256, 0.5),
    Grid(192, 288, 0.2),
    Grid(160, 288, 0.14),
    Grid(224, 224, 0.1),
    Grid(256, 192, 0.06),
)


@dataclass(frozen=True)
class LossWeights:
    """Weight of each term; see docs/model_card.md for what they are."""

    depth: float = 1.0
    first_depth: float = 0.5
    coarse_depth: float = 0.5
    bins: float = 0.1
    scale: float = 0.1
    gradient: float = 0.5
    matching: float = 0.4
    matchability: float = 0.2
    language: float = 0.5
    cosine: float = 0.2
    focal: float = 0.2
    fine_bins: float = 0.1  # where the network has the second search
    pose: float = 0.0  # rotation and direction of the pose solved from the network's matches and depth
    composed: float = 0.0  # points of a view put in place by it
    dictionary: float = 0.0  # names that the ImageNet classifier sees (see `imagenet_dictionary`)
    confidence_alpha: float = 0.1


@dataclass(frozen=True)
class AugmentConfig:
    """How far images are moved away from the renderer's look."""

    flip: float = 0.5
    swap: float = 0.5
    warp: float = 0.5  # share of views that are rolled and zoomed
    max_roll_deg: float = 8.0
    zoom: tuple[float, float] = (0.9, 1.35)
    colour: float = 0.9
    grey: float = 0.05
    blur: float = 0.2
    jpeg: float = 0.2
    noise: float = 0.4


@dataclass(frozen=True)
class PoseNoise:
    """Error of the pose that the epipolar step is trained with (see `pose_error`)."""

    match_px: float = 1.5  # standard deviation of the correspondences
    matched: float = 0.3  # share of the visible cells that take part
    dropped: float = 0.15  # share of pairs trained without a pose


@dataclass(frozen=True)
class TrainConfig:
    """Everything that decides a run besides the data."""

    minutes: float = 60.0
    steps: int = 0  # where above 0, the schedule follows steps instead of minutes
    seed: int = 0
    network: TinyConfig = field(default_factory=TinyConfig)
    stages: tuple[Stage, ...] = (
        Stage(0.0, SMALL_GRIDS, 16, 0.3),
        Stage(0.35, MIDDLE_GRIDS, 12, 0.25, by_class=0.5, language=2.0),
        Stage(0.62, FULL_GRIDS, 8, 0.2, by_class=0.5, language=2.0, unrelated=0.08),
    )
    learning_rate: float = 1e-3
    encoder_learning_rate: float = 2e-4
    weight_decay: float = 0.02
    warmup_steps: int = 150
    decay_from: float = 0.0  # share of the run from which the learning rate falls, as a cosine
    final_rate: float = 0.02  # of the peak, at the end of the cosine
    held_out_words: tuple[str, ...] = ()  # synonyms never trained with
    clip_norm: float = 1.0
    ema_decay: float = 0.998
    drop_intrinsics: float = 0.3
    frozen_blocks: int = 3  # of the encoder, besides the stem: up to and with the 1/4 level
    checkpoint_seconds: float = 120.0
    validate_seconds: float = 300.0
    validation_pairs: int = 48
    rescan_seconds: float = 30.0
    memory_gb: float = 8.0
    generated_rooms: int = 0  # rooms of boxes to make where no data are named
    weights: LossWeights = field(default_factory=LossWeights)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    pose_noise: PoseNoise = field(default_factory=PoseNoise)

    def stage(self, progress: float) -> Stage:
        """Return the stage that a share of the time in [0, 1] falls into."""
        return [stage for stage in self.stages if stage.begins <= progress][-1]
