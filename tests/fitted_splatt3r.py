"""A checkpoint in Splatt3R's format that knows a few views of a known scene; see `fitted_checkpoints`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from fitted_checkpoints import FITTED, VALUES, WIDTH, KnownView, fit_geometry

from lsm_core.backends.seeded_checkpoints import fill
from lsm_core.backends.seeded_mast3r import SMALL_SPLATT3R, save_splatt3r
from lsm_core.nn.croco import CrocoConfig
from lsm_core.nn.splatt3r import Splatt3r, Splatt3rConfig

OPACITY = 4.0  # before the sigmoid
CONFIG = Splatt3rConfig(
    CrocoConfig(enc_dim=WIDTH, enc_depth=1, enc_heads=6, dec_dim=WIDTH, dec_depth=2, dec_heads=6),
    (8, FITTED, 8, 8),
    2 * VALUES,
    2 * VALUES,
    descriptor=SMALL_SPLATT3R.descriptor,
)


def write_fitted_splatt3r(path: Path, views: Sequence[KnownView], radius: float) -> None:
    """Write a file whose Gaussians are opaque balls of a radius at the true points, in the pixels' colours."""
    network = Splatt3r(CONFIG)
    with torch.no_grad():
        fill(network, 0)
        fit_geometry(network, views)
        for view in (0, 1):
            head: Any = network.head_of(view)
            last = head.gaussian_dpt.dpt.head[4]
            last.weight.zero_()
            balls = [0.0] * 3 + [math.log(radius)] * 3 + [0.0, 0.0, 0.0, 1.0] + [0.0] * 3 + [OPACITY]
            last.bias.copy_(torch.tensor(balls))
    save_splatt3r(path, network)
