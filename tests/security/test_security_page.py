"""SECURITY.md names files, tests and limits that exist."""

from __future__ import annotations

import re
from pathlib import Path

from lsm_core.io.archive_limits import ALWAYS_FINE, MAX_RATIO
from lsm_core.io.encoded_pictures import MAX_PIXELS
from lsm_core.io.scene_size import MAX_GAUSSIANS
from lsm_core.mapping.saved_map import MOST_PIXELS

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "SECURITY.md").read_text(encoding="utf-8")


def test_every_file_it_names_exists() -> None:
    named = re.findall(r"`((?:src|tests|tools|docs|ros2_ws)/[^`*]*)`", TEXT) + re.findall(r"\]\(([^):]+)\)", TEXT)
    assert len(named) > 10
    assert not [name for name in named if not (ROOT / name.partition("#")[0]).exists()]


def test_the_limits_it_states_are_those_of_the_code() -> None:
    assert MAX_PIXELS == 10**8 and "10^8 pixels" in TEXT
    assert 10**6 <= MOST_PIXELS < 1.1 * 10**6 and "10^6 in a map" in TEXT
    assert MAX_GAUSSIANS == 20_000_000 and "20 million Gaussians" in TEXT
    assert (ALWAYS_FINE, MAX_RATIO) == (64 << 20, 60) and "64 MiB plus 60 times" in TEXT
