"""The training loop of the reference systems: accumulation, several processes, exact resume, log, export."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lsm_core.data.views import SampleSource
from lsm_core.io.atomic import atomic_path
from lsm_core.training.checkpoint import TrainState, load_state, save_state
from lsm_core.training.ema import WeightAverage
from lsm_core.training.optimiser import make_optimiser, set_rates, trained_tensors
from lsm_core.training.prefetch import Prefetcher
from lsm_core.training.processes import Processes
from lsm_core.training.run_log import RunLog
from lsm_core.training.systems.base import LOSS, TrainingSystem
from lsm_core.training.view_batch import ViewBatch

_log = logging.getLogger(__name__)
Report = Callable[[int, dict[str, float]], None]
SAMPLES, DRAWS = 0, 1  # streams of random numbers of a step


class SystemTrainer:
    """Trains one system; begun again in the same folder it goes on where the last checkpoint left it.

    Everything that is drawn is decided by the seed, the step and the sample's number, so a run that was killed and
    resumed takes the same steps as one that was not, and a batch holds the same samples however many processes
    share it.

    Args:
        system: filled, its frozen parts chosen (`TrainingSystem.freeze`).
        source: of training samples.
        folder: receives ``checkpoint.pt``, ``log.jsonl`` and the weights.
        processes: this process among those of the run.
        tensorboard: log there, too.
    """

    def __init__(
        self,
        system: TrainingSystem,
        source: SampleSource,
        folder: Path,
        processes: Processes,
        tensorboard: bool = False,
    ) -> None:
        self.system, self.source, self.folder, self.processes = system, source, folder, processes
        self.run_config = system.run
        folder.mkdir(parents=True, exist_ok=True)
        system.freeze()
        system.to(processes.device)
        config = self.run_config
        self.optimiser = make_optimiser(system.network.named_parameters(), config.optimiser, system.rate_share)
        self.average = WeightAverage(system.network, config.ema_decay) if config.ema_decay else None
        self.step, self.elapsed_s = 0, 0.0
        self.log = RunLog(folder, tensorboard) if processes.first else None
        self._restore()
        self._parallel = processes.parallel(system)

    def run(self, report: Report | None = None) -> Path:
        """Train to the configured number of steps; return the exported weights' path.

        Args:
            report: called after every step with the number of steps taken and the step's figures.
        """
        config, began, already = self.run_config, time.monotonic(), self.elapsed_s
        batches = Prefetcher(self.batches, self.step)
        try:
            while self.step < config.steps:
                figures = self.train_step(batches.next())
                self.elapsed_s = already + time.monotonic() - began
                if self.log is not None:
                    self.log.write({"step": self.step, "elapsed_s": round(self.elapsed_s, 1), **figures})
                if report is not None:
                    report(self.step, figures)
                if self.step % config.checkpoint_steps == 0 and self.step < config.steps:
                    self.save()
        finally:
            batches.close()
            if self.log is not None:
                self.log.close()
        self.save()
        self.processes.wait()
        return self.folder / self.system.weights_file

    def batches(self, step: int) -> list[ViewBatch]:
        """Return this process's batches of one optimiser step, on the CPU."""
        config, found = self.run_config, []
        for micro in range(config.accumulate):
            begin = (micro * self.processes.count + self.processes.rank) * config.batch
            rngs = [
                np.random.default_rng((config.seed, SAMPLES, step, number))
                for number in range(begin, begin + config.batch)
            ]
            found.append(self.system.batch([self.source.draw(rng, step) for rng in rngs], rngs))
        return found

    def train_step(self, batches: list[ViewBatch]) -> dict[str, float]:
        """Take one optimiser step on the batches of a step; return the log row."""
        began, config = time.monotonic(), self.run_config
        rate = set_rates(self.optimiser, config.schedule, self.step)
        sums: dict[str, Tensor] = {}
        self.system.train()
        self.optimiser.zero_grad(set_to_none=True)
        for micro, batch in enumerate(batches):
            for name, value in self.backward(batch, micro, micro == len(batches) - 1).items():
                sums[name] = sums.get(name, 0.0) + value / len(batches)
        limit = config.optimiser.clip_norm or float("inf")
        norm = torch.nn.utils.clip_grad_norm_(trained_tensors(self.optimiser), limit)
        if bool(torch.isfinite(norm)):
            self.optimiser.step()
            if self.average is not None:
                self.average.update(self.system.network)
        else:
            _log.warning("step %d skipped: the gradient is not finite", self.step)
        self.step += 1
        means = self.processes.mean(torch.stack(list(sums.values())))
        figures = dict(zip(sums, means.tolist(), strict=True))
        figures |= {"grad_norm": float(norm), "rate": rate}
        return {k: float(f"{v:.6g}") for k, v in figures.items()} | {"step_s": round(time.monotonic() - began, 3)}

    def backward(self, batch: ViewBatch, micro: int, last: bool) -> dict[str, Tensor]:
        """Add one batch's share of the gradients; return its loss and the parts of it.

        Args:
            batch: on the CPU.
            micro: its number within the step.
            last: of the step: only then do processes exchange gradients.
        """
        config = self.run_config
        stream = np.random.default_rng((config.seed, DRAWS, self.step, micro, self.processes.rank))
        generator = torch.Generator().manual_seed(int(stream.integers(2**62)))
        torch.manual_seed(int(stream.integers(2**62)))  # of dropout
        alone = nullcontext() if last or self.processes.count == 1 else self._parallel.no_sync()  # type: ignore[operator]
        with alone:
            parts: dict[str, Tensor] = self._parallel(batch.to(self.processes.device), self.step, generator)
            (parts[LOSS] / config.accumulate).backward()
        return {name: value.detach() for name, value in parts.items()}

    def save(self) -> None:
        """Write the training state and the weights in the released format; only the first process does."""
        if not self.processes.first:
            return
        progress, config = (self.step, self.elapsed_s), asdict(self.run_config)
        state = TrainState.of(self.system.network, self.average, self.optimiser, progress, config)
        save_state(state, self.folder)
        self._export()

    def _export(self) -> None:
        """Write what a backend loads: the averaged weights where there is an average."""
        network = self.system.network
        kept = {name: value.clone() for name, value in network.state_dict().items()} if self.average else None
        if self.average is not None:
            network.load_state_dict(self.average.state)
        document: dict[str, Any] = {**self.system.official(), "global_step": self.step}
        with atomic_path(self.folder / self.system.weights_file) as path:
            torch.save(document, path)
        if kept is not None:
            network.load_state_dict(kept)

    def _restore(self) -> None:
        state = load_state(self.folder)
        self.processes.check_equal(-1 if state is None else state.step, "the step of their checkpoint")
        if state is None:
            return
        self.system.network.load_state_dict(state.model)
        if self.average is not None and state.average:
            self.average.restore(state.average, state.average_updates, self.processes.device)
        self.optimiser.load_state_dict(state.optimiser)
        self.step, self.elapsed_s = state.step, state.elapsed_s
        if self.log is not None:
            self.log.rewind(self.step)
        changed = [k for k, v in asdict(self.run_config).items() if state.config.get(k) != v]
        if changed:
            _log.warning("resumed with other settings than it began with: %s", ", ".join(changed))
        _log.info("resumed at step %d after %.0f s", self.step, self.elapsed_s)
