"""XFeat's official file: found, checked, loaded."""

from __future__ import annotations

from pathlib import Path

import torch

from lsm_core.errors import WeightsError
from lsm_core.nn.xfeat import XFeat
from lsm_core.weights.files import read_checkpoint
from lsm_core.weights.strict import KeyRules, load_strict
from lsm_core.weights.table import XFEAT

RULES = KeyRules(unused=("fine_matcher.",))  # it refines semi-dense matches, which are not made here
FETCH = "lsm weights fetch xfeat --accept-licence"
PLACE = Path("weights") / "xfeat" / XFEAT.name  # where FETCH puts it


def load_xfeat(path: Path, device: torch.device | str = "cpu") -> XFeat:
    """Load the network, in eval mode and without gradients.

    Args:
        path: the official file, or the folder it is in.
        device: where it runs.

    Raises:
        WeightsError: the file is absent, damaged or another model's.
    """
    found = path / XFEAT.name if path.is_dir() else path
    if not found.is_file():
        raise WeightsError(f"XFeat's weights are not at {found}.", f"Bring them: {FETCH}.")
    network = XFeat()
    load_strict(network, read_checkpoint(found).tensors, RULES, str(found))
    return network.eval().requires_grad_(False).to(device)


def available_xfeat(path: Path | None = None, device: torch.device | str = "cpu") -> XFeat | None:
    """Return XFeat from a file that was named, else from where `lsm weights fetch` puts it, else None.

    Raises:
        WeightsError: a file was named and cannot be loaded, or the one found is damaged.
    """
    if path is None and not PLACE.is_file():
        return None
    return load_xfeat(path or PLACE, device)
