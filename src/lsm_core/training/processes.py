"""The processes of a run: one alone, or several that torchrun started (PyTorch DDP)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn

from lsm_core.errors import InputError


@dataclass(frozen=True)
class Processes:
    """This process among those of the run.

    Attributes:
        rank: number of this process over all machines; 0 writes files and talks.
        count: of processes.
        device: that this process trains on.
    """

    rank: int
    count: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether this is the process that writes and talks."""
        return self.rank == 0

    def parallel(self, module: nn.Module) -> nn.Module:
        """Return a module whose gradients are averaged over the processes."""
        if self.count == 1:
            return module
        devices = [self.device] if self.device.type == "cuda" else None
        # A term that weighs 0 leaves parameters without gradients, for which the exchange must not wait.
        return nn.parallel.DistributedDataParallel(module, device_ids=devices, find_unused_parameters=True)

    def mean(self, value: Tensor) -> Tensor:
        """Return the mean of a tensor over the processes."""
        if self.count > 1:
            dist.all_reduce(value)
        return value / self.count

    def check_equal(self, value: int, what: str) -> None:
        """Refuse to go on where the processes differ in a number.

        Raises:
            InputError: they do.
        """
        if self.count == 1:
            return
        own = torch.tensor([value, -value], dtype=torch.int64, device=self.device)
        dist.all_reduce(own, dist.ReduceOp.MAX)
        highest, lowest = int(own[0]), -int(own[1])
        if highest != lowest:
            raise InputError(
                f"The processes differ in {what}: {lowest} to {highest}.",
                "Let --out be one folder that all machines share.",
            )

    def wait(self) -> None:
        """Wait until all processes are here."""
        if self.count > 1:
            dist.barrier()


@contextmanager
def joined_processes(device: torch.device) -> Iterator[Processes]:
    """Join the processes that torchrun started; without torchrun this is the only one.

    Args:
        device: "cuda" becomes this process's own GPU of its machine; on a CPU the processes talk through gloo.

    Raises:
        InputError: torchrun started more processes than this machine has GPUs.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield Processes(0, 1, device)
        return
    if device.type == "cuda":
        local = int(os.environ.get("LOCAL_RANK", "0"))
        if local >= torch.cuda.device_count():
            raise InputError(
                f"Process {local} of this machine has no GPU: there are {torch.cuda.device_count()}.",
                "Start torchrun with --nproc-per-node of at most that.",
            )
        device = torch.device("cuda", local)
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Processes(dist.get_rank(), count, device)
    finally:
        dist.destroy_process_group()
