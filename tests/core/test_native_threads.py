"""Thread defaults are set before the native libraries load, and give way to the user's own."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

SHOW = "import sys; import lsm_core, os; print(os.environ['OMP_WAIT_POLICY'], os.environ['OPENBLAS_NUM_THREADS'])"


def run(**variables: str) -> str:
    names = ("OMP_WAIT_POLICY", "OPENBLAS_NUM_THREADS")
    environment = {k: v for k, v in os.environ.items() if k not in names} | variables
    done = subprocess.run([sys.executable, "-c", SHOW], env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("given", "expected"),
    [({}, "PASSIVE 1"), ({"OMP_WAIT_POLICY": "ACTIVE", "OPENBLAS_NUM_THREADS": "2"}, "ACTIVE 2")],
)
def test_defaults_are_set_unless_the_user_chose(given: dict[str, str], expected: str) -> None:
    assert run(**given) == expected


def test_they_are_set_before_torch_is_loaded() -> None:
    """At the moment torch is first looked for, the variables are already there."""
    code = """
import os, sys
os.environ.pop("OMP_WAIT_POLICY", None)
class Watch:
    def find_spec(self, name, path=None, target=None):
        if name in ("torch", "numpy"):
            print(name, os.environ.get("OMP_WAIT_POLICY"))
sys.meta_path.insert(0, Watch())
import lsm_core
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split("\n")) >= {"torch PASSIVE", "numpy PASSIVE"}
