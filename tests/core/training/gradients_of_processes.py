"""Started by torchrun: write the gradients of one step of NoPoSplat, and its samples, shared by all processes."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from system_runs import smoke, trainer
from torch import nn

from lsm_core.training.processes import Processes, joined_processes

GLOBAL_BATCH, ACCUMULATE = 2, 2


def write_gradients(folder: Path, processes: Processes) -> None:
    """Write ``gradients.pt``; dropout is off, since each process draws its own."""
    torch.set_num_threads(1)
    config = smoke("noposplat", batch=GLOBAL_BATCH // processes.count, accumulate=ACCUMULATE)
    run = trainer("noposplat", folder / f"out{processes.rank}", config, processes)
    for module in run.system.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    batches = run.batches(0)
    for micro, batch in enumerate(batches):
        run.backward(batch, micro, micro == len(batches) - 1)
    if processes.first:
        gradients = {name: p.grad for name, p in run.system.network.named_parameters()}
        torch.save(gradients, folder / "gradients.pt")


if __name__ == "__main__":
    with joined_processes(torch.device("cpu")) as joined:
        write_gradients(Path(sys.argv[1]), joined)
