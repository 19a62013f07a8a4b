"""Python threads over kernels that give up the interpreter lock.

numba's own threads are not used: they cannot be entered from two threads at once with every threading layer, and
OpenMP's threads spin beside PyTorch's.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import torch


def worker_count() -> int:
    """Return how many threads to use: as many as PyTorch does."""
    return torch.get_num_threads()


def run_all(work: Callable[[int], None], tasks: int) -> None:
    """Call `work(0)` to `work(tasks - 1)`, side by side where PyTorch may use several threads."""
    if worker_count() <= 1 or tasks <= 1:
        for task in range(tasks):
            work(task)
    else:
        list(_pool(worker_count()).map(work, range(tasks)))


@lru_cache(maxsize=4)
def _pool(workers: int) -> ThreadPoolExecutor:
    """Return the threads that all calls share."""
    return ThreadPoolExecutor(min(workers, os.cpu_count() or 1), thread_name_prefix="lsm-render")
