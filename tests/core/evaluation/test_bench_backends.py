"""The bench over backends: every stage is timed, the twin beside the fast way, and the table says so."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import typer

from lsm_core.backends import backend_names
from lsm_core.backends.seeded import has_twin, sized_options, write_seeded
from lsm_core.cli.bench_backends import notes, parse_names, parse_sides, parse_weights, times_table
from lsm_core.evaluation.bench_backends import DECODE, ENCODE, LOAD, PAIR, TWIN, BenchTask, alone, bench_backend
from lsm_core.evaluation.bench_lsm import peak_mib


@pytest.mark.parametrize("name", ["dust3r", "mast3r", "pixelsplat"])
def test_stages_and_twin_are_timed(name: str, tmp_path: Path) -> None:
    place = write_seeded(name, tmp_path)
    found = bench_backend(BenchTask(name, 64, place, "cpu", "float32", 1, None, True, 0))
    assert set(found.stages) >= {LOAD, ENCODE, DECODE, PAIR} and (TWIN in found.stages) == has_twin(name)
    assert all(took.wall > 0 and took.cpu > 0 for took in found.stages.values())
    assert found.parameters > 1000 and found.peak_mib >= found.own_mib > 0 and found.device_mib == 0
    assert found.pairs_per_s == pytest.approx(1 / found.stages[PAIR].wall)
    (row,) = times_table([found], 64, notes([found], [], True, 0, 1, "float32", 0.0)).texts()
    assert row[0] == name and (row[-1] == "–") == (not has_twin(name))


def test_a_process_of_its_own_does_not_begin_with_the_peak_of_its_parent() -> None:
    ballast = np.ones(60_000_000)
    own = peak_mib()
    assert own > ballast.nbytes / 2**20 and alone(peak_mib) < own - ballast.nbytes / 2**21


def test_options_take_size_twin_and_precision_where_the_backend_has_them() -> None:
    assert sized_options("lsm-tiny", 256) is None
    for name in backend_names():
        options = sized_options(name, 512, reference=has_twin(name))
        if options is not None:
            assert options.size == 512  # type: ignore[attr-defined]
            assert getattr(options, "reference", False) == has_twin(name)


def test_words_of_the_command_are_checked() -> None:
    assert parse_names("") == list(backend_names()) and parse_names("lsm, dust3r") == ["lsm", "dust3r"]
    assert parse_sides("256, 512") == [256, 512]
    assert parse_weights(["lsm=a/b"]) == {"lsm": Path("a/b")}
    for parse, words in ((parse_names, "lsm,gpt"), (parse_sides, "100"), (parse_weights, ["lsm"])):
        with pytest.raises(typer.BadParameter):
            parse(words)  # type: ignore[operator]
