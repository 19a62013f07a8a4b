"""Checkpoints: strict loading into our modules."""

from lsm_core.weights.strict import Differences, KeyRules, LoadReport, differences, load_strict, renamed

__all__ = ["Differences", "KeyRules", "LoadReport", "differences", "load_strict", "renamed"]
