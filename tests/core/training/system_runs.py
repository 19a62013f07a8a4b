"""Small trainers of the reference systems on generated rooms."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from lsm_core.data.box_rooms import BoxRoom
from lsm_core.data.selection import SceneSource
from lsm_core.training.processes import Processes
from lsm_core.training.system_trainer import SystemTrainer
from lsm_core.training.systems import SYSTEMS, make_system

ALONE = Processes(0, 1, torch.device("cpu"))


def smoke(name: str, **run: Any) -> Any:
    """Return the smoke configuration of a system with some values of its run changed."""
    config = SYSTEMS[name].presets["smoke"]
    return replace(config, run=replace(config.run, **run))


def trainer(
    name: str, folder: Path, config: Any = None, processes: Processes = ALONE, rooms: int = 2
) -> SystemTrainer:
    """Return a trainer whose pictures have the size that the network takes."""
    config = config or smoke(name)
    side = config.fitting.height
    scenes = [BoxRoom(seed, 8, side, side) for seed in range(rooms)]
    return SystemTrainer(make_system(name, config), SceneSource(scenes, config.selection), folder, processes)
