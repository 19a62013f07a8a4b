"""Doctor: weights that are missing, of another model, spoiled or whole, by their headers alone."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from lsm_core.backends.seeded_mast3r import write_mast3r, write_splatt3r
from lsm_core.doctor import Finding, model_findings
from lsm_core.doctor.weights import check_named
from lsm_core.weights.files import read_checkpoint


def finding(model: str, place: object = "") -> Finding:
    """Return what is found of a model's weights."""
    return check_named(model, str(place))[0]


def test_whole_files_fit_and_their_size_is_told(tmp_path: Path) -> None:
    write_mast3r(tmp_path / "mast3r.pth")
    found, checked = check_named("mast3r", str(tmp_path / "mast3r.pth"))
    assert found.level == "ok" and str(tmp_path / "mast3r.pth") in found.found
    assert checked is not None and checked.size_bytes == (tmp_path / "mast3r.pth").stat().st_size


def test_no_file_named_is_answered_with_the_command_that_brings_it() -> None:
    found = finding("splatt3r")
    assert found.code == "weights.unusable" and found.level == "problem"
    assert found.fix.startswith("lsm weights fetch splatt3r")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert str(tmp_path / "none.pth") in finding("mast3r", tmp_path / "none.pth").found
    assert (
        "three are needed" in finding("lsm", tmp_path / "none").found
        or "does not exist" in finding("lsm", tmp_path / "none").found
    )


def test_a_file_of_another_model_is_named_by_what_it_is(tmp_path: Path) -> None:
    write_splatt3r(tmp_path / "splatt3r.ckpt")
    found = finding("mast3r", tmp_path / "splatt3r.ckpt")
    assert found.level == "problem" and "Splatt3R" in found.found


def test_a_file_that_lacks_a_tensor_is_named_with_its_key(tmp_path: Path) -> None:
    path = tmp_path / "mast3r.pth"
    write_mast3r(path)
    tensors = {key: tensor.clone() for key, tensor in read_checkpoint(path).tensors.items()}
    del tensors["enc_blocks.0.norm1.weight"]
    torch.save({"model": tensors}, path)
    found = finding("mast3r", path)
    assert found.level == "problem" and "enc_blocks.0.norm1.weight" in found.found and "fetch mast3r" in found.fix


def test_a_cut_off_file_and_an_unknown_model_are_told_without_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "mast3r.pth").write_bytes(b"PK\x03\x04 cut off")
    assert finding("mast3r", tmp_path / "mast3r.pth").level == "problem"
    assert "lsm-tiny" in finding("mastr").fix


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("lsm-tiny", "", "auto", ""), []),
        (("", "", "none", ""), []),
        (("lsm-tiny", "", "auto", "/none/lseg.ckpt"), ["Weights of lseg"]),
        (("mast3r", "/none/a.pth", "lseg", "/none/lseg.ckpt"), ["Weights of mast3r", "Weights of lseg"]),
    ],
)
def test_the_models_that_are_asked_for_are_checked(names: tuple[str, str, str, str], expected: list[str]) -> None:
    assert [f.name for f in model_findings(*names, "cpu")] == expected
