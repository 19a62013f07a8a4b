"""Fixtures answered on another device: everything is put there, and nothing is left on the CPU."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lsm_core.nn.rope import grid_rope_tables
from lsm_core.parity import family_of, read_fixture, run_fixture
from lsm_core.weights import strict

META = torch.device("meta")
NAMES = (
    *(f"lsm/{name}" for name in ("dust3r_dpt", "dust3r_linear", "rope2d", "dust3r_postprocess", "lseg_clip")),
    *(f"splatt3r_noposplat_pixelsplat/pixelsplat_{name}" for name in ("2view_deterministic", "3view_sampled")),
)


@pytest.mark.shared
@pytest.mark.parametrize("name", NAMES)
@torch.no_grad()
def test_networks_run_on_the_device_of_the_fixture(
    shared_dir: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a device without numbers, a tensor left on the CPU or a number read back is an error."""
    monkeypatch.setattr(strict, "_check_aliases", lambda *_: None)  # it compares numbers
    fixture = read_fixture(shared_dir / "fixtures" / f"{name}.json")
    family = family_of(fixture)
    tensors = {k: v.to(META) for k, v in fixture.tensors().items()}
    inputs = {k: v for k, v in tensors.items() if not family.is_answer(k)}
    placed = replace(fixture, device=META)
    weights = {k: v.to(META) for k, v in fixture.weights().items()} if "weights" in fixture.spec["files"] else {}
    object.__setattr__(placed, "weights", lambda: weights)  # a file cannot be read to this device
    try:
        with torch.device(META):
            found = family.answer(placed, inputs)
    finally:
        grid_rope_tables.cache_clear()
    assert family.on_device and found
    assert all(found[k].is_meta and found[k].shape == v.shape for k, v in tensors.items() if k in found)


@pytest.mark.gpu
@pytest.mark.shared
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_recorded_outputs_are_reproduced_on_a_gpu(shared_dir: Path) -> None:
    for path in sorted((shared_dir / "fixtures" / "lsm").glob("*.json")):
        report = run_fixture(path, torch.device("cuda"))
        assert report.status == "passed", report
