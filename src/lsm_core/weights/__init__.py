"""Checkpoints: strict loading into our modules."""

from lsm_core.weights.parts import Part, load_parts
from lsm_core.weights.strict import (
    Differences,
    KeyRules,
    LoadReport,
    check_fit,
    completed,
    differences,
    load_strict,
    renamed,
)

__all__ = [
    "Differences",
    "KeyRules",
    "LoadReport",
    "Part",
    "check_fit",
    "completed",
    "differences",
    "load_parts",
    "load_strict",
    "renamed",
]
