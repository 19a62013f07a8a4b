"""Weights of lsm-tiny that cannot be used are refused by name, with what to do."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from lsm_core.backends.tiny_weights import PACKAGED, load_network
from lsm_core.errors import WeightsError

CPU = torch.device("cpu")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100_000])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))


def cannot_be_read(path: Path) -> None:
    path.unlink()
    path.symlink_to("/proc/self/mem")  # exists and fails on reading, also for root
    card = json.loads(path.with_suffix(".json").read_text())
    path.with_suffix(".json").write_text(json.dumps(card | {"bytes": 0}))


def no_safetensors(path: Path) -> None:
    path.write_bytes(b"something else")
    card = json.loads(path.with_suffix(".json").read_text())
    from hashlib import sha256

    changes = {"bytes": 0, "sha256": sha256(path.read_bytes()).hexdigest()}
    path.with_suffix(".json").write_text(json.dumps(card | changes))


DAMAGE: list[tuple[Callable[[Path], object], str]] = [
    (Path.unlink, "There is no weights file"),
    (cut, "truncated"),
    (flip, "SHA-256"),
    (cannot_be_read, "cannot be read"),
    (no_safetensors, "not a safetensors file"),
    (lambda p: p.with_suffix(".json").unlink(), "The card"),
    (lambda p: p.with_suffix(".json").write_text("[]"), "The card"),
    (lambda p: (p.unlink(), p.mkdir()), "There is no weights file"),
]


@pytest.mark.parametrize(("damage", "words"), DAMAGE)
def test_damaged_weights_are_refused_with_path_and_command(
    tmp_path: Path, damage: Callable[[Path], object], words: str
) -> None:
    path = tmp_path / "own.safetensors"
    shutil.copy(PACKAGED, path)
    shutil.copy(PACKAGED.with_suffix(".json"), path.with_suffix(".json"))
    load_network(path, CPU)
    damage(path)
    with pytest.raises(WeightsError) as raised:
        load_network(path, CPU)
    text = str(raised.value)
    assert words in text and str(tmp_path) in text and "Fix: " in text and "sha256sum" in text


def test_a_folder_stands_for_the_file_in_it(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"lsm_tiny\.safetensors"):
        load_network(tmp_path, CPU)
    shutil.copy(PACKAGED, tmp_path)
    shutil.copy(PACKAGED.with_suffix(".json"), tmp_path)
    assert load_network(tmp_path, CPU)[1].size == PACKAGED.stat().st_size
