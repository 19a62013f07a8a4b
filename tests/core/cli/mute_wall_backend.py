"""The wall backend without language, under its own module name for the registry."""

from __future__ import annotations

from pathlib import Path

import torch
from wall_backend import MuteWallBackend

from lsm_core.backends.base import Backend


def load(device: torch.device, weights: Path | None) -> Backend:
    return MuteWallBackend(device)
