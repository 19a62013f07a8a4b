"""lsm-tiny by onnxruntime beside PyTorch: time of each stage, taken in turn, and how far the numbers are apart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from lsm_core.backends.tiny import TinyBackend
from lsm_core.backends.tiny_onnx_export import tensors_of
from lsm_core.evaluation.bench_lsm import Seconds, medians
from lsm_core.evaluation.pairs import EvalPair
from lsm_core.evaluation.tables import Cell, Column, Table
from lsm_core.nn.tiny.network import Encoded, TinyNet, stack_views
from lsm_core.types import Prediction, ViewFeatures

AGREEMENT = 1e-3


@dataclass(frozen=True)
class OnnxStage:
    """One stage run both ways.

    Attributes:
        name: of the stage.
        torch, onnx: median seconds.
        difference: largest absolute difference of the outputs, NaN where they are not compared.
    """

    name: str
    torch: Seconds
    onnx: Seconds
    difference: float


def bench_onnx(plain: TinyBackend, fast: TinyBackend, pair: EvalPair, repeats: int) -> list[OnnxStage]:
    """Run each stage both ways in turn, on the same inputs.

    Args:
        plain: run by PyTorch on the CPU.
        fast: of the same weights, run by onnxruntime.
        pair: its images and intrinsics.
        repeats: timed rounds, after one to warm up.
    """
    images, K = [view.image for view in pair.views], [view.K for view in pair.views]
    encoded = [plain.encode(image, k) for image, k in zip(images, K, strict=True)]
    stages: list[tuple[str, Callable[[TinyBackend], object]]] = [
        ("encode one image", lambda b: b.encode(images[0], K[0])),
        ("network: match", lambda b: _match(b.network, encoded)),
        ("network: match and refine", lambda b: _refine(b.network, encoded)),
        ("encoded pair, pose included", lambda b: b.predict(encoded)),
        ("two raw images (total)", lambda b: b.predict(images, K)),
    ]
    found = []
    for name, run in stages:
        apart = difference(run(plain), run(fast))
        slow, quick = medians([lambda run=run: run(plain), lambda run=run: run(fast)], repeats, plain.device)  # type: ignore[misc]
        found.append(OnnxStage(name, slow, quick, apart))
    return found


def difference(ours: object, theirs: object) -> float:
    """Return the largest absolute difference of what two runs of one stage gave."""
    first, second = _tensors(ours), _tensors(theirs)
    return max(float((first[name] - second[name]).abs().nan_to_num().max()) for name in first)


def onnx_table(stages: list[OnnxStage], note: str) -> Table:
    """Return one row per stage."""
    columns = [Column("stage"), Column("PyTorch ms", ".1f"), Column("CPU ms", ".1f"), Column("ONNX ms", ".1f"),
               Column("CPU ms", ".1f"), Column("ratio", ".2f"), Column("difference", ".1e")]  # fmt: skip
    rows: list[list[Cell]] = [
        [s.name, 1e3 * s.torch.wall, 1e3 * s.torch.cpu, 1e3 * s.onnx.wall, 1e3 * s.onnx.cpu,
         s.torch.cpu / s.onnx.cpu, s.difference]
        for s in stages
    ]  # fmt: skip
    return Table("lsm-tiny by PyTorch and by onnxruntime", columns, rows, note)


@torch.inference_mode()
def _match(network: TinyNet, encoded: list[ViewFeatures]) -> object:
    return network.match(_stacked(encoded))


@torch.inference_mode()
def _refine(network: TinyNet, encoded: list[ViewFeatures]) -> object:
    """Refine what PyTorch matched."""
    views = _stacked(encoded)
    T = torch.eye(4).repeat(2, 1, 1)
    T[0, 0, 3], T[1, 0, 3] = 0.1, -0.1
    return network.refine(views, network.match(views), T, torch.ones(2, dtype=torch.bool))


def _stacked(encoded: list[ViewFeatures]) -> Encoded:
    names = ("s4", "s8", "tokens", "log_focal", "intrinsics")
    first, second = (Encoded(**{name: view.tensors[name] for name in names}) for view in encoded)
    return stack_views(first, second)


def _tensors(found: object) -> dict[str, torch.Tensor]:
    """Return what can be compared of a stage's outcome."""
    if isinstance(found, ViewFeatures):
        return {name: tensor.float() for name, tensor in found.tensors.items()}
    if isinstance(found, Prediction):
        maps = {"points": found.pointmaps, "confidence": found.confidence, "poses": found.poses,
                "features": found.features or [], "intrinsics": found.intrinsics}  # fmt: skip
        return {f"{name} {k}": tensor.float() for name, tensors in maps.items() for k, tensor in enumerate(tensors)}
    return tensors_of(found)  # type: ignore[arg-type]
