"""Images and a backend for the command line tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from lsm_runner import Lsm

from lsm_core.backends import registry
from lsm_core.cli.main import main
from lsm_core.io import write_png


@pytest.fixture
def lsm(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Lsm:
    """Run `lsm WORDS...`; returns exit code, standard output and standard error."""
    monkeypatch.setitem(registry._MODULES, "wall", "wall_backend")
    monkeypatch.setitem(registry._MODULES, "mute-wall", "mute_wall_backend")
    monkeypatch.setenv("COLUMNS", "200")

    def run(*words: object) -> tuple[int, str, str]:
        code = main([str(word) for word in words])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """Two bright images of 80x60."""
    rng = np.random.default_rng(0)
    paths = (tmp_path / "a.png", tmp_path / "b.png")
    for path in paths:
        write_png(path, rng.integers(60, 200, (60, 80, 3), dtype=np.uint8))
    return paths
