"""docs/backends.md: every backend has its row; licences are those of the checkpoints, times those measured."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from lsm_core.backends import Backend, backend_names, semantic_names
from lsm_core.backends.registry import _MODULES
from lsm_core.weights.table import BASELINES, CHECKPOINTS, ONE_IS_ENOUGH

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "backends.md").read_text(encoding="utf-8")
PERFORMANCE = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
OURS = "lsm-tiny"


def section(title: str) -> list[list[str]]:
    """Return the cells of the table of a section."""
    text = PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]
    return [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| `")]


def backend_class(name: str) -> type[Backend]:
    """Return the class of a backend."""
    module = importlib.import_module(_MODULES[name])
    (found,) = [
        kind
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, Backend) and getattr(kind, "name", None) == name
    ]
    return found


@pytest.mark.parametrize("title", ["What each takes and gives", "What each costs"])
def test_every_backend_has_a_row_and_nothing_else_has(title: str) -> None:
    assert [row[0].strip("`") for row in section(title)] == list(backend_names())


def test_views_needs_and_words_are_those_of_the_classes() -> None:
    for name, _, views, told, _, unit, words in section("What each takes and gives"):
        kind = backend_class(name.strip("`"))
        assert views == ("2" if kind.max_views == 2 else f"2 to {kind.max_views}"), name
        assert ("poses" in told) == kind.needs_poses, name
        assert (told == "poses and intrinsics") == kind.needs_intrinsics, name
        assert words == ("yes" if kind.has_language else "no"), name
        claims = getattr(kind, "unit", "relative") == "metric"
        assert unit == ("metric" if claims else "relative"), name


def test_licences_and_sizes_are_those_of_the_table_of_checkpoints() -> None:
    expected = []
    for owner, files in CHECKPOINTS.items():
        groups = [files] if owner in ONE_IS_ENOUGH else [(file,) for file in files]
        for group in groups:
            assert len({(file.licence, file.gigabytes) for file in group}) == 1
            names = tuple(file.name for file in group)
            expected.append((owner, names, str(group[0].gigabytes), group[0].licence))
    found = []
    for owner, listed, size, licence, _ in section("Licences"):
        if owner.strip("`") != OURS:
            found.append((owner.strip("`"), tuple(re.findall("`([^`]+)`", listed)), size, licence))
    assert sorted(found) == sorted(expected)
    owners = {row[0].strip("`") for row in section("Licences")}
    assert owners == {*backend_names(), *semantic_names(), *BASELINES}


def test_commercial_use_follows_from_the_licence() -> None:
    for row in section("Licences"):
        licence, use = row[3], row[4]
        wanted = "no" if "non-commercial" in licence else "yes" if licence == "Apache-2.0" else "not settled"
        assert use == wanted, row[0]
    forbidden = {c.licence for files in CHECKPOINTS.values() for c in files if c.non_commercial}
    assert forbidden == {row[3] for row in section("Licences") if row[4] == "no"}


def test_our_weights_are_as_large_as_stated() -> None:
    (row,) = [row for row in section("Licences") if row[0].strip("`") == OURS]
    million = float(next(r[1] for r in section("What each costs") if r[0].strip("`") == OURS))
    assert float(row[2]) == pytest.approx(4e-3 * million, abs=0.005)


def test_times_are_those_of_the_performance_page() -> None:
    block = PERFORMANCE.split("<!-- begin: lsm bench backends -->")[1].split("<!-- end")[0]
    lines = [line.strip("| ").split(" | ") for line in block.splitlines() if line.startswith("| ")]
    measured = {
        cells[0]: [float(cell) for cell in cells[1:6]] for cells in lines[2:] if cells[0] in backend_names()
    }
    for name, parameters, memory, encode, pair, keyframe in section("What each costs"):
        million, mib, encode_ms, decode_ms, pair_ms = measured[name.strip("`")]
        assert (float(parameters), float(memory)) == (million, mib), name
        seconds = [f"{ms / 1e3:.2f}" for ms in (encode_ms, pair_ms, encode_ms + decode_ms)]
        assert [encode, pair, keyframe] == seconds, name
