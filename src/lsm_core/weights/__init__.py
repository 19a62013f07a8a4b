"""Checkpoints: strict loading into our modules."""

from lsm_core.weights.strict import KeyRules, LoadReport, load_strict, renamed

__all__ = ["KeyRules", "LoadReport", "load_strict", "renamed"]
