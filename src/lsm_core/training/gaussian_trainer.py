"""The training loop of the Gaussian head: everything else of lsm-tiny stays as it is."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lsm_core.backends.tiny import TinyBackend
from lsm_core.backends.tiny_surface import joined_discs, pair_gaussians
from lsm_core.errors import WeightsError
from lsm_core.nn.tiny.disc_inputs import OWN_CHANNELS
from lsm_core.nn.tiny.gaussian_head import SIDE, WIDTHS, GaussianHead
from lsm_core.training.checkpoint import TrainState, load_state, save_state
from lsm_core.training.ema import WeightAverage
from lsm_core.training.export import export_weights
from lsm_core.training.gaussian_config import GaussianTrainConfig
from lsm_core.training.gaussian_loss import mean_psnr, photometric_loss
from lsm_core.training.gaussian_triples import GaussianTriple, TripleBank, Visit, make_triple
from lsm_core.training.run_log import RunLog
from lsm_core.training.shard_pool import ShardPool

_log = logging.getLogger(__name__)
Report = Callable[[float, dict[str, float]], None]
PREFIX = "gaussian_head."


class GaussianTrainer:
    """Trains a Gaussian head for a network's weights.

    Args:
        backend: lsm-tiny with the weights that stay as they are; a head they already have is trained further.
        pool: training pairs, of walks that have further frames.
        held_out: pairs of held-out rooms, or None.
        folder: receives ``checkpoint.pt``, ``log.jsonl``, ``lsm_tiny.safetensors`` with the head, and its card.
        config: the run.

    Raises:
        WeightsError: the folder holds a run on other weights.
    """

    def __init__(
        self,
        backend: TinyBackend,
        pool: ShardPool,
        held_out: ShardPool | None,
        folder: Path,
        config: GaussianTrainConfig,
    ) -> None:
        self.backend, self.folder, self.config = backend, folder, config
        folder.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(config.seed)
        network = backend.network
        if network.gaussian_head is None:
            network.gaussian_head = GaussianHead(config.dim).to(backend.device)
            network.config = replace(network.config, gaussian_dim=config.dim)
        self.head: GaussianHead = network.gaussian_head.requires_grad_(True)
        self._allowed = allowed_parts(self.head, config)
        with torch.no_grad():
            for parameter, mask in self._allowed:
                parameter.mul_(mask)
        self.optimiser = torch.optim.Adam(self.head.parameters(), lr=config.learning_rate, betas=(0.9, 0.98))
        self.average = WeightAverage(self.head, config.ema_decay)
        self.step, self.elapsed_s = 0, 0.0
        self.bank, self._held_out = TripleBank(backend, pool, config), held_out
        self._checks: list[GaussianTriple] | None = None
        self.checked: dict[str, float] = {}  # figures on held-out rooms, once the run has ended
        self.log = RunLog(folder)
        self._restore()

    def run(self, report: Report | None = None) -> Path:
        """Train to the last step; return the path of the weights, network and head together.

        Args:
            report: called after every step with the progress in [0, 1] and the step's figures.
        """
        started, already, saved = time.monotonic(), self.elapsed_s, time.monotonic()
        try:
            while self.step < self.config.steps:
                figures = self.train_step()
                self.elapsed_s = already + time.monotonic() - started
                self.log.write({"step": self.step, "elapsed_s": round(self.elapsed_s, 1), **figures})
                if report is not None:
                    report(self.step / self.config.steps, figures)
                if time.monotonic() - saved > self.config.checkpoint_seconds:
                    self.save()
                    saved = time.monotonic()
        finally:
            self.save()
        self.checked = self.validate()
        self.log.write({"step": self.step, "validation": self.checked})
        return self.export()

    def train_step(self) -> dict[str, float]:
        """Take one optimiser step; return its row of the log."""
        began = time.monotonic()
        self.optimiser.zero_grad(set_to_none=True)
        losses, errors = [], []
        visits = list(self.bank.of_step(self.step))
        for visit in visits:  # one by one: only one graph is in memory
            gaussians = pair_gaussians(visit.triple.surface, self.head)
            loss, error = photometric_loss(gaussians, visit, self.config)
            (loss / len(visits)).backward()
            losses.append(float(loss.detach()))
            errors.append(error)
        for parameter, mask in self._allowed:
            if parameter.grad is not None:
                parameter.grad.mul_(mask)
        norm = torch.nn.utils.clip_grad_norm_(self.head.parameters(), self.config.clip_norm)
        rate = self._set_rate()
        if visits and bool(torch.isfinite(norm)):
            self.optimiser.step()
            self.average.update(self.head)
        else:
            _log.warning("step %d skipped: no pair with a pose, or a gradient that is not finite", self.step)
        self.step += 1
        mean = sum(losses) / max(len(losses), 1)
        figures = {"loss": mean, "psnr": mean_psnr(errors), "grad_norm": float(norm), "rate": rate}
        return {k: round(v, 5) for k, v in figures.items()} | {"step_s": round(time.monotonic() - began, 3)}

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Return the mean PSNR of held-out third views: Gaussians as computed, and changed by the averaged head."""
        if self._held_out is None:
            return {}
        if self._checks is None:
            made = (
                make_triple(self.backend, self._held_out, self.config, index, augment=False)
                for index in range(self.config.validation_triples)
            )
            self._checks = [triple for triple in made if triple is not None]
        trained = {name: value.clone() for name, value in self.head.state_dict().items()}
        self.head.load_state_dict(self.average.state)
        only = replace(self.config, given_views=0.0)
        computed, learned = [], []
        for triple in self._checks:
            visit = Visit(triple, fine=False, given=0)
            computed.append(photometric_loss(joined_discs(triple.surface, None), visit, only)[1])
            learned.append(photometric_loss(pair_gaussians(triple.surface, self.head), visit, only)[1])
        self.head.load_state_dict(trained)
        return {"psnr_computed": round(mean_psnr(computed), 3), "psnr_learned": round(mean_psnr(learned), 3)}

    def save(self) -> None:
        """Write the training state."""
        config = asdict(self.config) | {"weights": self.backend.card.sha256}
        progress = (self.step, self.elapsed_s)
        save_state(TrainState.of(self.head, self.average, self.optimiser, progress, config), self.folder)

    def export(self) -> Path:
        """Write the network with the averaged head; all other tensors are those it was made for."""
        state = dict(self.backend.network.state_dict())
        state |= {PREFIX + name: value for name, value in self.average.state.items()}
        about: dict[str, Any] = {
            "steps": self.step,
            "minutes": round(self.elapsed_s / 60, 1),
            "seed": self.config.seed,
            "pairs": self.bank.pool.pair_count,
            "weights": self.backend.card.sha256,
            **self.checked,
        }
        path = self.folder / "lsm_tiny.safetensors"
        training = {**self.backend.card.training, "gaussians": about}
        export_weights(state, self.backend.network.config, path, training)
        return path

    def _set_rate(self) -> float:
        """Warm up, then a cosine; return the share of the peak."""
        warmup = min(1.0, (self.step + 1) / max(self.config.warmup_steps, 1))
        low, progress = self.config.final_rate, self.step / self.config.steps
        share = warmup * (low + (1 - low) * 0.5 * (1 + math.cos(math.pi * progress)))
        for group in self.optimiser.param_groups:
            group["lr"] = self.config.learning_rate * share
        return share

    def _restore(self) -> None:
        state = load_state(self.folder)
        if state is None:
            return
        if state.config.get("weights") != self.backend.card.sha256:
            raise WeightsError(
                f"{self.folder} holds a run on other weights.", "Give these weights a folder of their own."
            )
        self.head.load_state_dict(state.model)
        self.average.restore(state.average, state.average_updates, self.backend.device)
        self.optimiser.load_state_dict(state.optimiser)
        torch.set_rng_state(state.torch_rng)
        self.step, self.elapsed_s = state.step, state.elapsed_s
        self.log.rewind(self.step)
        _log.info("resumed at step %d after %.0f s", self.step, self.elapsed_s)


def allowed_parts(head: GaussianHead, config: GaussianTrainConfig) -> list[tuple[Tensor, Tensor]]:
    """Return parameters with masks (0 or 1) that leave out what a run may not change or read, for the ablations."""
    changed = torch.tensor([float(name in config.changes) for name in WIDTHS])
    rows = changed.repeat_interleave(torch.tensor(list(WIDTHS.values()))).repeat_interleave(SIDE**2)
    read = torch.full((head.discs.in_channels,), float("across" in config.inputs))
    read[: OWN_CHANNELS * SIDE**2] = float("own" in config.inputs)
    return [
        (head.changes.weight, rows[:, None, None, None].to(head.changes.weight)),
        (_bias(head), rows.to(head.changes.weight)),
        (head.discs.weight, read[None, :, None, None].to(head.discs.weight)),
    ]


def _bias(head: GaussianHead) -> Tensor:
    assert head.changes.bias is not None
    return head.changes.bias
