"""The systems by name: how each is made and which configurations it has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from lsm_core.training.systems import presets
from lsm_core.training.systems.base import TrainingSystem
from lsm_core.training.systems.lsm import LsmSystem
from lsm_core.training.systems.noposplat import NoposplatSystem
from lsm_core.training.systems.pixelsplat import PixelsplatSystem
from lsm_core.training.systems.splatt3r import Splatt3rSystem


@dataclass(frozen=True)
class SystemKind:
    """One system.

    Attributes:
        make: from a configuration and a generator of first values.
        presets: configurations by name.
        parents: what its training begins from, in words.
    """

    make: Callable[[Any, torch.Generator], TrainingSystem]
    presets: Mapping[str, Any]
    parents: str


SYSTEMS: dict[str, SystemKind] = {
    "lsm": SystemKind(LsmSystem, presets.LSM_PRESETS, "the folder of DUSt3R's and LSeg's checkpoints"),
    "splatt3r": SystemKind(Splatt3rSystem, presets.SPLATT3R_PRESETS, "MASt3R's checkpoint or its folder"),
    "noposplat": SystemKind(NoposplatSystem, presets.NOPOSPLAT_PRESETS, "MASt3R's checkpoint or its folder"),
    "pixelsplat": SystemKind(PixelsplatSystem, presets.PIXELSPLAT_PRESETS, "the folder of DINO's two checkpoints"),
}


def make_system(name: str, config: Any) -> TrainingSystem:
    """Make a system with new weights, which its run's seed decides.

    Args:
        name: of the system.
        config: its configuration.
    """
    torch.manual_seed(config.run.seed)
    return SYSTEMS[name].make(config, torch.Generator().manual_seed(config.run.seed))
