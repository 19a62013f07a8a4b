"""How long the Large Spatial Model takes, stage by stage, and how much faster it is than its slow readable twin."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from lsm_core.backends import Backend, load_backend
from lsm_core.backends.lsm import LsmBackend, LsmOptions, encoded_view, load
from lsm_core.backends.pair_backend import both_orders
from lsm_core.evaluation.bench_scene import room_pointmaps
from lsm_core.nn.dust3r import Pointmap
from lsm_core.nn.lsm import LsmOutput
from lsm_core.types import QueryResult, ViewFeatures

TEXTS = ("chair", "table", "floor")
PAIR, TWIN = "pair and its cameras", "reference: pair and its cameras"
MIB = 1024.0
Image = NDArray[np.uint8]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Seconds:
    """Wall time, and processor time of all threads together, which other programs hardly change."""

    wall: float
    cpu: float


@dataclass(frozen=True)
class LsmTimes:
    """What was measured of one precision and size.

    Attributes:
        stages: time per stage, medians over the repeats.
        peak_mib: largest memory of the process until the twin was loaded; pages of the mapped files count.
        own_mib: memory of the process that belongs to no file, after a pair.
        device_mib: largest memory of the GPU, 0 on a CPU.
        parameters: of the network.
        presence: answer to each of `TEXTS`.
    """

    stages: dict[str, Seconds]
    peak_mib: float
    own_mib: float
    device_mib: float
    parameters: int
    presence: dict[str, float]

    @property
    def ratio(self) -> float:
        """How many times longer the twin takes for a pair than the fast way, measured in turn."""
        return self.stages[TWIN].wall / self.stages[PAIR].wall

    @property
    def cpu_ratio(self) -> float:
        """The same, of processor time."""
        return self.stages[TWIN].cpu / self.stages[PAIR].cpu


def bench_lsm(
    folder: Path, device: torch.device, images: Sequence[Image], options: LsmOptions, repeats: int
) -> LsmTimes:
    """Load the files of a folder, predict a pair and ask it words, all timed; then time the twin beside it.

    The twin works as the released demo does: three passes of encoder and decoder (one for the Gaussians, one per
    order for the cameras), attention written out, batch normalisation as stored, LSeg's full feature map.

    Args:
        folder: with the three files.
        device: where to run.
        images: two of [H, W, 3] uint8.
        options: of the fast way; the twin has the same but for precision.
        repeats: timed runs, after one to warm up.
    """
    loaded: list[Backend] = []
    loading = timed(lambda: loaded.append(load_backend("lsm", device, folder, options=options)), device)
    (backend,) = loaded
    assert isinstance(backend, LsmBackend)
    with torch.inference_mode():
        stages, answer = stage_times(backend, images, repeats)
        memory = (peak_mib(), own_mib(), device_mib(device))
        twin = load(device, folder, replace(options, reference=True, precision="float32"))
        in_turn = [lambda: backend.predict(images), lambda: reference_pair(twin, images)]
        pair, reference = medians(in_turn, repeats, device)
    presence = {text: float(p) for text, p in zip(TEXTS, answer.presence, strict=True)}
    parameters = sum(p.numel() for p in backend.network.parameters())
    return LsmTimes({"load": loading, **stages, PAIR: pair, TWIN: reference}, *memory, parameters, presence)


def stage_times(
    backend: LsmBackend, images: Sequence[Image], repeats: int
) -> tuple[dict[str, Seconds], QueryResult]:
    """Return the time of each stage of a pair and of a query, and what the query found."""
    views = [backend.encode(image) for image in images]
    prediction = backend.predict(views)
    work: dict[str, Callable[[], object]] = {
        "encode one image": lambda: backend.encode(images[0]),
        "decode both orders": lambda: decoded(backend, views),
        "encoded pair": lambda: backend.predict(views),
        "Gaussians, points of a room": lambda: fused_room(backend, views),
        "masks of three texts": lambda: backend.query(prediction, list(TEXTS)),
    }
    stages = {name: medians([run], repeats, backend.device)[0] for name, run in work.items()}
    if backend.device.type == "cuda":
        stages |= graph_times(backend, views, repeats)
    return stages, backend.query(prediction, list(TEXTS))


def fused_room(backend: LsmBackend, views: Sequence[ViewFeatures]) -> object:
    """Make Gaussians of points as a room has them, instead of the network's own."""
    network = backend.network
    encoded = [encoded_view(view) for view in views]
    height, width = encoded[0].image.shape[2:]
    points = [p[None].to(backend.device) for p in room_pointmaps(height, width)]
    permutations = network.point_transformer.permutations(torch.Generator().manual_seed(0))
    return network.fuse(encoded, [Pointmap(p, torch.ones_like(p[..., 0])) for p in points], permutations)


def graph_times(backend: LsmBackend, views: Sequence[ViewFeatures], repeats: int) -> dict[str, Seconds]:
    """Return the time of the dense part alone on a GPU, launched and as a graph (NaN where there is none)."""
    network, image = backend.network, views[0].tensors["image"]
    size = (image.shape[2], image.shape[3])
    pair = [encoded_view(view).geometry for view in views]
    work: dict[str, Callable[[], object]] = {
        "dense part, encode": lambda: network.encode(image),
        "dense part, decode one order": lambda: network.dust3r.pointmaps(pair, size),
    }
    stages: dict[str, Seconds] = {}
    with backend.numerics():
        for name, run in work.items():
            stages[f"{name}, launched"] = medians([run], repeats, backend.device)[0]
            try:
                replay = captured(run, backend.device)
            except RuntimeError:
                logger.warning("%s cannot be captured", name, exc_info=True)
                stages[f"{name}, as a CUDA graph"] = Seconds(math.nan, math.nan)
            else:
                stages[f"{name}, as a CUDA graph"] = medians([replay], repeats, backend.device)[0]
    return stages


def captured(run: Callable[[], object], device: torch.device) -> Callable[[], object]:
    """Record what a call launches on a GPU, and return a call that launches it again, all at once."""
    aside, now = torch.cuda.Stream(device), torch.cuda.current_stream(device)
    aside.wait_stream(now)
    with torch.cuda.stream(aside):  # libraries choose their kernels and workspaces before the recording
        for _ in range(3):
            run()
    now.wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        run()
    return graph.replay


def decoded(backend: LsmBackend, views: Sequence[ViewFeatures]) -> object:
    """Decode both orders of two encoded views, in the backend's precision."""
    with backend.numerics():
        return both_orders(backend.network.dust3r, views[0], views[1])


def reference_pair(twin: LsmBackend, images: Sequence[Image]) -> LsmOutput:
    """Do the work as the released demo does it, with a backend loaded with `reference`."""
    network = twin.network
    with twin.numerics():
        views = [twin.encode(image) for image in images]
        size = (views[0].tensors["image"].shape[2], views[0].tensors["image"].shape[3])
        for order in (views, views[::-1]):
            tokens = [network.dust3r.encode(view.tensors["image"]) for view in order]
            network.dust3r.pointmaps(tokens, size)
        permutations = network.point_transformer.permutations(torch.Generator().manual_seed(0))
        return network([encoded_view(view) for view in views], permutations)


def medians(runs: Sequence[Callable[[], object]], repeats: int, device: torch.device) -> list[Seconds]:
    """Return the median times of each of some calls, made in turn, after one round to warm up."""
    rows: list[list[Seconds]] = [[] for _ in runs]
    for _ in range(repeats + 1):
        for run, row in zip(runs, rows, strict=True):
            row.append(timed(run, device))
    return [
        Seconds(float(np.median([t.wall for t in row[1:]])), float(np.median([t.cpu for t in row[1:]])))
        for row in rows
    ]


def timed(run: Callable[[], object], device: torch.device) -> Seconds:
    """Run a call once, until the device has finished."""
    wall, cpu = time.perf_counter(), time.process_time()
    run()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return Seconds(time.perf_counter() - wall, time.process_time() - cpu)


def peak_mib() -> float:
    """Return the largest resident memory of this process so far; 0 where the system does not say.

    Not from getrusage: a process that was spawned begins there with the peak of the one that spawned it.
    """
    return _status_mib("VmHWM")


def own_mib() -> float:
    """Return the resident memory of this process that is not mapped from files; 0 where the system does not say."""
    return _status_mib("RssAnon")


def _status_mib(field: str) -> float:
    status = Path("/proc/self/status")
    lines = status.read_text(encoding="utf-8").splitlines() if status.exists() else []
    return next((int(line.split()[1]) / MIB for line in lines if line.startswith(field)), 0.0)


def device_mib(device: torch.device) -> float:
    """Return the largest memory that tensors took on a GPU so far; 0 on a CPU."""
    return torch.cuda.max_memory_allocated(device) / MIB**2 if device.type == "cuda" else 0.0
