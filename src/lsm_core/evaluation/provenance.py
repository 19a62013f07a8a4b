"""What a figure was measured on and with: hardware, software, commit, threads."""

from __future__ import annotations

import platform
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

import lsm_core


@dataclass(frozen=True)
class Provenance:
    """Where figures come from.

    Attributes:
        version: of lsm_core.
        commit: short commit of the checkout, with "+" where files differ from it, or "unknown".
        hardware: processor or GPU.
        cores: CPU cores of the machine.
        threads: threads PyTorch uses.
        python, torch, numpy: versions.
    """

    version: str
    commit: str
    hardware: str
    cores: int
    threads: int
    python: str
    torch: str
    numpy: str

    def line(self) -> str:
        """Return it as one sentence."""
        return (
            f"{self.hardware}, {self.threads} of {self.cores} threads; lsm_core {self.version}, "
            f"commit {self.commit}; PyTorch {self.torch}, Python {self.python}."
        )

    def plain(self) -> dict[str, object]:
        """Return it for JSON."""
        return asdict(self)


def provenance(device: torch.device) -> Provenance:
    """Describe this machine and checkout."""
    return Provenance(
        version=str(getattr(lsm_core, "__version__", "unknown")),
        commit=_commit(),
        hardware=torch.cuda.get_device_name(device) if device.type == "cuda" else _processor(),
        cores=torch.multiprocessing.cpu_count(),
        threads=torch.get_num_threads(),
        python=platform.python_version(),
        torch=torch.__version__,
        numpy=np.__version__,
    )


def _processor() -> str:
    """Return the processor's name."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _commit() -> str:
    """Return the short commit of the checkout this file is in, "+" appended if sources differ from it."""
    folder = Path(__file__).resolve().parent
    try:
        head = _git(folder, "rev-parse", "--short", "HEAD")
        changed = _git(folder, "status", "--porcelain", "--untracked-files=no", "--", str(folder.parent))
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return head + ("+" if changed else "")


def _git(folder: Path, *arguments: str) -> str:
    """Run git in a folder and return what it prints."""
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10, check=True
    )
    return done.stdout.strip()
