"""Configurations: presets, YAML files that change them, and what is refused."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest

from lsm_core.errors import InputError
from lsm_core.training.config import Grid, Stage, TrainConfig
from lsm_core.training.config_choice import changed, choose_config
from lsm_core.training.systems import SYSTEMS

PRESETS = SYSTEMS["noposplat"].presets


def chosen(folder: Path, text: str) -> object:
    path = folder / "own.yaml"
    path.write_text(text)
    return choose_config(str(path), PRESETS, "released")


def test_a_file_changes_a_preset_and_leaves_the_rest(tmp_path: Path) -> None:
    text = "preset: smoke\nrun: {steps: 7, optimiser: {learning_rate: 1e-4, betas: [0.8, 0.9]}}\nold_rate: 1\n"
    config = chosen(tmp_path, text)
    expected = asdict(PRESETS["smoke"])
    expected["run"]["steps"], expected["old_rate"] = 7, 1.0
    expected["run"]["optimiser"] |= {"learning_rate": 1e-4, "betas": (0.8, 0.9)}
    assert asdict(config) == expected  # type: ignore[call-overload]
    assert choose_config("released", PRESETS, "smoke") is PRESETS["released"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rum: {steps: 7}", "no 'rum'.*run"),
        ("run: {stepz: 7}", "run: there is no 'stepz'"),
        ("run: {steps: many}", "steps is 'many'"),
        ("run: {steps: true}", "steps is True"),
        ("run: {precision: float16}", "precision is 'float16'.*bfloat16"),
        ("run: {steps: 0}", "1 or more"),
        ("selection: {gap: [1, 2, 3]}", "3 values, not 2"),
        ("old_rate: fast", "no number"),
        ("preset: huge", "no preset 'huge'"),
        ("- run", "no mapping"),
        ("run: {", "cannot be read"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        chosen(tmp_path, text)


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InputError, match="smoke"):
        choose_config("tiny", PRESETS, "released")


def test_lists_of_dataclasses_are_made_of_mappings() -> None:
    stages = [{"begins": 0, "grids": [{"height": 64, "width": 96, "share": 1}], "batch": 2, "min_overlap": 0.1}]
    config = changed(TrainConfig(), {"stages": stages}, "x")
    assert config.stages == (Stage(0.0, (Grid(64, 96, 1.0),), 2, 0.1),)
    with pytest.raises(InputError, match="incomplete"):
        changed(TrainConfig(), {"stages": [{"begins": 0}]}, "x")
