"""Texts in CLIP's space, each embedded once."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from lsm_core.nn.clip_text import ClipText

CACHED_TEXTS = 4096


class ClipTexts:
    """CLIP's text tower with a memory.

    Args:
        tower: filled, in eval mode, on `device`.
        device: where it runs.
    """

    def __init__(self, tower: ClipText, device: torch.device) -> None:
        self.tower, self._device = tower, device
        self._embedded: dict[str, Tensor] = {}

    @torch.inference_mode()
    def encode(self, texts: Sequence[str]) -> Tensor:
        """Return unit vectors [T, out_dim] float32 on the CPU."""
        from lsm_core.query.clip_tokenizer import tokenize  # the query package builds on the backends

        missing = [text for text in dict.fromkeys(texts) if text not in self._embedded]
        if len(self._embedded) + len(missing) > CACHED_TEXTS:
            self._embedded.clear()
            missing = list(dict.fromkeys(texts))
        if missing:
            vectors = F.normalize(self.tower(tokenize(missing).to(self._device)), dim=-1)
            self._embedded |= dict(zip(missing, vectors.float().cpu(), strict=True))
        return torch.stack([self._embedded[text] for text in texts])

    def close(self) -> None:
        """Give back the tower's memory."""
        self.tower.to("meta")
        self._embedded.clear()
