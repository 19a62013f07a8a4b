"""Compiled kernels do not outlive the sources they were made of."""

from __future__ import annotations

import os
from pathlib import Path

from lsm_core.render.cpu_cache import discard_older_than_sources


def test_kernels_older_than_any_source_are_removed(tmp_path: Path) -> None:
    cache = tmp_path / "__pycache__"
    cache.mkdir()
    for name, age in (
        ("kernel.py", 100),
        ("constants.py", 50),
        ("__pycache__/old.nbi", 70),
        ("__pycache__/new.nbi", 10),
    ):
        (tmp_path / name).write_text("")
        os.utime(tmp_path / name, (1e9 - age, 1e9 - age))
    assert discard_older_than_sources(tmp_path) == 1
    assert [path.name for path in cache.iterdir()] == ["new.nbi"]


def test_a_folder_without_a_cache_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "kernel.py").write_text("")
    assert discard_older_than_sources(tmp_path) == 0
