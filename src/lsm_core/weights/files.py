"""Read checkpoint files without running any code they name.

A torch checkpoint is a pickle beside raw tensors. Its pickle may ask for any class; here it gets tensors, plain
containers, and an inert stand-in for everything else (argparse.Namespace, Lightning, OmegaConf, numpy ...).
"""

from __future__ import annotations

import pickle
import types
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from lsm_core.errors import WeightsError
from lsm_core.io.torch_container import is_plain_torch_file

# What a state dict is made of; torch.load resolves the storage types itself.
_ALLOWED: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): torch._utils._rebuild_tensor_v2,
    ("torch._utils", "_rebuild_parameter"): torch._utils._rebuild_parameter,
    ("torch", "Size"): torch.Size,
}
STATE_KEYS = ("model", "state_dict")


class StandIn:
    """Takes the place of an object whose class is not allowed: holds its state, does nothing."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        self.arguments = args

    def __setstate__(self, state: object) -> None:
        if isinstance(state, Mapping):
            self.__dict__.update({str(k): v for k, v in state.items()})

    def __setitem__(self, key: object, value: object) -> None:
        pass

    def append(self, value: object) -> None:
        """Take a list item; it is not kept."""

    def extend(self, values: object) -> None:
        """Take list items; they are not kept."""


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        return _ALLOWED.get((module, name), StandIn)


@dataclass(frozen=True, eq=False)
class CheckpointFile:
    """What a file holds; tensors are mapped from the disk and read when used.

    Attributes:
        path: of the file.
        tensors: by key, as stored.
        constructor: the text of `args.model`, where the file has one.
    """

    path: Path
    tensors: dict[str, Tensor]
    constructor: str | None = None

    def under(self, prefix: str) -> dict[str, Tensor]:
        """Return the tensors whose keys start with a prefix, without it."""
        return {k[len(prefix) :]: v for k, v in self.tensors.items() if k.startswith(prefix)}


def read_checkpoint(path: Path) -> CheckpointFile:
    """Open a .pth, .pt, .ckpt or .safetensors file.

    Raises:
        WeightsError: it is missing, unreadable, cut off, of an older format, or holds no tensors.
    """
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise WeightsError(f"The checkpoint {path} {what}.", "Name the file (see lsm weights list).")
    if path.suffix == ".safetensors":
        return CheckpointFile(path, _read_safetensors(path))
    if not zipfile.is_zipfile(path):
        raise WeightsError(
            f"{path} is not a whole torch checkpoint (no zip directory at its end).",
            "It may be cut off: compare its size with the source's and fetch it again (lsm weights fetch).",
        )
    _check_container(path)
    try:
        document = torch.load(
            path, map_location="cpu", weights_only=False, mmap=True, pickle_module=_pickle_module()
        )
    except Exception as error:  # whatever a damaged file provokes, it is the file's fault
        raise WeightsError(f"{path} cannot be read: {type(error).__name__}: {error}.", "Fetch it again.") from error
    return _interpreted(path, document)


def _check_container(path: Path) -> None:
    """Refuse a file that unpacks to more than it holds, before anything is read."""
    try:
        plain = is_plain_torch_file(path)
    except (OSError, zipfile.BadZipFile) as error:
        raise WeightsError(f"{path} cannot be read: {error}.", "Fetch it again.") from error
    if not plain:
        raise WeightsError(f"{path} unpacks to more than it holds.", "torch.save never writes that: do not use it.")


def _interpreted(path: Path, document: object) -> CheckpointFile:
    state: object = document
    constructor = None
    if isinstance(document, Mapping):
        found = [document[key] for key in STATE_KEYS if isinstance(document.get(key), Mapping)]
        state = found[0] if found else document
        constructor = getattr(document.get("args"), "model", None)
    tensors = {str(k): v for k, v in state.items() if isinstance(v, Tensor)} if isinstance(state, Mapping) else {}
    if not tensors:
        raise WeightsError(f"{path} holds no tensors.", "Name the checkpoint of a model.")
    return CheckpointFile(path, tensors, constructor if isinstance(constructor, str) else None)


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        with safe_open(path, "pt") as file:
            return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a mapping
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{path} cannot be read: {error}.", "Fetch it again.") from error


def _pickle_module() -> types.ModuleType:
    """Return a stand-in for the module pickle, as torch.load takes it, whose Unpickler allows no foreign class."""
    module = types.ModuleType("restricted_pickle")
    module.Unpickler = _Unpickler  # type: ignore[attr-defined]
    return module
