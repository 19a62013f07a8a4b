"""What each backend costs at a resolution: parameters, memory, time per stage, pairs per second beside its twin."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import ParamSpec, TypeVar

import torch

from lsm_core.backends import Backend, load_backend
from lsm_core.backends.base import Image
from lsm_core.backends.seeded import has_twin, sized_options
from lsm_core.errors import DeviceError
from lsm_core.evaluation.bench_lsm import Seconds, device_mib, medians, own_mib, peak_mib, timed
from lsm_core.evaluation.bench_scene import textured_pair
from lsm_core.evaluation.pairs import EvalPair
from lsm_core.types import Prediction, ViewFeatures

P = ParamSpec("P")
R = TypeVar("R")
LOAD, ENCODE, DECODE, PAIR, TWIN = "load", "encode", "decode", "pair", "twin"


@dataclass(frozen=True)
class BenchTask:
    """One backend at one resolution.

    Attributes:
        name: of the backend.
        size: side of the square images, pixels.
        weights: file or folder; None for those in the package.
        device: where to run.
        precision: of the dense part, where the backend has a choice.
        repeats: timed runs, after one to warm up.
        threads: of PyTorch on the processor; None for its own choice.
        twin: whether to time the slow readable twin, too.
        seed: of the images.
    """

    name: str
    size: int
    weights: Path | None
    device: str
    precision: str
    repeats: int
    threads: int | None
    twin: bool
    seed: int


@dataclass(frozen=True)
class BackendTimes:
    """What was measured.

    Attributes:
        name, size: of the task.
        parameters: of the network.
        stages: seconds to load, encode one image, predict from two encoded images, predict from two images, and
            the same with the twin, which is timed in turn with the fast way; twin is missing where there is none.
        peak_mib: largest memory of the process before the twin was loaded; pages of mapped files count.
        own_mib: memory of the process that belongs to no file, after the pairs.
        device_mib: largest memory of tensors on the GPU, 0 on a processor.
    """

    name: str
    size: int
    parameters: int
    stages: dict[str, Seconds]
    peak_mib: float
    own_mib: float
    device_mib: float

    @property
    def pairs_per_s(self) -> float:
        """Of the fast way."""
        return 1 / self.stages[PAIR].wall

    @property
    def twin_pairs_per_s(self) -> float | None:
        """Of the twin, None without."""
        return 1 / self.stages[TWIN].wall if TWIN in self.stages else None

    @property
    def ratio(self) -> float | None:
        """How many times longer the twin takes, processor or device time as the clock on the wall shows it."""
        return self.stages[TWIN].wall / self.stages[PAIR].wall if TWIN in self.stages else None

    @property
    def cpu_ratio(self) -> float | None:
        """The same, of processor time."""
        return self.stages[TWIN].cpu / self.stages[PAIR].cpu if TWIN in self.stages else None


def alone(work: Callable[P, R], *given: P.args, **named: P.kwargs) -> R:
    """Call a function in a process of its own, whose memory ends with it."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
        return pool.submit(work, *given, **named).result()


def bench_alone(task: BenchTask) -> BackendTimes:
    """Measure in a process of its own, so that memory is this backend's and no other's.

    Raises:
        DeviceError: the memory of the device or of the machine does not suffice.
    """
    try:
        return alone(bench_backend, task)
    except (BrokenProcessPool, torch.OutOfMemoryError) as error:
        raise DeviceError(
            f"{task.name} at {task.size}x{task.size} could not be measured: {error}.",
            "It may need more memory: leave the twins out (--no-twin), or choose other backends (--only).",
        ) from error


def bench_backend(task: BenchTask) -> BackendTimes:
    """Measure in this process."""
    if task.threads is not None:
        torch.set_num_threads(task.threads)
    device = torch.device(task.device)
    scene = textured_pair(task.size, task.size, task.seed)
    images = [view.image for view in scene.views]
    loaded: list[Backend] = []
    stages = {LOAD: timed(lambda: loaded.append(_load(task, reference=False)), device)}
    (backend,) = loaded
    encoded = [backend.encode(view.image, view.K) for view in scene.views]
    work: dict[str, Callable[[], object]] = {
        ENCODE: lambda: backend.encode(images[0], scene.views[0].K),
        DECODE: lambda: _predict(backend, encoded, scene),
        PAIR: lambda: _predict(backend, images, scene),
    }
    for name, run in work.items():
        stages[name] = medians([run], task.repeats, device)[0]
    memory = (peak_mib(), own_mib(), device_mib(device))
    if task.twin and has_twin(task.name):
        twin = _load(task, reference=True)
        in_turn = [work[PAIR], lambda: _predict(twin, images, scene)]
        stages[PAIR], stages[TWIN] = medians(in_turn, task.repeats, device)
    return BackendTimes(task.name, task.size, parameter_count(backend), stages, *memory)


def parameter_count(backend: Backend) -> int:
    """Return the number of parameters of a backend's networks."""
    networks = [part for part in vars(backend).values() if isinstance(part, torch.nn.Module)]
    return sum({p: p.numel() for network in networks for p in network.parameters()}.values())


def _load(task: BenchTask, reference: bool) -> Backend:
    precision = "float32" if reference else task.precision
    options = sized_options(task.name, task.size, reference, precision)
    return load_backend(task.name, task.device, task.weights, options=options)


def _predict(backend: Backend, views: Sequence[Image | ViewFeatures], scene: EvalPair) -> Prediction:
    """Predict the drawn pair; its cameras are known."""
    poses = [torch.eye(4, dtype=torch.float64), scene.T_cam0_cam1] if backend.needs_poses else None
    return backend.predict(views, [view.K for view in scene.views], poses)
