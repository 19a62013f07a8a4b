"""The Python blocks of the documents run, and their YAML blocks are read by what they are for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from code_blocks import missing_names, python_blocks, run_block
from document_commands import Block, blocks

from lsm_core.cli.main import main
from lsm_core.training.config_choice import choose_config
from lsm_core.training.recipes import RECIPES
from lsm_core.types import QueryResult

YAML = [block for block in blocks() if block.language in ("yaml", "yml")]
PARAMETERS = [block for block in YAML if "ros__parameters" in block.text and "/**" in block.text]
TRAINING = [block for block in YAML if block.text.startswith("preset:")]
NEEDS = {"viser": "viser"}


def where(block: Block) -> str:
    """Return the name of a block's test."""
    return block.where


@pytest.mark.parametrize("block", python_blocks(with_ros=False), ids=where)
def test_a_python_block_runs(block: Block, page_folder: Path) -> None:
    for package in NEEDS:
        if f"import {package}" in block.text or f", {package}" in block.text:
            pytest.importorskip(package)
    made = run_block(block, {})
    if "server" in made:
        made["server"].stop()


def test_the_block_of_the_first_page_finds_what_it_says(page_folder: Path) -> None:
    (block,) = [b for b in python_blocks(with_ros=False) if b.page == "README.md"]
    made = run_block(block, {})
    found: QueryResult = made["backend"].query(made["pred"], ["chair", "table"])
    assert np.asarray(found.masks[0][1]).shape == made["read_image"]("a.jpg").shape[:2]
    assert made["pred"].pose_valid == [True, True]


@pytest.mark.parametrize("block", YAML, ids=where)
def test_a_yaml_block_can_be_read(block: Block) -> None:
    assert isinstance(yaml.safe_load(block.text), dict)


@pytest.mark.parametrize("block", TRAINING, ids=where)
def test_the_settings_of_a_training_file_exist(
    block: Block, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text(block.text)
    given = yaml.safe_load(block.text)
    if "stages" in given:  # lsm-tiny's, whose command has no --show-config
        assert choose_config(str(path), RECIPES, "v0").steps == given["steps"]
    else:
        assert main(["train", "noposplat", "--config", str(path), "--show-config"]) == 0
        assert f"steps: {given['run']['steps']}" in capsys.readouterr().out


def leaves(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return parameters by their dotted names."""
    out: dict[str, Any] = {}
    for name, value in tree.items():
        whole = f"{prefix}{name}"
        out |= leaves(value, f"{whole}.") if isinstance(value, dict) else {whole: value}
    return out


@pytest.mark.ros
@pytest.mark.parametrize("block", PARAMETERS, ids=where)
def test_the_parameters_of_a_block_are_the_nodes(block: Block) -> None:
    pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
    from lsm_perception.parameters import settings

    known = {entry.name: entry for entry in settings()}
    given = leaves(yaml.safe_load(block.text)["/**"]["ros__parameters"])
    own = {name: value for name, value in given.items() if not name.startswith("qos_overrides.")}
    assert own and set(own) <= set(known)
    as_ros = {name: tuple(value) if isinstance(value, list) else value for name, value in own.items()}
    assert [name for name, value in as_ros.items() if type(value) is not type(known[name].default)] == []
    assert [known[name].spec.complaint(value) for name, value in as_ros.items()] == [None] * len(own)


def test_names_that_a_block_does_not_make_are_found() -> None:
    text = "import a.b as c\nfrom d import e\nx = [y for y in e]\nc(x, z, len(w))\ndef f(g): return g\nf(1)\n"
    assert missing_names(text) == {"z", "w"}
