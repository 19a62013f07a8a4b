"""`lsm train SYSTEM` on the command line: what is wrong is said in a line, and what it leaves is where it says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import yaml

from lsm_core.cli.main import main
from lsm_core.training.systems import SYSTEMS


def train(*words: str) -> int:
    before = torch.get_num_threads()
    try:
        return main(["train", *words, "--device", "cpu", "--threads", "1"])
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--data", "boxes", "--config", "huge"], "released, smoke"),
        (["--data", "film:x", "--config", "smoke"], "FORMAT:PLACE"),
        (["--data", "boxes", "--config", "smoke", "--parents", "a", "--start", "b"], "exclude each other"),
        (["--data", "boxes", "--config", "smoke", "--parents", "nowhere"], "nowhere"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_written(
    words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train("noposplat", *words, "--out", str(tmp_path / "out")) == 1
    assert message in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "out").exists()


def test_a_run_says_where_its_weights_are_and_goes_on_when_called_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, out = tmp_path / "own.yaml", tmp_path / "out"
    config.write_text("preset: smoke\nrun: {batch: 1}\nfitting: {height: 32, width: 32}\n")
    for steps in (1, 3):
        words = ["--data", "boxes:1", "--config", str(config), "--steps", str(steps), "--out", str(out), "--json"]
        assert train("pixelsplat", *words) == 0
        result = json.loads(capsys.readouterr().out)
        assert result["steps"] == steps and Path(result["weights"]) == out / "pixelsplat.ckpt"
    rows = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [1, 2, 3] and all(row["loss"] > 0 for row in rows)


def test_there_is_a_command_for_every_system(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--help"]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in SYSTEMS)


def test_the_configuration_is_shown_with_what_the_command_line_changes(capsys: pytest.CaptureFixture[str]) -> None:
    assert train("splatt3r", "--config", "released", "--steps", "77", "--show-config") == 0
    shown = yaml.safe_load(capsys.readouterr().out)
    assert shown["run"]["steps"] == 77 and shown["lpips_weight"] == 0.25 and shown["fitting"]["height"] == 512
