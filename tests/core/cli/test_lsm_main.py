"""`lsm` itself: help, usage errors, version."""

from __future__ import annotations

import pytest
from lsm_runner import Lsm

import lsm_core


@pytest.mark.parametrize("verb", ["reconstruct", "query", "render", "export", "doctor", "parity"])
def test_help_of_every_verb(lsm: Lsm, verb: str) -> None:
    code, text, _ = lsm(verb, "--help")
    assert code == 0 and "Usage: lsm" in text


def test_unknown_verbs_exit_with_two(lsm: Lsm) -> None:
    code, _, errors = lsm("frobnicate")
    assert code == 2 and "frobnicate" in errors


def test_version(lsm: Lsm) -> None:
    code, text, _ = lsm("--version")
    assert code == 0 and lsm_core.__version__ in text
