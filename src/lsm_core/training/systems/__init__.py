"""The four reference systems as the training loop takes them, and their named configurations."""

from lsm_core.training.systems.base import TrainingSystem
from lsm_core.training.systems.registry import SYSTEMS, SystemKind, make_system

__all__ = ["SYSTEMS", "SystemKind", "TrainingSystem", "make_system"]
