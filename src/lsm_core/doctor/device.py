"""PyTorch and the device it computes on: builds and drivers that do not fit, memory, threads."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lsm_core.doctor.finding import Fault, Finding, Level, ok
from lsm_core.doctor.packages import check_package

TESTED = "2.13."
OTHER_TORCH = Fault(
    "torch.version",
    "note",
    "Another PyTorch than the tested one; results may differ.",
    "pip install 'torch==2.13.*'",
    "install.md",
)
CPU_BUILD = Fault(
    "torch.cpu_build",
    "note",
    "The machine has an NVIDIA GPU and PyTorch is a build without CUDA (a problem where a GPU was asked for).",
    "Install the CUDA build: pip install --force-reinstall 'torch==2.13.*' from the default index; to stay on the "
    "CPU: device:=cpu.",
    "install.md",
)
NO_CUDA = Fault(
    "torch.no_cuda",
    "note",
    "PyTorch has CUDA, the machine an NVIDIA GPU, and CUDA does not start (a problem where a GPU was asked for).",
    "nvidia-smi must work, and show a driver as new as CUDA {version}; in Docker: --gpus all; look at "
    "CUDA_VISIBLE_DEVICES; with MIG on, an instance must exist and be named there.",
    "docker.md",
)
NO_GPU = Fault(
    "device.absent",
    "problem",
    "The node is asked to compute on a device that is not there.",
    "device:=auto or device:=cpu, or a device that exists: {devices}.",
)
LITTLE_MEMORY = Fault(
    "device.memory",
    "problem",
    "The device has less free memory than the weights alone take.",
    "End what shares the GPU (nvidia-smi lists it), choose a smaller model, or device:=cpu.",
    "troubleshooting.md#out-of-memory",
)
THREADS = Fault(
    "device.threads",
    "note",
    "More threads compute than there are cores for this process (a container's share counts); they wait for each "
    "other.",
    "num_threads: {cores} for the node, or give the container more cores.",
    "performance.md",
)
FAULTS = (OTHER_TORCH, CPU_BUILD, NO_CUDA, NO_GPU, LITTLE_MEMORY, THREADS)

GPU_FILES = ("/dev/nvidia0", "/dev/nvgpu", "/dev/dxg")
CPU_QUOTA = Path("/sys/fs/cgroup/cpu.max")


@dataclass(frozen=True)
class TorchState:
    """What PyTorch says of itself and its devices.

    Attributes:
        version: such as 2.13.0+cpu.
        cuda: version of CUDA it was built for, None for none.
        gpus: names of the GPUs it sees.
        free_bytes, total_bytes: memory of each.
        complaint: why CUDA does not start, "" where it does or is not there.
    """

    version: str
    cuda: str | None
    gpus: tuple[str, ...] = ()
    free_bytes: tuple[int, ...] = ()
    total_bytes: tuple[int, ...] = ()
    complaint: str = ""


def torch_state() -> TorchState:
    """Ask PyTorch, without keeping memory on a GPU longer than the question takes."""
    import torch

    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        available = torch.cuda.is_available()
    complaint = "" if available else " ".join(" ".join(str(w.message).split()) for w in said)[:300]
    indices = range(torch.cuda.device_count()) if available else range(0)
    memory = [torch.cuda.mem_get_info(index) for index in indices]
    return TorchState(
        torch.__version__,
        torch.version.cuda,
        tuple(torch.cuda.get_device_name(index) for index in indices),
        tuple(free for free, _ in memory),
        tuple(total for _, total in memory),
        complaint,
    )


def gpu_file(names: Iterable[str] = GPU_FILES) -> str:
    """Return the device file of an NVIDIA GPU that the machine has, "" for none."""
    return next((name for name in names if Path(name).exists()), "")


def check_torch(device: str = "auto") -> list[Finding]:
    """Which PyTorch, and does it see the GPU that is asked for?"""
    found = check_package("torch", "'torch==2.13.*'", "PyTorch")
    if found.level == "problem":
        return [found]
    return torch_findings(torch_state(), gpu_file(), device)


def torch_findings(state: TorchState, gpu: str, device: str) -> list[Finding]:
    """Judge PyTorch and its devices.

    Args:
        state: what PyTorch says.
        gpu: a device file of an NVIDIA GPU, "" for none.
        device: asked for: auto, cpu, cuda, cuda:1 ...
    """
    described = ", ".join(
        f"{name} ({free / 2**30:.1f} of {total / 2**30:.1f} GiB free)"
        for name, free, total in zip(state.gpus, state.free_bytes, state.total_bytes, strict=True)
    )
    where = f"CUDA {state.cuda}: {described}" if state.gpus else "no CUDA device, runs on the CPU"
    text = f"{state.version}, {where}"
    tested = state.version.startswith(TESTED)
    findings = [ok("PyTorch", text) if tested else OTHER_TORCH.seen("PyTorch", text)]
    asked = device.startswith("cuda")
    index = int(device.partition(":")[2] or 0) if asked and device.partition(":")[2].isdigit() else 0
    level: Level = "problem" if asked else "note"
    if gpu and state.cuda is None and device != "cpu":
        findings.append(CPU_BUILD.seen("GPU", f"{gpu} is there; PyTorch {state.version} has no CUDA", level))
    elif gpu and not state.gpus and device != "cpu":
        why = f": {state.complaint}" if state.complaint else ""
        findings.append(NO_CUDA.seen("GPU", f"{gpu} is there; CUDA does not start{why}", level, version=state.cuda))
    elif asked and index >= len(state.gpus):
        devices = ", ".join(["cpu", *(f"cuda:{i}" for i in range(len(state.gpus)))])
        findings.append(NO_GPU.seen("GPU", f"{device} is asked for; there are: {devices}", devices=devices))
    return findings


def memory_finding(state: TorchState, device: str, weight_bytes: int, what: str) -> Finding | None:
    """Return that a GPU cannot hold the weights, None where it can or none is used.

    Args:
        state: what PyTorch says.
        device: asked for.
        weight_bytes: of the files; activations come on top, so this is the least that is needed.
        what: the model, for the words.
    """
    if device == "cpu" or not state.gpus:
        return None
    index = int(device.partition(":")[2] or 0) if device.startswith("cuda") else 0
    if index >= len(state.gpus) or weight_bytes <= state.free_bytes[index]:
        return None
    free, need = state.free_bytes[index] / 2**30, weight_bytes / 2**30
    return LITTLE_MEMORY.seen("GPU memory", f"{free:.1f} GiB free on cuda:{index}; {what} has {need:.1f} GiB")


def usable_cores(quota: Path = CPU_QUOTA) -> float:
    """Return the cores this process may use, a container's share counted."""
    cores = float(len(os.sched_getaffinity(0)))
    try:
        limit, period = quota.read_text(encoding="ascii").split()
        return min(cores, int(limit) / int(period))
    except (OSError, ValueError):  # no such file, or "max": no limit
        return cores


def check_threads(threads: int, cores: float) -> Finding:
    """Compare the threads that would compute with the cores there are.

    Args:
        threads: of the node: num_threads, or one less than the cores it sees.
        cores: that this process may use.
    """
    text = f"{threads} for {cores:g} cores"
    if threads <= max(1.0, cores):
        return ok("Threads", text)
    return THREADS.seen("Threads", text, cores=max(1, int(cores) - 1))


def default_threads() -> int:
    """Return the threads that the node takes where num_threads is 0."""
    return max(1, len(os.sched_getaffinity(0)) - 1)
