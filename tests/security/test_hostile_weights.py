"""Checkpoints from outside: no code of theirs runs, and none takes more memory than its file is long."""

from __future__ import annotations

import json
import os
import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from hungry import outcome

from lsm_core.errors import WeightsError
from lsm_core.weights.files import read_checkpoint
from lsm_core.weights.strict import check_fit


class Attack:
    """What an ordinary unpickler would run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.folder),)


def repacked(source: Path, target: Path, members: dict[str, bytes], compression: int) -> None:
    """Write a torch file again with other members and another compression."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", compression) as new:
        for entry in old.infolist():
            tail = entry.filename.split("/", 1)[1]
            new.writestr(entry.filename, members.get(tail, old.read(entry)))


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """An honest file."""
    torch.save({"model": {"w": torch.arange(6.0).reshape(2, 3)}}, tmp_path / "good.pth")
    return tmp_path / "good.pth"


@pytest.mark.parametrize("where", ["beside", "among the tensors", "as the whole"])
def test_code_in_a_checkpoint_does_not_run(tmp_path: Path, where: str) -> None:
    attack = Attack(tmp_path / "attacked")
    weights: dict[str, Any] = {"w": torch.ones(2)}
    document: Any = {"model": weights, "args": attack}
    if where == "among the tensors":
        document = {"model": weights | {"x": attack}}
    if where == "as the whole":
        document = attack
    torch.save(document, tmp_path / "evil.pth")
    if where == "as the whole":
        with pytest.raises(WeightsError):
            read_checkpoint(tmp_path / "evil.pth")
    else:
        assert set(read_checkpoint(tmp_path / "evil.pth").tensors) == {"w"}
    assert not (tmp_path / "attacked").exists()


def test_a_packed_checkpoint_is_refused_before_it_unfolds(checkpoint: Path, tmp_path: Path) -> None:
    repacked(checkpoint, tmp_path / "bomb.pth", {"data.pkl": bytes(300 << 20)}, zipfile.ZIP_DEFLATED)
    assert (tmp_path / "bomb.pth").stat().st_size < 1 << 20
    path = tmp_path / "bomb.pth"
    setup = f"from pathlib import Path\nfrom lsm_core.weights.files import read_checkpoint\np = Path({str(path)!r})"
    assert "unpacks to more" in outcome(setup, "read_checkpoint(p)", room_mib=128)


def test_a_plain_pickle_is_no_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "plain.pth").write_bytes(pickle.dumps(Attack(tmp_path / "attacked")))
    with pytest.raises(WeightsError):
        read_checkpoint(tmp_path / "plain.pth")
    torch.save({"w": torch.ones(2)}, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    with pytest.raises(WeightsError):
        read_checkpoint(tmp_path / "old.pth")
    assert not (tmp_path / "attacked").exists()


def test_a_tensor_that_repeats_one_number_does_not_fit_and_takes_no_memory(tmp_path: Path) -> None:
    """Stride 0: 10^12 elements of one stored number. Its shape is compared before it is copied."""
    torch.save({"model": {"w": torch.ones(1).expand(10**6, 10**6)}}, tmp_path / "wide.pth")
    assert (tmp_path / "wide.pth").stat().st_size < 10_000
    found = read_checkpoint(tmp_path / "wide.pth")
    with pytest.raises(WeightsError, match="w"):
        check_fit(torch.nn.ParameterDict({"w": torch.nn.Parameter(torch.ones(2))}), found.tensors, "wide.pth")


@pytest.mark.parametrize("offsets", [[0, 1 << 50], [-8, 8], [8, 0]])
def test_safetensors_that_point_outside_are_refused(tmp_path: Path, offsets: list[int]) -> None:
    header = json.dumps({"w": {"dtype": "F32", "shape": [1 << 48], "data_offsets": offsets}}).encode()
    (tmp_path / "x.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(16))
    with pytest.raises(WeightsError):
        read_checkpoint(tmp_path / "x.safetensors")


def test_a_safetensors_header_of_any_length_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.safetensors").write_bytes(struct.pack("<Q", 1 << 60) + b"{}")
    with pytest.raises(WeightsError):
        read_checkpoint(tmp_path / "x.safetensors")


def test_what_is_honest_is_read(checkpoint: Path) -> None:
    assert torch.equal(read_checkpoint(checkpoint).tensors["w"], torch.arange(6.0).reshape(2, 3))
