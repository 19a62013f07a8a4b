"""lsm-tiny's network run by onnxruntime, from a folder that `lsm weights onnx` wrote; the rest stays PyTorch."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lsm_core.backends.tiny_onnx_export import FORMAT, INSTALL, Named, stage_of, tensors_of
from lsm_core.backends.tiny_weights import ONNX_MANIFEST, WeightsCard, load_network
from lsm_core.errors import DependencyError, DeviceError, WeightsError
from lsm_core.nn.tiny import TinyConfig
from lsm_core.nn.tiny.network import Encoded, Matched, Refined, TinyNet

RUN = ("encode.onnx", "match.onnx", "refine.onnx")  # the heads are faster in PyTorch


class OnnxTinyNet(TinyNet):
    """The network whose three stages are run by onnxruntime: one image at a time, then one pair.

    Small heads that the backend calls by themselves (text, and what a later version adds) run on the parameters.

    Args:
        config: shapes.
        sessions: of `RUN`, by file name.
    """

    def __init__(self, config: TinyConfig, sessions: dict[str, Any]) -> None:
        super().__init__(config)
        self._sessions = sessions

    def encode(self, image: Tensor, intrinsics: Tensor, known: Tensor) -> Encoded:
        """Encode one image; see `TinyNet.encode`."""
        return stage_of(
            Encoded, self._run("encode.onnx", {"image": image, "intrinsics": intrinsics, "known": known})
        )

    def match(self, views: Encoded) -> Matched:
        """Relate the two views of a pair; see `TinyNet.match`."""
        return stage_of(Matched, self._run("match.onnx", tensors_of(views)))

    def refine(self, views: Encoded, matched: Matched, T_other_self: Tensor, has_pose: Tensor) -> Refined:
        """Refine depth with the relative pose and decode; see `TinyNet.refine`."""
        pose = {"T_other_self": T_other_self, "has_pose": has_pose}
        return stage_of(Refined, self._run("refine.onnx", tensors_of(views) | tensors_of(matched) | pose))

    def _run(self, name: str, given: Named) -> Named:
        session = self._sessions[name]
        feed = {entry.name: given[entry.name].detach().contiguous().numpy() for entry in session.get_inputs()}
        names = [entry.name for entry in session.get_outputs()]
        return {n: torch.from_numpy(value) for n, value in zip(names, session.run(names, feed), strict=True)}


def load_onnx_network(folder: Path, device: torch.device) -> tuple[OnnxTinyNet, WeightsCard]:
    """Load graphs and weights from a folder of `lsm weights onnx`.

    onnxruntime gets as many threads as PyTorch has now.

    Raises:
        DependencyError: onnxruntime is not installed.
        DeviceError: the device is not the CPU.
        WeightsError: a file is missing, damaged, or of other weights than those beside it.
    """
    if device.type != "cpu":
        raise DeviceError(
            f"{folder} holds graphs for onnxruntime on a CPU, and the device is {device}.",
            "Use device=cpu, or leave weights empty to run PyTorch there.",
        )
    plain, card = load_network(folder, device)
    graphs = _checked_graphs(folder, card)
    network = OnnxTinyNet(card.network, {name: _session(graph, folder / name) for name, graph in graphs.items()})
    network.load_state_dict(plain.state_dict(), strict=True)
    return network.eval().requires_grad_(False), card


def _checked_graphs(folder: Path, card: WeightsCard) -> dict[str, bytes]:
    """Return the content of the graphs once it is what the manifest says."""
    fix = f"Write the folder again: lsm weights onnx {folder}"
    try:
        manifest = json.loads((folder / ONNX_MANIFEST).read_text(encoding="utf-8"))
        if manifest["format"] != FORMAT:
            raise WeightsError(f"{folder / ONNX_MANIFEST} has format {manifest['format']}, not {FORMAT}.", fix)
        if manifest["weights"] != card.sha256:
            raise WeightsError(f"The graphs in {folder} are not of the weights beside them.", fix)
        graphs = {name: (folder / name).read_bytes() for name in RUN}
        damaged = [n for n, c in graphs.items() if hashlib.sha256(c).hexdigest() != manifest["files"][n]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WeightsError(
            f"The graphs in {folder} cannot be read: {type(error).__name__}: {error}.", fix
        ) from error
    if damaged:
        raise WeightsError(
            f"{folder / damaged[0]} is not the file that {ONNX_MANIFEST} names: damaged or mixed up.", fix
        )
    return graphs


def _session(graph: bytes, path: Path) -> Any:
    """Return an inference session that leaves the processor to others while it waits."""
    try:
        import onnxruntime
    except ImportError as error:
        raise DependencyError(f"{path} is run by onnxruntime, which is not installed.", INSTALL) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3  # errors only
    try:
        return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own types come from C++ and share no base
        raise WeightsError(
            f"onnxruntime cannot load {path}: {error}.", f"Write it again: lsm weights onnx {path.parent}"
        ) from error
