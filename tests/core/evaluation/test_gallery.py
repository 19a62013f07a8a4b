"""The page of pictures: which pairs are on it, what it says of them, and its files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from test_goals import record
from truth_backend import TruthBackend, make_pairs

from lsm_core.evaluation import gallery
from lsm_core.evaluation.gallery import TYPICAL, WORST, figures_of, pick_pairs, write_gallery


def test_the_worst_are_those_with_the_largest_rotation_errors_and_typical_ones_spread_over_the_rest() -> None:
    errors = np.random.default_rng(0).permutation(50).astype(float)
    records = [record(0.6, float(error)) for error in errors]
    pairs = make_pairs(50)
    typical, worst = pick_pairs(pairs, records)
    assert [p.record.pose.rotation_deg for p in worst] == [49, 48, 47, 46, 45]
    assert [p.record.pose.rotation_deg for p in typical] == [4, 13, 22, 31, 40]
    for picked in (*typical, *worst):
        assert picked.pair is pairs[records.index(picked.record)]


def test_pairs_with_little_overlap_are_not_ranked() -> None:
    records = [record(0.1, 90.0), *(record(0.6, float(k)) for k in range(8))]
    typical, worst = pick_pairs(make_pairs(9), records)
    assert all(p.record.overlap > 0.4 for p in (*typical, *worst))


def test_figures_name_what_was_measured() -> None:
    assert figures_of(record(0.62, 3.25, 0.91, 0.3, 0.123)) == (
        "overlap 0.62, baseline 0.30 m, rotation 3.2° off, direction 3° off, depth absrel 0.123, within 1.25 0.90, "
        "view-1 points 0.100, validity 0.91"
    )


def test_the_page_shows_every_pair_and_replaces_an_older_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = make_pairs(12)
    monkeypatch.setattr(gallery, "choose_pairs", lambda _: pairs)
    monkeypatch.setattr(gallery, "load_pairs", lambda _, chosen: list(chosen))

    class Sequence:
        title = "a drawn recording"

    page = tmp_path / "pictures.md"
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "pictures_99.webp").write_bytes(b"old")
    (tmp_path / "images" / "other.webp").write_bytes(b"kept")
    sequence: Any = Sequence()
    picked = write_gallery(TruthBackend(pairs, turn_deg=2.0), sequence, page, "lsm eval gallery")
    text = page.read_text()
    shown = re.findall(r"!\[[^]]*\]\(([^)]+)\)", text)
    assert len(picked) == len(shown) == len(set(shown)) <= len(TYPICAL) + WORST
    for place in shown:
        with Image.open(tmp_path / place) as picture:
            assert picture.width == gallery.WIDTH
    assert text.count("rotation 2.0° off") == len(picked) and "a drawn recording" in text
    assert sorted(p.name for p in (tmp_path / "images").iterdir()) == sorted(
        ["other.webp", *(Path(place).name for place in shown)]
    )
