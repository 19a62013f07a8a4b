"""Bring-up starts a process that ends with an error again, and no other."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from lsm_perception.respawn import run_in_foreground
from waiting import wait_until

CHILD = """
import pathlib, sys
log = pathlib.Path(sys.argv[1])
with log.open("a") as out:
    out.write("run\\n")
codes = [int(code) for code in sys.argv[2:]]
sys.exit(codes[min(len(log.read_text().split()), len(codes)) - 1])
"""
PARENT = """
import sys
from lsm_perception.respawn import run_in_foreground
raise SystemExit(run_in_foreground(sys.argv[1:], respawn=True, delay_s=60.0))
"""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "runs"


@pytest.fixture(autouse=True)
def handlers() -> object:
    """Put the signal handlers of the test process back."""
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


def child(log: Path, *codes: int) -> list[str]:
    return [sys.executable, "-c", CHILD, str(log), *map(str, codes)]


def runs(log: Path) -> int:
    return len(log.read_text().split()) if log.exists() else 0


def test_an_error_starts_it_again_until_it_ends_well(log: Path) -> None:
    assert run_in_foreground(child(log, 3, 1, 0), respawn=True, delay_s=0.01) == 0
    assert runs(log) == 3


def test_without_respawn_the_code_is_handed_on(log: Path) -> None:
    assert run_in_foreground(child(log, 3), respawn=False) == 3
    assert runs(log) == 1


def test_a_signal_between_two_runs_ends_it(log: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", PARENT, *child(log, 3)], stderr=subprocess.PIPE)
    assert process.stderr is not None
    assert b"ended with code 3" in process.stderr.readline()
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0 and runs(log) == 1


def test_a_signal_reaches_the_process_that_runs(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    sleeper = [
        sys.executable,
        "-c",
        "import pathlib, signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\n"
        f"pathlib.Path({str(ready)!r}).touch()\n"
        "time.sleep(60)",
    ]
    script = (
        f"from lsm_perception.respawn import run_in_foreground as r; raise SystemExit(r({sleeper!r}, True, 60.0))"
    )
    process = subprocess.Popen([sys.executable, "-c", script])
    assert wait_until(ready.exists, 30.0)
    started = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0 and time.monotonic() - started < 20
