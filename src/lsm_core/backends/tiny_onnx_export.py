"""lsm-tiny's network as ONNX graphs, split where the backend splits it (docs/weights.md).

``encode.onnx`` is what depends on one image; ``match.onnx`` takes both views, stacked; ``refine.onnx`` also takes
the relative pose, which the caller finds between the two; ``heads.onnx`` brings maps from 1/4 to 1/2. Tensors are
named after the dataclasses of `lsm_core.nn.tiny.network`, so an output of one graph is the input of that name of
the next, the two views of a pair stacked along the first axis. Heights and widths are free, in multiples of 32.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import warnings
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from lsm_core.backends.tiny_weights import ONNX_MANIFEST, PACKAGED, checked, load_network, weights_file
from lsm_core.errors import DependencyError
from lsm_core.io.atomic import atomic_path, write_text
from lsm_core.nn.tiny.network import Encoded, Matched, Refined, TinyNet

FORMAT = "lsm-tiny-onnx/1"
INSTALL = "pip install 'lsm_core[onnx]', or pip install onnxruntime onnx."
OPSET = 18
_GRIDS = ((64, 96), (96, 128))  # axes whose lengths differ between the two are left free
_AT_HALF = ("log_depth", "log_confidence", "features")

Named = dict[str, Tensor]
Stage = TypeVar("Stage", Encoded, Matched, Refined)


def tensors_of(stage: Encoded | Matched | Refined) -> Named:
    """Return the tensors of a stage by their names in the graphs, such as "matched.log_depth"."""
    prefix = type(stage).__name__.lower()
    values = {f.name: getattr(stage, f.name) for f in fields(stage)}
    return {f"{prefix}.{name}": value for name, value in values.items() if isinstance(value, Tensor)}


def stage_of(kind: type[Stage], tensors: Named) -> Stage:
    """Return a stage from tensors by their names in the graphs; those of other stages are ignored."""
    prefix = f"{kind.__name__.lower()}."
    named: dict[str, Any] = {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
    return kind(**named)


def _encode(network: TinyNet, given: Named) -> Named:
    return tensors_of(network.encode(given["image"], given["intrinsics"], given["known"]))


def _match(network: TinyNet, given: Named) -> Named:
    return tensors_of(network.match(stage_of(Encoded, given)))


def _refine(network: TinyNet, given: Named) -> Named:
    views, matched = stage_of(Encoded, given), stage_of(Matched, given)
    return tensors_of(network.refine(views, matched, given["T_other_self"], given["has_pose"]))


def _heads(network: TinyNet, given: Named) -> Named:
    refined = stage_of(Refined, given)
    return {f"half.{name}": refined.at_half(given[f"refined.{name}"]) for name in _AT_HALF}


GRAPHS: dict[str, Callable[[TinyNet, Named], Named]] = {
    "encode.onnx": _encode,
    "match.onnx": _match,
    "refine.onnx": _refine,
    "heads.onnx": _heads,
}


class _Graph(nn.Module):
    """A stage of the network as a module of positional tensors, which is what the exporter takes."""

    def __init__(self, network: TinyNet, run: Callable[[TinyNet, Named], Named], names: tuple[str, ...]) -> None:
        super().__init__()
        self.network, self.run, self.names = network, run, names

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.run(self.network, dict(zip(self.names, tensors, strict=True))).values())


def export_onnx(weights: Path | None, folder: Path) -> list[Path]:
    """Write the graphs, the weights they come from and a manifest into a folder that ``weights`` may name.

    Args:
        weights: a ``.safetensors`` file or a folder with ``lsm_tiny.safetensors``; None for the packaged one.
        folder: made where it is missing.

    Returns:
        The files of the graphs.

    Raises:
        WeightsError: the weights are missing, damaged or of another network.
        DependencyError: the package onnx is not installed.
    """
    source = weights_file(weights)
    network, card = load_network(source, torch.device("cpu"))
    network = network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    digests = {}
    for name, content in graphs_of(network).items():
        digests[name] = hashlib.sha256(content).hexdigest()
        _write(folder / name, content)
    _write(folder / PACKAGED.name, checked(source, card))
    with atomic_path(folder / PACKAGED.with_suffix(".json").name) as temporary:
        shutil.copyfile(source.with_suffix(".json"), temporary)
    manifest = {"format": FORMAT, "weights": card.sha256, "files": digests}
    write_text(folder / ONNX_MANIFEST, json.dumps(manifest, indent=1) + "\n")
    return [folder / name for name in digests]


@torch.no_grad()
def graphs_of(network: TinyNet) -> dict[str, bytes]:
    """Return the graphs of a network on the CPU, in eval mode: file name -> content.

    Raises:
        DependencyError: the package onnx is not installed.
    """
    found = {}
    small, large = (_examples(network, *grid) for grid in _GRIDS)
    for name, run in GRAPHS.items():
        inputs, outputs = small[name]
        graph = _Graph(network, run, tuple(inputs))
        free = _free_axes(inputs | outputs, large[name][0] | large[name][1])
        found[name] = _exported(graph, inputs, tuple(outputs), free)
    return found


def _examples(network: TinyNet, height: int, width: int) -> dict[str, tuple[Named, Named]]:
    """Return inputs and outputs of every graph at one grid."""
    focal = float(width)
    K = torch.tensor([[focal, 0, width / 2 - 0.5], [0, focal, height / 2 - 0.5], [0, 0, 1]])
    given = {"image": torch.rand(1, 3, height, width), "intrinsics": K[None], "known": torch.tensor([True])}
    pose = {"T_other_self": torch.eye(4).repeat(2, 1, 1), "has_pose": torch.tensor([True, True])}
    found = {}
    for name, run in GRAPHS.items():
        outputs = run(network, given)
        found[name] = (given, outputs)
        if run is _encode:
            given = {key: torch.cat((value, value)) for key, value in outputs.items()}
        else:
            given = given | outputs | pose
    return found


def _free_axes(small: Named, large: Named) -> dict[str, dict[int, str]]:
    """Name the axes whose lengths change with the grid."""
    return {
        name: {k: f"{name}.{k}" for k in range(tensor.dim()) if tensor.shape[k] != large[name].shape[k]}
        for name, tensor in small.items()
    }


def _exported(graph: nn.Module, inputs: Named, outputs: tuple[str, ...], free: dict[str, dict[int, str]]) -> bytes:
    """Trace one graph; what it does not read is not among its inputs.

    The tracing exporter needs onnx alone and a tenth of the time of the newer one, whose graphs are no faster.
    """
    target: Any = io.BytesIO()  # which the tracing exporter takes, whatever its annotation says
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of tracing, where Python looks at a size, and of its own age
            torch.onnx.export(
                graph, tuple(inputs.values()), target, dynamo=False, opset_version=OPSET,
                input_names=list(inputs), output_names=list(outputs), dynamic_axes=free,
            )  # fmt: skip
    except torch.onnx.errors.OnnxExporterError as error:
        if "onnx is not installed" not in str(error):
            raise
        raise DependencyError(
            "Writing ONNX graphs needs the package onnx, which is not installed.", INSTALL
        ) from error
    return target.getvalue()


def _write(path: Path, content: bytes) -> None:
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)
