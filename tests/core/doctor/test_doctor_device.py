"""Doctor: builds of PyTorch and GPUs that do not fit, memory, threads in containers."""

from __future__ import annotations

from pathlib import Path

import pytest

from lsm_core.doctor.device import (
    TorchState,
    check_threads,
    default_threads,
    gpu_file,
    memory_finding,
    torch_findings,
    torch_state,
    usable_cores,
)

GIB = 2**30
CPU_BUILD = TorchState("2.13.0+cpu", None)
NO_DRIVER = TorchState("2.13.0+cu128", "12.8", complaint="The NVIDIA driver on your system is too old")
ONE_GPU = TorchState("2.13.0+cu128", "12.8", ("Card",), (3 * GIB,), (24 * GIB,))


def codes(state: TorchState, gpu: str, device: str) -> dict[str, str]:
    """Return the levels of what is not well, by code."""
    return {f.code: f.level for f in torch_findings(state, gpu, device) if f.code}


@pytest.mark.parametrize(
    ("state", "gpu", "device", "expected"),
    [
        (CPU_BUILD, "", "auto", {}),
        (CPU_BUILD, "/dev/nvidia0", "auto", {"torch.cpu_build": "note"}),
        (CPU_BUILD, "/dev/nvidia0", "cuda", {"torch.cpu_build": "problem"}),
        (CPU_BUILD, "/dev/nvidia0", "cpu", {}),
        (CPU_BUILD, "", "cuda", {"device.absent": "problem"}),
        (NO_DRIVER, "/dev/nvidia0", "auto", {"torch.no_cuda": "note"}),
        (NO_DRIVER, "/dev/nvidia0", "cuda:0", {"torch.no_cuda": "problem"}),
        (ONE_GPU, "/dev/nvidia0", "cuda", {}),
        (ONE_GPU, "/dev/nvidia0", "cuda:1", {"device.absent": "problem"}),
        (TorchState("2.9.0", "12.8", ("Card",), (GIB,), (GIB,)), "/dev/nvidia0", "auto", {"torch.version": "note"}),
    ],
)
def test_builds_and_devices_that_do_not_fit_are_found(
    state: TorchState, gpu: str, device: str, expected: dict[str, str]
) -> None:
    assert codes(state, gpu, device) == expected


def test_why_cuda_does_not_start_is_told() -> None:
    (_, found) = torch_findings(NO_DRIVER, "/dev/nvidia0", "auto")
    assert "driver on your system is too old" in found.found and "CUDA 12.8" in found.fix


def test_weights_that_the_gpu_cannot_hold_are_a_problem() -> None:
    found = memory_finding(ONE_GPU, "auto", 4 * GIB, "lsm")
    assert found is not None and found.code == "device.memory"
    assert found.found == "3.0 GiB free on cuda:0; lsm has 4.0 GiB"
    assert memory_finding(ONE_GPU, "auto", 2 * GIB, "lsm") is None
    assert memory_finding(ONE_GPU, "cpu", 4 * GIB, "lsm") is None
    assert memory_finding(CPU_BUILD, "auto", 4 * GIB, "lsm") is None


def test_this_pytorch_describes_itself() -> None:
    state = torch_state()
    assert state.version[0].isdigit()
    assert len(state.gpus) == len(state.free_bytes) == len(state.total_bytes)


def test_a_gpu_is_seen_by_its_device_file(tmp_path: Path) -> None:
    (tmp_path / "nvidia0").touch()
    assert gpu_file([str(tmp_path / "none"), str(tmp_path / "nvidia0")]) == str(tmp_path / "nvidia0")
    assert gpu_file([str(tmp_path / "none")]) == ""


def test_a_containers_share_of_the_cores_counts(tmp_path: Path) -> None:
    quota = tmp_path / "cpu.max"
    quota.write_text("50000 100000\n", encoding="ascii")
    assert usable_cores(quota) == 0.5
    quota.write_text("max 100000\n", encoding="ascii")
    assert usable_cores(quota) == usable_cores(tmp_path / "none") >= default_threads()


def test_more_threads_than_cores_are_noted_with_a_number_that_fits() -> None:
    found = check_threads(15, 2.0)
    assert found.code == "device.threads" and found.level == "note" and "num_threads: 1" in found.fix
    assert check_threads(1, 0.5).level == "ok"
