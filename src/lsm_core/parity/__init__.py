"""Comparison with recorded outputs of the reference systems."""

import lsm_core.parity.families  # noqa: F401  (registers the families)
from lsm_core.parity.fixture import Fixture, read_fixture
from lsm_core.parity.registry import Family, family_keys, family_of, register_family
from lsm_core.parity.runner import FixtureReport, run_fixture, run_folder
from lsm_core.parity.tolerance import Tolerance, tolerance_of

__all__ = [
    "Family",
    "Fixture",
    "FixtureReport",
    "Tolerance",
    "family_keys",
    "family_of",
    "read_fixture",
    "register_family",
    "run_fixture",
    "run_folder",
    "tolerance_of",
]
