"""The log of a run: rows, what a resumed run takes back, TensorBoard where it is installed."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from lsm_core.errors import DependencyError
from lsm_core.training.run_log import RunLog


def test_rows_after_the_checkpoint_and_a_row_cut_short_are_dropped(tmp_path: Path) -> None:
    log = RunLog(tmp_path)
    log.rewind(3)  # no file yet
    for step in range(1, 6):
        log.write({"step": step, "loss": 1.0 / step})
    with log.path.open("a") as file:
        file.write('{"step": 2, "lo')
    log.rewind(3)
    log.write({"step": 4, "loss": 9.0})
    assert [json.loads(line)["step"] for line in log.path.read_text().splitlines()] == [1, 2, 3, 4]


@pytest.mark.skipif(importlib.util.find_spec("tensorboard") is not None, reason="TensorBoard is installed")
def test_tensorboard_that_is_not_installed_is_named(tmp_path: Path) -> None:
    with pytest.raises(DependencyError, match=r"lsm_core\[tensorboard\]"):
        RunLog(tmp_path, tensorboard=True)


def test_tensorboard_gets_the_numbers_under_their_names(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    log = RunLog(tmp_path, tensorboard=True)
    log.write({"step": 4, "loss": 0.5, "validation": {"absrel": 0.25}})
    log.close()
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [(e.step, e.value) for e in events.Scalars("loss")] == [(4, 0.5)]
    assert [(e.step, e.value) for e in events.Scalars("validation/absrel")] == [(4, 0.25)]
