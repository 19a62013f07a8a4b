"""`lsm` itself: help, usage errors, version."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from lsm_runner import Lsm

import lsm_core
from lsm_core.cli.guide import GUIDE


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


def test_an_error_names_the_section_that_treats_it(lsm: Lsm, tmp_path: Path) -> None:
    words = ("weights", "verify", str(tmp_path / "none.safetensors"))
    code, _, errors = lsm(*words)
    assert code == 1 and errors.rstrip().endswith(f"See {GUIDE}#weights")
    _, text, _ = lsm(*words, "--json")
    assert json.loads(text)["see"] == f"{GUIDE}#weights"


def test_an_error_of_usage_says_it_all(lsm: Lsm, tmp_path: Path) -> None:
    code, _, errors = lsm("weights", "fetch", "lsm-tniy", "--to", str(tmp_path))
    assert code == 1 and "unknown_backend" in errors and GUIDE not in errors
