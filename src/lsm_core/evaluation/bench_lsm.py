"""How long the Large Spatial Model takes, stage by stage, and how much its shortcuts save."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from lsm_core.backends.lsm import LsmBackend, LsmOptions, encoded_view, load
from lsm_core.backends.pair_backend import both_orders

TEXTS = ("chair", "table", "floor")
MIB = 1024.0


@dataclass(frozen=True)
class LsmTimes:
    """Seconds per stage (medians over the repeats), and the largest memory of the process so far, MiB."""

    stages: dict[str, float]
    peak_mib: float
    parameters: int

    @property
    def ratio(self) -> float:
        """How many times longer the reference's way takes for a pair than ours."""
        return self.stages["reference: pair and its cameras"] / self.stages["pair and its cameras"]


def bench_lsm(
    folder: Path, device: torch.device, images: Sequence[NDArray[np.uint8]], size: int, repeats: int
) -> LsmTimes:
    """Load the files of a folder, predict a pair and ask it words, all timed.

    The reference's way encodes and decodes three times (once for the Gaussians, once per order for the cameras) and
    makes LSeg's full feature map; both ways use the same fused attention.

    Args:
        folder: with the three files.
        device: where to run.
        images: two of [H, W, 3] uint8.
        size: of the crop, see `LsmOptions`.
        repeats: timed runs, after one to warm up.
    """
    stages: dict[str, float] = {}
    started = time.perf_counter()
    backend = load(device, folder, LsmOptions(size=size))
    stages["load"] = time.perf_counter() - started
    with torch.inference_mode():
        views = [backend.encode(image) for image in images]
        prediction = backend.predict(views)
        work: dict[str, Callable[[], object]] = {
            "encode one image": lambda: backend.encode(images[0]),
            "decode both orders": lambda: both_orders(backend.network.dust3r, views[0], views[1]),
            "encoded pair": lambda: backend.predict(views),
            "pair and its cameras": lambda: backend.predict(images),
            "reference: pair and its cameras": lambda: reference_pair(backend, images),
            "masks of three texts": lambda: backend.query(prediction, list(TEXTS)),
        }
        for name, run in work.items():
            stages[name] = median_s(run, repeats, device)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MIB
    return LsmTimes(stages, peak, sum(p.numel() for p in backend.network.parameters()))


def reference_pair(backend: LsmBackend, images: Sequence[NDArray[np.uint8]]) -> object:
    """Do the work as the released demo does it: three passes of DUSt3R, LSeg's full map."""
    network = backend.network
    network.reference = True
    try:
        views = [backend.encode(image) for image in images]
        size = (views[0].tensors["image"].shape[2], views[0].tensors["image"].shape[3])
        for order in (views, views[::-1]):
            tokens = [network.dust3r.encode(view.tensors["image"]) for view in order]
            network.dust3r.pointmaps(tokens, size)
        permutations = network.point_transformer.permutations(torch.Generator().manual_seed(0))
        return network([encoded_view(view) for view in views], permutations)
    finally:
        network.reference = False


def median_s(run: Callable[[], object], repeats: int, device: torch.device) -> float:
    """Return the median seconds of a call, after one to warm up."""
    times = []
    for _ in range(repeats + 1):
        started = time.perf_counter()
        run()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - started)
    return float(np.median(times[1:]))
