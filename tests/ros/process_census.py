"""What a process holds over a series of lifecycle cycles, and how fast that grows."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from node_process import NodeProcess
from supervisor import ROUND, Supervisor


@dataclass
class Census:
    """Memory, threads and descriptors after each cycle.

    Attributes:
        resident_mib, threads, descriptors: one figure per cycle.
    """

    resident_mib: list[float] = field(default_factory=list)
    threads: list[int] = field(default_factory=list)
    descriptors: list[int] = field(default_factory=list)

    def take(self, process: NodeProcess) -> None:
        """Add the figures of this moment."""
        self.resident_mib.append(process.resident_mib())
        self.threads.append(process.thread_count())
        self.descriptors.append(process.descriptor_count())

    def growth_mib(self) -> float:
        """Return how much more memory is held at the end than at the start, by the medians of the two thirds."""
        third = max(1, len(self.resident_mib) // 3)
        return float(np.median(self.resident_mib[-third:]) - np.median(self.resident_mib[:third]))

    def slope_mib_per_cycle(self) -> float:
        """Return the slope of memory by least squares."""
        return float(np.polyfit(np.arange(len(self.resident_mib)), self.resident_mib, 1)[0])

    def text(self) -> str:
        """Return the figures in one line."""
        rss = self.resident_mib
        return (
            f"{len(rss)} cycles: RSS {rss[0]:.0f} to {rss[-1]:.0f} MiB, "
            f"slope {self.slope_mib_per_cycle():+.3f} MiB, growth {self.growth_mib():+.1f} MiB, "
            f"threads {self.threads[0]} to {self.threads[-1]}, "
            f"descriptors {self.descriptors[0]} to {self.descriptors[-1]}"
        )


def cycle(process: NodeProcess, supervisor: Supervisor, count: int) -> Census:
    """Take the node through configure, activate, deactivate, cleanup so often; every request must succeed."""
    census = Census()
    for i in range(count):
        for transition in ROUND:
            assert supervisor.change(transition), f"cycle {i}, transition {transition}: {process.text[-2000:]}"
        census.take(process)
    return census
