"""The official files at full size with nothing in them but names and shapes: files with holes, made at once."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from lsm_core.backends.lsm_files import FILES
from lsm_core.backends.seeded_checkpoints import dust3r_state, lseg_state, lsm_state
from lsm_core.nn.clip_text import ClipText, ClipTextConfig
from lsm_core.nn.lsm import Lsm, LsmConfig

State = dict[str, Tensor]


@lru_cache(maxsize=1)
def released_states() -> dict[str, State]:
    """Return the three files' tensors without storage, keys as stored."""
    with torch.device("meta"):
        network, texts = Lsm(LsmConfig()), ClipText(ClipTextConfig())
        lseg = {f"net.{k}": v for k, v in lseg_state(network, texts).items()}
        return {"dust3r": dust3r_state(network), "lseg": lseg, "lsm": lsm_state(network)}


def write_header(path: Path, part: str, change: Callable[[State], object] = lambda state: None) -> None:
    """Write a part's file whose tensors take room and no disk; `change` may spoil the tensors before."""
    state = dict(released_states()[part])
    change(state)
    empty = {key: torch.empty(t.shape, dtype=t.dtype) for key, t in state.items()}
    with torch.serialization.skip_data():
        torch.save({"state_dict" if part == "lseg" else "model": empty}, path)


def write_headers(folder: Path) -> None:
    """Write all three files under their official names."""
    folder.mkdir(parents=True, exist_ok=True)
    for part, name in FILES.items():
        write_header(folder / name, part)
