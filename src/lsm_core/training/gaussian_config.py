"""Settings of a training run of the Gaussian head."""

from __future__ import annotations

from dataclasses import dataclass, field

from lsm_core.errors import InputError
from lsm_core.nn.tiny.gaussian_head import WIDTHS
from lsm_core.training.config import AugmentConfig

INPUTS = ("own", "across")


@dataclass(frozen=True)
class GaussianTrainConfig:
    """Everything that decides a run besides the data and the network that stays as it is."""

    steps: int = 800
    seed: int = 0
    pairs: int = 4  # triples of views per step
    triples: int = 1000  # made once and kept in memory, 0.5 MB each
    height: int = 192  # px of the images given to the network, one of its grids
    width: int = 256
    min_overlap: float = 0.25
    dim: int = 32  # width of a new head
    learning_rate: float = 2e-3
    warmup_steps: int = 20
    final_rate: float = 0.02  # of the peak, at the end of the cosine
    clip_norm: float = 1.0
    ema_decay: float = 0.99
    fine: float = 0.4  # share of the third views drawn on the input grid, the others on the output grid
    given_views: float = 0.2  # weight of one of the two views that were given, beside 1 of the third
    structure: float = 0.1  # weight of 1 - SSIM beside the logarithm of the mean squared error
    relative: bool = True  # the logarithm; False: the mean squared error itself, times 100
    changes: tuple[str, ...] = tuple(WIDTHS)  # what the head may change
    inputs: tuple[str, ...] = INPUTS  # what it may read
    checkpoint_seconds: float = 60.0
    validation_triples: int = 24
    augment: AugmentConfig = field(default_factory=AugmentConfig)


def validated(config: GaussianTrainConfig) -> GaussianTrainConfig:
    """Return the settings.

    Raises:
        InputError: the head cannot change or read something of that name.
    """
    for verb, names, known in (("change", config.changes, tuple(WIDTHS)), ("read", config.inputs, INPUTS)):
        for name in names:
            if name not in known:
                raise InputError(f"A Gaussian head cannot {verb} '{name}'.", f"Choose among: {', '.join(known)}.")
    return config
