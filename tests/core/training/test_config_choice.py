"""Configurations: presets, YAML files that change them, and what is refused."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest

from lsm_core.errors import InputError
from lsm_core.nn.lsm import LsmConfig
from lsm_core.nn.noposplat import NoposplatConfig
from lsm_core.nn.pixelsplat import PixelsplatConfig
from lsm_core.nn.splatt3r import Splatt3rConfig
from lsm_core.training.config import Grid, Stage, TrainConfig
from lsm_core.training.config_choice import changed, choose_config, config_text
from lsm_core.training.recipes import RECIPES
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


@pytest.mark.parametrize("name", SYSTEMS)
def test_every_preset_printed_as_a_file_is_read_back_as_it_was(name: str, tmp_path: Path) -> None:
    presets = SYSTEMS[name].presets
    for preset, other in (("released", "smoke"), ("smoke", "released")):
        path = tmp_path / f"{preset}.yaml"
        path.write_text(f"preset: {other}\n{config_text(presets[preset])}")
        assert choose_config(str(path), presets, "released") == presets[preset]


def test_the_recipes_of_lsm_tiny_are_read_back_as_they_were(tmp_path: Path) -> None:
    for name, recipe in RECIPES.items():
        path = tmp_path / "recipe.yaml"
        path.write_text(config_text(recipe))
        assert choose_config(str(path), RECIPES, "v0") == recipe, name


def test_released_networks_have_the_sizes_of_the_official_files() -> None:
    networks = {name: SYSTEMS[name].presets["released"].network for name in SYSTEMS}
    assert networks == {
        "lsm": LsmConfig(),
        "splatt3r": Splatt3rConfig(descriptor=None),
        "noposplat": NoposplatConfig(),
        "pixelsplat": PixelsplatConfig(),
    }
