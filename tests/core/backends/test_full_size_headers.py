"""Full-size files that do not fit are refused by name and shape, without their tensors being read."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from full_size_headers import State, write_header, write_headers

from lsm_core import load_backend
from lsm_core.backends.checkpoint_identity import identify
from lsm_core.backends.lsm_files import FILES
from lsm_core.errors import WeightsError

READ_LIMIT_MIB = 300  # one file alone has more than 1500; the imports of a first use have some


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    write_headers(folder)
    return folder


def beside(whole: Path, folder: Path, part: str) -> Path:
    """Link the whole files of the other parts into a folder; return the path of this one."""
    for other, name in FILES.items():
        if other != part:
            os.link(whole / name, folder / name)
    return folder / FILES[part]


def refusal(name: str, weights: Path) -> str:
    """Return the error of loading; no tensor was read meanwhile."""
    used_kib, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    with pytest.raises(WeightsError) as caught:
        load_backend(name, "cpu", weights)
    print(f"refused after {time.monotonic() - started:.2f} s")
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - used_kib) / 1024 < READ_LIMIT_MIB
    return str(caught.value)


def test_the_files_are_of_full_size_and_take_no_disk(whole: Path) -> None:
    for part, name in FILES.items():
        stat = (whole / name).stat()
        assert stat.st_size > 1.5e9 and stat.st_blocks * 512 < 0.01 * stat.st_size
        found = identify(whole / name)
        assert found.kind == part and found.released_size and found.whole


@pytest.mark.parametrize(
    ("part", "change", "words"),
    [
        (
            "dust3r",
            lambda s: s.update({"dec_blocks.11.mlp.fc2.bias": torch.empty(9)}),
            ("'dec_blocks.11.mlp.fc2.bias' has shape [9], not [768]",),
        ),
        ("dust3r", lambda s: s.pop("enc_blocks.23.norm1.weight"), ("missing enc_blocks.23.norm1.weight",)),
        ("lseg", lambda s: s.update({"net.scratch.stranger": torch.empty(1)}), ("unknown dpt.scratch.stranger",)),
        ("lseg", lambda s: s.pop("net.clip_pretrained.ln_final.bias"), ("missing ln_final.bias",)),
        (
            "lsm",
            lambda s: s.update({"gaussian_head.gaussian_proj.weight": torch.empty(7, 64)}),
            ("part gaussian_head", "'gaussian_proj.weight' has shape [7, 64], not [120, 64]"),
        ),
        ("lsm", lambda s: s.update({"optimizer.step": torch.empty(1)}), ("unknown tensor 'optimizer.step'",)),
    ],
)
def test_a_tensor_that_does_not_fit_is_named_before_any_is_read(
    whole: Path, tmp_path: Path, part: str, change: Callable[[State], object], words: tuple[str, ...]
) -> None:
    path = beside(whole, tmp_path, part)
    write_header(path, part, change)
    said = refusal("lsm", tmp_path)
    assert FILES[part] in said and all(word in said for word in words), said
    if part == "dust3r":
        assert FILES[part] in refusal("dust3r", tmp_path)


@pytest.mark.parametrize("part", list(FILES))
def test_lsm_tiny_refuses_files_of_other_models_by_name(whole: Path, part: str) -> None:
    assert str(whole / FILES[part]) in refusal("lsm-tiny", whole / FILES[part])


@pytest.mark.parametrize("part", list(FILES))
def test_a_cut_off_file_is_refused_by_name(whole: Path, tmp_path: Path, part: str) -> None:
    path = beside(whole, tmp_path, part)
    write_header(path, part)
    os.truncate(path, path.stat().st_size // 2)
    said = refusal("lsm", tmp_path)
    assert str(path) in said and "cut off" in said and "lsm weights fetch" in said


@pytest.mark.parametrize(("part", "foreign"), [("dust3r", "lsm"), ("lseg", "dust3r"), ("lsm", "lseg")])
def test_the_file_of_another_part_is_refused_by_name(whole: Path, tmp_path: Path, part: str, foreign: str) -> None:
    os.link(whole / FILES[foreign], beside(whole, tmp_path, part))
    said = refusal("lsm", tmp_path)
    assert str(tmp_path / FILES[part]) in said and ("has no tensor" in said or "unknown tensor" in said), said
