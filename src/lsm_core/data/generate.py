"""Command line: render rooms into shards.

``python -m lsm_core.data.generate --split train --rooms 1000 --seed 1 --out DIR --workers 2``
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.progress import Progress

from lsm_core.data.catalog import Split, entries_for_split, read_catalog
from lsm_core.data.classes import CLASSES
from lsm_core.data.frames import WALKS_PER_ROOM, WalkFrames, photograph_walk
from lsm_core.data.furniture import FurniturePool
from lsm_core.data.gl_renderer import Renderer
from lsm_core.data.rooms import build_room
from lsm_core.data.shards import FrameShard, list_shards, load_shard, save_shard
from lsm_core.io.atomic import write_text

WIDTH, HEIGHT = 256, 192
_SPLIT_CODE = {"train": 0, "val": 1}
_state: dict[str, object] = {}


@dataclass(frozen=True)
class Job:
    """What one run generates."""

    split: Split
    seed: int
    rooms: int
    rooms_per_shard: int
    out: Path

    def shard_path(self, index: int) -> Path:
        """Return the file of a shard."""
        return self.out / f"shard_{index:05d}.npz"

    def rooms_of(self, index: int) -> range:
        """Return the room numbers of a shard."""
        first = index * self.rooms_per_shard
        return range(first, min(self.rooms, first + self.rooms_per_shard))

    @property
    def shards(self) -> int:
        """Return how many shards there are."""
        return -(-self.rooms // self.rooms_per_shard)


def room_seed(split: Split, seed: int, room: int) -> int:
    """Return the seed of a room: distinct between splits, base seeds and rooms."""
    state = np.random.SeedSequence([_SPLIT_CODE[split], seed, room]).generate_state(2, np.uint32)
    return int(state[0]) << 32 | int(state[1])


def target_weights(pixels: np.ndarray) -> dict[str, float]:
    """Return how strongly cameras should look for each class, from the pixels [C] seen so far."""
    share = pixels / max(1.0, pixels.sum())
    weight = (share + 0.002) ** -0.5
    return {name: float(w) for name, w in zip(CLASSES, weight, strict=True)}


def generate_shard(job: Job, index: int, pool: FurniturePool, renderer: Renderer) -> FrameShard:
    """Render one shard; depends on the job and the index alone."""
    walks: list[tuple[int, WalkFrames]] = []
    pixels = np.zeros(len(CLASSES))
    for room in job.rooms_of(index):
        seed = room_seed(job.split, job.seed, room)
        scene = build_room(seed, pool)
        renderer.load(scene)
        rng = np.random.default_rng([seed, 1])
        for _ in range(WALKS_PER_ROOM):
            found = photograph_walk(renderer, scene, rng, target_weights(pixels))
            if found is not None:
                walks.append((room, found))
                pixels += np.bincount(found.label.reshape(-1), minlength=len(CLASSES))
    return _stack(walks)


def _stack(walks: list[tuple[int, WalkFrames]]) -> FrameShard:
    counts = [len(w.rgb) for _, w in walks]
    starts = np.concatenate([[0], np.cumsum(counts)])[:-1]
    return FrameShard(
        rgb=np.concatenate([w.rgb for _, w in walks]),
        depth=np.concatenate([w.depth for _, w in walks]).astype(np.float16),
        label=np.concatenate([w.label for _, w in walks]),
        K=np.concatenate([np.repeat(w.walk.intrinsics[None], len(w.rgb), 0) for _, w in walks]).astype(np.float32),
        T_world_cam=np.concatenate([w.walk.T_world_cam for _, w in walks]).astype(np.float32),
        room=np.concatenate([np.full(n, r, np.int32) for n, (r, _) in zip(counts, walks, strict=True)]),
        pairs=np.concatenate([w.pairs + s for s, (_, w) in zip(starts, walks, strict=True)]).astype(np.int32),
        overlap=np.concatenate([w.overlap for _, w in walks]),
    )


def statistics(folder: Path) -> dict[str, object]:
    """Summarise the shards of a folder: counts, overlap and depth quantiles, share of pixels per class."""
    pixels = np.zeros(len(CLASSES))
    overlaps, depths, baselines = [], [], []
    frames = rooms = 0
    for path in list_shards(folder):
        shard = load_shard(path)
        pixels += np.bincount(shard.label.reshape(-1), minlength=len(CLASSES))
        frames += len(shard.rgb)
        rooms += len(np.unique(shard.room))
        overlaps.append(shard.overlap)
        sample = shard.depth[:, ::8, ::8].astype(np.float32)
        depths.append(sample[sample > 0])
        step = shard.T_world_cam[shard.pairs[:, 0], :3, 3] - shard.T_world_cam[shard.pairs[:, 1], :3, 3]
        baselines.append(np.linalg.norm(step, axis=1))
    if not frames:
        return {"frames": 0}
    quantiles = (0.05, 0.25, 0.5, 0.75, 0.95)
    share = pixels / pixels.sum()
    order = np.argsort(-share)
    return {
        "shards": len(overlaps),
        "rooms": rooms,
        "frames": frames,
        "pairs": int(sum(len(o) for o in overlaps)),
        "overlap_quantiles": np.quantile(np.concatenate(overlaps), quantiles).round(3).tolist(),
        "baseline_m_quantiles": np.quantile(np.concatenate(baselines), quantiles).round(3).tolist(),
        "depth_m_quantiles": np.quantile(np.concatenate(depths), quantiles).round(2).tolist(),
        "class_percent": {CLASSES[i]: round(100 * float(share[i]), 3) for i in order},
    }


def _start_worker(job: Job) -> None:
    os.environ.setdefault("LP_NUM_THREADS", "1")
    _state["job"] = job
    _state["pool"] = FurniturePool(entries_for_split(read_catalog(), job.split))
    _state["renderer"] = Renderer(WIDTH, HEIGHT)


def _work(index: int) -> int:
    job, pool, renderer = _state["job"], _state["pool"], _state["renderer"]
    assert isinstance(job, Job) and isinstance(pool, FurniturePool) and isinstance(renderer, Renderer)
    save_shard(generate_shard(job, index, pool, renderer), job.shard_path(index))
    return index


def _run(job: Job, missing: list[int], workers: int) -> Iterator[int]:
    if workers <= 1:
        _start_worker(job)
        yield from map(_work, missing)
        return
    context = multiprocessing.get_context("spawn")
    with context.Pool(workers, _start_worker, (job,)) as pool:
        yield from pool.imap(_work, missing)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--split", choices=("train", "val"), required=True)
    parser.add_argument("--rooms", type=int, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--rooms-per-shard", type=int, default=25)
    args = parser.parse_args(arguments)
    job = Job(args.split, args.seed, args.rooms, args.rooms_per_shard, args.out)
    job.out.mkdir(parents=True, exist_ok=True)
    missing = [i for i in range(job.shards) if not job.shard_path(i).exists()]
    with Progress() as progress:
        task = progress.add_task(f"{job.split} shards", total=job.shards, completed=job.shards - len(missing))
        for _ in _run(job, missing, args.workers):
            progress.advance(task)
    summary = statistics(job.out)
    write_text(job.out / "stats.json", json.dumps(summary, indent=1) + "\n")
    print(json.dumps(summary, indent=1))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
