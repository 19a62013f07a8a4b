"""Text embeddings of every class name and its synonyms, drawn anew at each step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor


class NameTable:
    """Embeddings of all words of all classes.

    Args:
        classes: canonical names; index 0 is void.
        synonyms: name -> words for it.
        embed: texts -> unit vectors [T, D] float32.
        held_out: synonyms left out, so that they can show later what words never trained with are worth.
    """

    def __init__(
        self,
        classes: Sequence[str],
        synonyms: Mapping[str, Sequence[str]],
        embed: Callable[[list[str]], Tensor],
        held_out: Sequence[str] = (),
    ) -> None:
        self.classes = tuple(classes)
        kept = {name: [word for word in synonyms.get(name, ()) if word not in held_out] for name in classes}
        words = [list(dict.fromkeys([name, *kept[name]])) for name in classes]
        vectors = embed([word for group in words for word in group])
        self._groups = list(vectors.split([len(group) for group in words]))

    def canonical(self) -> Tensor:
        """Embedding of each class's own name, [C, D]."""
        return torch.stack([group[0] for group in self._groups])

    def draw(self, rng: np.random.Generator) -> Tensor:
        """Embedding of one random word per class, [C, D]; the canonical name half of the time."""
        picks = [0 if rng.random() < 0.5 else int(rng.integers(len(group))) for group in self._groups]
        return torch.stack([group[pick] for group, pick in zip(self._groups, picks, strict=True)])
