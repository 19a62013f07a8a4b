"""How good are the things that queries find in rendered rooms: in how many pieces, run together, or whole?

    python tools/instance_report.py SHARD_FOLDER [--seed 1] [--walks 60] [--backend lsm-tiny] [--weights FILE]

Takes walks of five pictures through rooms with unseen furniture, asks for `NAMES`, and puts what the keyframes
show together (`InstanceMap`), each pair at its true place and size, so that only words, shapes and grouping are
judged. The rooms are built again from their seeds: what stands in them is the truth. `--seed` is the one they were
made with. A thing belongs to the piece of furniture of its name that most of its points lie at (within NEAR_M), to
none where that is less than half of them.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from lsm_core import load_backend
from lsm_core.backends.base import Backend
from lsm_core.data.catalog import entries_for_split, read_catalog
from lsm_core.data.classes import CLASS_ID
from lsm_core.data.frames import FRAMES_PER_WALK
from lsm_core.data.furniture import FurniturePool
from lsm_core.data.generate import room_seed
from lsm_core.data.rooms import build_room
from lsm_core.data.scene import Item
from lsm_core.data.shards import FrameShard, list_shards, load_shard
from lsm_core.mapping import PointCloud, cloud_from_view
from lsm_core.query import Instance, InstanceConfig, InstanceMap, find_instances
from lsm_core.query.instance_map import AGREEMENT
from lsm_core.query.region_joining import JoinConfig
from lsm_core.types import Prediction, Sim3

NAMES = ("chair", "table", "desk", "sofa", "bed", "cabinet", "bookshelf", "refrigerator", "lamp", "plant", "tv")
NEAR_M = 0.3  # the model's depth is off by a tenth
IN_VIEW = 300  # pixels of a picture from which on a piece of furniture counts
WHOLE_IOU = 0.25  # of the boxes, for a thing that is found whole
UP = np.array([0.0, 0.0, 1.0])
# Regions as they are, without putting pieces together or votes; and as the node does it.
WAYS = {
    "regions": (InstanceConfig(join=JoinConfig(0, 0, 0)), 0.0),
    "things": (InstanceConfig(), AGREEMENT),
}


@dataclass(frozen=True)
class Truth:
    """What a walk shows of a piece of furniture: its name's index, its whole box, and the box of what was seen."""

    label: int
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    seen_low: NDArray[np.float64]
    seen_high: NDArray[np.float64]


@dataclass(frozen=True)
class Walk:
    """The keyframes' clouds in the room's frame, metres, and the truth: what the first one shows, what all show."""

    clouds: list[PointCloud]
    first: list[Truth]
    truth: list[Truth]


@dataclass
class Tally:
    """Counts over walks."""

    truths: int = 0
    things: int = 0
    nothing: int = 0
    pieces: list[int] = field(default_factory=list)  # per piece of furniture that was found
    shared: list[int] = field(default_factory=list)  # pieces of furniture per thing
    whole: int = 0

    def row(self, title: str) -> str:
        """Return a line of the table."""
        precision, recall = self.whole / max(self.things, 1), self.whole / max(self.truths, 1)
        f1 = 2 * precision * recall / max(precision + recall, 1e-9)
        return (
            f"{title:14s} {self.truths:9d} {len(self.pieces) / max(self.truths, 1):6.2f} {self.things:7d} "
            f"{self.nothing / max(self.things, 1):8.2f} {np.mean(self.pieces or [0]):7.2f} "
            f"{np.mean(self.shared or [0]):7.2f} {precision:9.2f} {recall:7.2f} {f1:5.2f}"
        )


HEAD = (
    "               furniture  found  things  at none  pieces  shared  precision  recall    F1\n"
    "                                                 per one per thing     (whole, IoU 0.25)"
)


def walks(folder: Path, seed: int, limit: int) -> Iterator[tuple[FrameShard, range, tuple[Item, ...]]]:
    """Yield the frames of walks with what stands in their rooms."""
    pool = FurniturePool(entries_for_split(read_catalog(), "val"))
    for path in list_shards(folder):
        shard = load_shard(path)
        for start in range(0, len(shard.rgb), FRAMES_PER_WALK):
            if limit <= 0:
                return
            limit -= 1
            items = build_room(room_seed("val", seed, int(shard.room[start])), pool).items
            yield shard, range(start, start + FRAMES_PER_WALK), items


def true_points(shard: FrameShard, frame: int) -> NDArray[np.float64]:
    """Return where the pixels of a frame are in the room [H, W, 3]; NaN where nothing is known."""
    depth = shard.depth[frame].astype(np.float64)
    v, u = np.mgrid[: depth.shape[0], : depth.shape[1]].astype(np.float64)
    rays = np.stack([u, v, np.ones_like(u)], -1) @ np.linalg.inv(shard.K[frame].astype(np.float64)).T
    T = shard.T_world_cam[frame].astype(np.float64)
    return np.where(depth[..., None] > 0, rays * depth[..., None], np.nan) @ T[:3, :3].T + T[:3, 3]


def truth_of(shard: FrameShard, frames: range, items: Sequence[Item]) -> list[Truth]:
    """Return the furniture that at least one frame shows enough of."""
    seen: dict[int, list[NDArray[np.float64]]] = {}
    enough: set[int] = set()
    for frame in frames:
        points = true_points(shard, frame)
        for number, item in enumerate(items):
            if item.label not in NAMES:
                continue
            low, high = np.array(item.low), np.array(item.high)
            of_class = points[shard.label[frame] == CLASS_ID[item.label]]
            own = of_class[((of_class > low - 0.02) & (of_class < high + 0.02)).all(1)]
            seen.setdefault(number, []).append(own)
            if len(own) >= IN_VIEW:
                enough.add(number)
    found = []
    for number in sorted(enough):
        item, points = items[number], np.concatenate(seen[number])
        low, high = np.quantile(points, [0.02, 0.98], axis=0)
        found.append(Truth(NAMES.index(item.label), np.array(item.low), np.array(item.high), low, high))
    return found


def placed(prediction: Prediction, shard: FrameShard, frame: int) -> Prediction:
    """Return a pair in the room's frame, in metres by the true depth of its first view."""
    h, w = prediction.pointmaps[0].shape[:2]
    depth = prediction.depth(0).cpu().float().numpy()
    y = (np.arange(h) + 0.5) * shard.depth.shape[1] // h
    x = (np.arange(w) + 0.5) * shard.depth.shape[2] // w
    true = shard.depth[frame].astype(np.float32)[np.ix_(y.astype(int), x.astype(int))]
    known = (true > 0) & (depth > 0)
    scale = float(np.median(true[known] / depth[known]))
    T = shard.T_world_cam[frame].astype(np.float64)
    return prediction.transform(Sim3.from_matrix(T @ np.diag([scale, scale, scale, 1.0])))


def look(backend: Backend, shard: FrameShard, frames: range) -> list[PointCloud]:
    """Return what the model sees on each picture, labelled, in the room's frame."""
    clouds = []
    for older, newer in itertools.pairwise(frames):
        pair = [shard.rgb[older], shard.rgb[newer]]
        prediction = backend.predict(pair, intrinsics=[shard.K[older], shard.K[newer]])
        found = backend.query(prediction, list(NAMES))
        whole = placed(prediction, shard, older)
        for view in (0, 1) if older == frames[0] else (1,):
            scores = np.take_along_axis(np.stack(found.scores[view]), np.maximum(found.labels[view], 0)[None], 0)[0]
            clouds.append(cloud_from_view(whole, view, found.labels[view], scores))
    return clouds


def belongs(points: NDArray[np.float32], truth: Sequence[Truth]) -> NDArray[np.float64]:
    """Return the share of points [N, 3] that lie at each piece of furniture; a point counts for the nearest."""
    if not truth:
        return np.zeros(0)
    apart = np.stack([np.maximum(np.maximum(t.low - points, points - t.high), 0) for t in truth])
    distance = np.linalg.norm(apart, axis=-1)  # [T, N]
    nearest = distance.argmin(0)
    near = distance.min(0) <= NEAR_M
    return np.bincount(nearest[near], minlength=len(truth)) / len(points)


def overlap(thing: NDArray[np.float32], truth: Truth) -> float:
    """Return the IoU of the box around a thing's points and the box of what was seen."""
    low, high = np.quantile(thing, [0.02, 0.98], axis=0)
    (a, b), (c, d) = thickened(low, high), thickened(truth.seen_low, truth.seen_high)
    common = np.prod(np.maximum(np.minimum(b, d) - np.maximum(a, c), 0))
    return float(common / (np.prod(b - a) + np.prod(d - c) - common))


def thickened(
    low: NDArray[np.float64], high: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return a box that is at least 0.1 m thick."""
    middle = (low + high) / 2
    return np.minimum(low, middle - 0.05), np.maximum(high, middle + 0.05)


def judge(things: Sequence[tuple[int, NDArray[np.float32]]], truth: Sequence[Truth], tally: Tally) -> None:
    """Count the things (name's index and points) found on a walk."""
    tally.truths += len(truth)
    tally.things += len(things)
    pieces = np.zeros(len(truth), int)
    overlaps = np.zeros((len(things), len(truth)))
    for row, (label, points) in enumerate(things):
        candidates = [i for i, t in enumerate(truth) if t.label == label]
        shares = belongs(points, [truth[i] for i in candidates])
        tally.nothing += not len(shares) or shares.sum() < 0.5
        if len(shares) and shares.sum() >= 0.5:
            pieces[candidates[int(shares.argmax())]] += 1
            tally.shared.append(max(1, int((shares >= 0.2).sum())))
        for i in candidates:
            overlaps[row, i] = overlap(points, truth[i])
    tally.pieces += [int(n) for n in pieces if n]
    while overlaps.size and overlaps.max() >= WHOLE_IOU:
        row, column = divmod(int(overlaps.argmax()), overlaps.shape[1])
        overlaps[row], overlaps[:, column] = 0, 0
        tally.whole += 1


def count_walk(walk: Walk, tallies: dict[str, Tally]) -> None:
    """Find the things of a walk on its first keyframe and on all, in both ways, and count them."""
    for way, (config, agreement) in WAYS.items():
        first = walk.clouds[0]
        judge([points_of(t, first) for t in find_instances(first, UP, config)], walk.first, tallies[f"one, {way}"])
        things = InstanceMap(config, agreement)
        for key, cloud in enumerate(walk.clouds):
            things.add(key, cloud, NAMES)
        whole = things.cloud()
        judge([points_of(t, whole) for t in things.things(1.0, UP)], walk.truth, tallies[f"five, {way}"])


def points_of(thing: Instance, cloud: PointCloud) -> tuple[int, NDArray[np.float32]]:
    """Return the name's index and the points of a thing."""
    return thing.label, cloud.points[thing.members]


def main() -> None:
    """Read the arguments, run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shards", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--walks", type=int, default=60)
    parser.add_argument("--backend", default="lsm-tiny")
    parser.add_argument("--weights", default=None)
    arguments = parser.parse_args()
    backend = load_backend(arguments.backend, weights=arguments.weights)
    tallies = {f"{count}, {way}": Tally() for count in ("one", "five") for way in WAYS}
    for shard, frames, items in walks(arguments.shards, arguments.seed, arguments.walks):
        with torch.inference_mode():
            clouds = look(backend, shard, frames)
        count_walk(Walk(clouds, truth_of(shard, frames[:1], items), truth_of(shard, frames, items)), tallies)
    print(HEAD)
    for title, tally in tallies.items():
        print(tally.row(title))


if __name__ == "__main__":
    main()
