"""The training loop of lsm-tiny: wall-clock schedule, exact resume, log, validation, export."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lsm_core.nn.tiny import TinyNet
from lsm_core.training.batches import PairBatch, training_batch
from lsm_core.training.checkpoint import TrainState, load_state, save_state
from lsm_core.training.config import TrainConfig
from lsm_core.training.ema import WeightAverage
from lsm_core.training.export import export_weights
from lsm_core.training.imagenet_dictionary import Dictionary
from lsm_core.training.language_targets import NameTable
from lsm_core.training.lite0_init import imagenet_checkpoint, load_imagenet
from lsm_core.training.losses import total_loss
from lsm_core.training.prefetch import Prefetcher
from lsm_core.training.run_log import RunLog
from lsm_core.training.shard_pool import ShardPool
from lsm_core.training.step import forward
from lsm_core.training.targets import correspondences
from lsm_core.training.validation import validate, validation_batches
from lsm_core.training.warm_start import start_from, with_shapes_of

_log = logging.getLogger(__name__)
Report = Callable[[float, dict[str, float]], None]


class Trainer:
    """Trains one network from a folder of shards.

    Args:
        train: pool of training pairs.
        held_out: pool of pairs from held-out rooms and furniture, or None.
        names: embeddings of the class names.
        folder: receives ``checkpoint.pt``, ``log.jsonl``, ``lsm_tiny.safetensors`` and its card.
        config: the run.
        device: where the network trains.
        autocast: bfloat16 products (fast on CPUs with AVX512-BF16 and on GPUs).
        start: weights file that a new run begins from; the ImageNet encoder alone where None.
        dictionary: teacher of names from real photographs, where the recipe weighs it.
        recordings: what recorded data the pool holds; the card of the weights repeats it.
    """

    def __init__(
        self,
        train: ShardPool,
        held_out: ShardPool | None,
        names: NameTable,
        folder: Path,
        config: TrainConfig,
        device: torch.device,
        autocast: bool,
        start: Path | None = None,
        dictionary: Dictionary | None = None,
        recordings: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        self.recordings = list(recordings)
        self.pool, self.names, self.folder, self.config = train, names, folder, config
        self.device, self.autocast, self.dictionary = device, autocast, dictionary
        self.folder.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(config.seed)
        self.net_config = config.network if start is None else with_shapes_of(config.network, start)
        self.net = TinyNet(self.net_config)
        if start is None:
            load_imagenet(self.net.encoder, imagenet_checkpoint())
        else:
            start_from(self.net, start)
        self.net.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimiser = self._make_optimiser()
        self.average = WeightAverage(self.net, config.ema_decay)
        self.step, self.elapsed_s = 0, 0.0
        self._held_out = held_out
        self.log = RunLog(folder)
        self._restore()

    def run(self, report: Report | None = None) -> Path:
        """Train until the configured minutes are used up; return the exported weights' path.

        Args:
            report: called after every step with the progress in [0, 1] and the step's figures.
        """
        started, already = time.monotonic(), self.elapsed_s
        limit = self.config.minutes * 60.0
        last_save, last_check = time.monotonic(), time.monotonic()

        def progress() -> float:
            if self.config.steps:
                return min(self.step / self.config.steps, 1.0)
            return min((already + time.monotonic() - started) / limit, 1.0)

        def make(step: int) -> PairBatch:
            share = min(step / self.config.steps, 1.0) if self.config.steps else progress()
            return training_batch(self.pool, step, self.config.stage(share), self.config)

        batches = Prefetcher(make, self.step)
        try:
            while progress() < 1.0:
                figures = self.train_step(batches.next(), progress())
                self.elapsed_s = already + time.monotonic() - started
                self.log.write({"step": self.step, "elapsed_s": round(self.elapsed_s, 1), **figures})
                if report is not None:
                    report(progress(), figures)
                if self.pool.rescan_if_due(self.config.rescan_seconds):
                    _log.info("training pairs now: %d", self.pool.pair_count)
                if time.monotonic() - last_save > self.config.checkpoint_seconds:
                    self.save()
                    last_save = time.monotonic()
                if time.monotonic() - last_check > self.config.validate_seconds:
                    self.log.write({"step": self.step, "validation": self.validate(progress())})
                    last_check = time.monotonic()
        finally:
            batches.close()
            self.save()
        self.log.write({"step": self.step, "validation": self.validate(1.0)})
        return self.folder / "lsm_tiny.safetensors"

    def validate(self, progress: float) -> dict[str, float]:
        """Measure the averaged weights on held-out pairs at the present size."""
        if self._held_out is None:
            return {}
        self._held_out.rescan()
        stage = self.config.stage(progress)
        averaged = TinyNet(self.net_config).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        averaged.load_state_dict({k: v.cpu() for k, v in self.average.state.items()})
        averaged.eval()
        batches = validation_batches(self._held_out, stage, self.config.validation_pairs, self.config.seed)
        figures = validate(averaged, batches, self.names.canonical(), self.autocast)
        _log.info("validation at step %d: %s", self.step, figures)
        return {name: round(value, 4) for name, value in figures.items()}

    def save(self) -> None:
        """Write the training state and the averaged weights."""
        progress = (self.step, self.elapsed_s)
        state = TrainState.of(self.net, self.average, self.optimiser, progress, asdict(self.config))
        save_state(state, self.folder)
        training: dict[str, Any] = {
            "steps": self.step,
            "minutes": round(self.elapsed_s / 60, 1),
            "seed": self.config.seed,
            "shards": len(self.pool.shards),
            "pairs": self.pool.pair_count,
        }
        if self.recordings:
            training["recordings"] = self.recordings
        path = self.folder / "lsm_tiny.safetensors"
        export_weights(self.average.state, self.net_config, path, training)

    def train_step(self, batch: PairBatch, progress: float) -> dict[str, float]:
        """Take one optimiser step; `progress` in [0, 1] sets the learning rate. Return the log row."""
        began = time.monotonic()
        batch = batch.to(self.device)
        rng = np.random.default_rng((self.config.seed, self.step, 1))
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        texts = self.names.draw(rng).to(self.device)
        self.net.train()
        targets = correspondences(batch)
        out = forward(self.net, batch, targets, self.config.pose_noise, generator, self.autocast)
        weights, shapes = self.config.weights, self.net_config
        weights = replace(weights, language=weights.language * self.config.stage(progress).language)
        ranges = (shapes.depth_bin_range, shapes.fine_bin_range)
        loss, terms = total_loss(out, batch, targets, texts, self.net.text_head, weights, *ranges, self.dictionary)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self._trained(), self.config.clip_norm)
        rate = self._set_rates(progress)
        if bool(torch.isfinite(norm)):
            self.optimiser.step()
            self.average.update(self.net)
        else:
            _log.warning("step %d skipped: the gradient is not finite", self.step)
        self.step += 1
        figures = {"loss": float(loss.detach()), **terms, "grad_norm": float(norm), "rate": rate}
        figures |= {"pairs": len(batch.image) // 2, "height": batch.image.shape[2]}
        return {k: round(v, 5) for k, v in figures.items()} | {"step_s": round(time.monotonic() - began, 3)}

    def _make_optimiser(self) -> torch.optim.AdamW:
        frozen = [self.net.encoder.stem, *self.net.encoder.blocks[: self.config.frozen_blocks]]
        if self.net.gaussian_head is not None:
            frozen.append(self.net.gaussian_head)  # trained alone (see `gaussian_trainer`)
        for module in frozen:
            module.requires_grad_(False)
        groups: dict[tuple[bool, bool], list[Tensor]] = {}
        for name, parameter in self.net.named_parameters():
            if parameter.requires_grad:
                key = (name.startswith("encoder."), parameter.ndim >= 2)
                groups.setdefault(key, []).append(parameter)
        return torch.optim.AdamW(
            [
                {
                    "params": parameters,
                    "peak": self.config.encoder_learning_rate if encoder else self.config.learning_rate,
                    "weight_decay": self.config.weight_decay if matrix else 0.0,
                }
                for (encoder, matrix), parameters in groups.items()
            ],
            lr=self.config.learning_rate,
            betas=(0.9, 0.98),
        )

    def _trained(self) -> list[Tensor]:
        return [p for group in self.optimiser.param_groups for p in group["params"]]

    def _set_rates(self, progress: float) -> float:
        """Warm up by steps, stay at the peak, then a cosine by progress; return the share of the peak."""
        warmup = min(1.0, (self.step + 1) / max(self.config.warmup_steps, 1))
        low, start = self.config.final_rate, self.config.decay_from
        falling = max(0.0, progress - start) / (1.0 - start)
        share = warmup * (low + (1 - low) * 0.5 * (1 + math.cos(math.pi * falling)))
        for group in self.optimiser.param_groups:
            group["lr"] = group["peak"] * share
        return share

    def _restore(self) -> None:
        state = load_state(self.folder)
        if state is None:
            return
        self.net.load_state_dict(state.model)
        self.average.restore(state.average, state.average_updates, self.device)
        self.optimiser.load_state_dict(state.optimiser)
        torch.set_rng_state(state.torch_rng)
        self.step, self.elapsed_s = state.step, state.elapsed_s
        self.log.rewind(self.step)
        _log.info("resumed at step %d after %.0f s", self.step, self.elapsed_s)
