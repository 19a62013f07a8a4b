"""How good are text queries on rendered rooms: masks by threshold, and how presence separates seen from unseen.

    python tools/query_report.py SHARD_FOLDER [--pairs 100] [--backend lsm-tiny] [--weights FILE]

Asks the name of every class on view 0 of pairs of rendered rooms (`lsm_core.data.shards`). Prints, over all names
that occur: IoU of the masks at several thresholds, the share of masked pixels that are right, and for presence the
area under the ROC curve, and the quantiles of the mean score of the best pixels for names in view and not in view.
The defaults of `lsm_core.query.QueryConfig` were chosen from this table on rooms with unseen furniture.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from lsm_core import load_backend
from lsm_core.backends.base import Backend
from lsm_core.data.classes import CLASSES
from lsm_core.data.shards import FrameShard, list_shards, load_shard
from lsm_core.query import query_prediction
from lsm_core.query.text_to_mask import QueryConfig

NAMES = CLASSES[1:]
THRESHOLDS = (0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7)
IN_VIEW = 0.005  # share of the image from which on a thing counts as in view
# Presence as the plain mean score of the best pixels, to see its distribution.
RAW = QueryConfig(presence_low=0.0, presence_high=1.0)


@dataclass
class Tally:
    """Pixel counts per threshold and class, and presence samples."""

    both: NDArray[np.int64] = field(default_factory=lambda: np.zeros((len(THRESHOLDS), len(NAMES)), np.int64))
    masked: NDArray[np.int64] = field(default_factory=lambda: np.zeros((len(THRESHOLDS), len(NAMES)), np.int64))
    true: NDArray[np.int64] = field(default_factory=lambda: np.zeros(len(NAMES), np.int64))
    argmax_both: NDArray[np.int64] = field(default_factory=lambda: np.zeros(len(NAMES), np.int64))
    argmax: NDArray[np.int64] = field(default_factory=lambda: np.zeros(len(NAMES), np.int64))
    seen: list[float] = field(default_factory=list)
    unseen: list[float] = field(default_factory=list)


def score_pair(backend: Backend, shard: FrameShard, pair: NDArray[np.int32], tally: Tally) -> None:
    """Ask all names on view 0 of one pair and count."""
    images, intrinsics = [shard.rgb[i] for i in pair], [shard.K[i] for i in pair]
    prediction = backend.predict(images, intrinsics=intrinsics)
    found = query_prediction(backend, prediction, list(NAMES), views=[0], config=RAW)
    scores = np.stack(found.scores[0])
    label = shard.label[pair[0]]
    labelled = label > 0
    best = scores.argmax(0)
    for t in range(len(NAMES)):
        truth = (label == t + 1) & labelled
        tally.true[t] += truth.sum()
        tally.argmax[t] += ((best == t) & labelled).sum()
        tally.argmax_both[t] += ((best == t) & truth).sum()
        for k, threshold in enumerate(THRESHOLDS):
            mask = (scores[t] >= threshold) & labelled
            tally.masked[k, t] += mask.sum()
            tally.both[k, t] += (mask & truth).sum()
        share = float(truth.mean())
        if share >= IN_VIEW:
            tally.seen.append(found.presence[t])
        elif not truth.any():
            tally.unseen.append(found.presence[t])


def area_under_curve(seen: list[float], unseen: list[float]) -> float:
    """Return the probability that a name in view scores above one that is not."""
    values = np.concatenate([seen, unseen])
    ranks = np.empty(len(values))
    ranks[values.argsort(kind="stable")] = np.arange(1, len(values) + 1)
    n = len(seen)
    return float((ranks[:n].sum() - n * (n + 1) / 2) / (n * len(unseen)))


def print_report(tally: Tally) -> None:
    """Print the tables."""
    occurs = tally.true > 0
    iou = tally.argmax_both / np.maximum(tally.true + tally.argmax - tally.argmax_both, 1)
    print(f"argmax over {len(NAMES)} names: mIoU {iou[occurs].mean():.3f} over {int(occurs.sum())} that occur")
    print("threshold  mIoU   right/masked  found/true")
    for k, threshold in enumerate(THRESHOLDS):
        both, masked = tally.both[k], tally.masked[k]
        miou = (both / np.maximum(tally.true + masked - both, 1))[occurs].mean()
        precision, recall = both.sum() / max(masked.sum(), 1), both.sum() / tally.true.sum()
        print(f"{threshold:9.2f}  {miou:.3f}  {precision:12.3f}  {recall:10.3f}")
    print(f"presence: AUC {area_under_curve(tally.seen, tally.unseen):.3f}")
    quantiles = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)
    for name, values in (("seen", tally.seen), ("unseen", tally.unseen)):
        row = " ".join(f"{q:.2f}:{v:.3f}" for q, v in zip(quantiles, np.quantile(values, quantiles), strict=True))
        print(f"  mean score of the best pixels, {name:6s} n={len(values):5d}  {row}")
    defaults = QueryConfig()
    middle = 0.5 * (defaults.presence_low + defaults.presence_high)
    hit, false = np.mean(np.array(tally.seen) >= middle), np.mean(np.array(tally.unseen) >= middle)
    print(f"  at presence 0.5: {hit:.1%} of the names in view, {false:.1%} of those not in view")
    order = np.argsort(-tally.true)
    print("IoU by name: " + ", ".join(f"{NAMES[t]} {iou[t]:.2f}" for t in order[:24] if tally.true[t] > 0))


def main() -> None:
    """Read the arguments, run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shards", type=Path)
    parser.add_argument("--pairs", type=int, default=100)
    parser.add_argument("--backend", default="lsm-tiny")
    parser.add_argument("--weights", default=None)
    arguments = parser.parse_args()
    backend = load_backend(arguments.backend, weights=arguments.weights)
    tally, rng = Tally(), np.random.default_rng(0)
    shards = list_shards(arguments.shards)
    for path in shards:
        shard = load_shard(path)
        count = min(len(shard.pairs), -(-arguments.pairs // len(shards)))
        for index in rng.permutation(len(shard.pairs))[:count]:
            with torch.inference_mode():
                score_pair(backend, shard, shard.pairs[index], tally)
    print_report(tally)


if __name__ == "__main__":
    main()
