"""The names that compete with the texts asked for, so that what is absent does not win by default."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lsm_core.backends.base import Backend
from lsm_core.backends.semantic_source import SemanticSource
from lsm_core.data.classes import CLASSES, SYNONYMS

NAMES = tuple(name for name in CLASSES if name != "void")
MARGIN = 0.05  # names this much less similar than the best one still stand for the text


@dataclass(frozen=True)
class Vocabulary:
    """Embedded names of indoor things.

    Attributes:
        names: [N, E] unit vectors of the canonical names.
        words: [W, E] unit vectors of all words, canonical names and synonyms.
        owner: [W] int64, which name a word belongs to.
        related: cosine above which two words begin to mean the same (99 % of pairs of different names lie below).
        same: cosine from which on they do.
    """

    names: Tensor
    words: Tensor
    owner: Tensor
    related: float
    same: float


def embed_vocabulary(backend: Backend | SemanticSource) -> Vocabulary:
    """Embed names and synonyms in the text space of a backend or semantic source."""
    groups = [list(dict.fromkeys((name, *SYNONYMS.get(name, ())))) for name in NAMES]
    words = backend.encode_texts([word for group in groups for word in group]).float().cpu()
    owner = torch.tensor([i for i, group in enumerate(groups) for _ in group])
    first = torch.tensor([sum(len(g) for g in groups[:i]) for i in range(len(groups))])
    names = words[first]
    cosines = names @ names.T
    different = cosines[~torch.eye(len(names), dtype=torch.bool)]
    related = float(different.quantile(0.99))
    return Vocabulary(names, words, owner, related, related + 0.5 * (1 - related))


def adoption(vocabulary: Vocabulary, texts: Tensor) -> Tensor:
    """Say how far each text means each name: 1 the same thing ("couch" and "sofa"), 0 another thing.

    A text adopts its most similar names only (through any of their words), and only where the similarity is above
    what different things have. A name that is adopted speaks for the text instead of competing with it.

    Args:
        vocabulary: N names.
        texts: [T, E] unit vectors.

    Returns:
        [T, N] float32 in [0, 1].
    """
    cosines = texts.float().cpu() @ vocabulary.words.T  # [T, W]
    best = torch.full((len(texts), len(vocabulary.names)), -1.0)
    best = best.scatter_reduce(1, vocabulary.owner.expand(len(texts), -1), cosines, "amax")
    nearest = best >= best.max(1, keepdim=True).values - MARGIN
    weight = ((best - vocabulary.related) / (vocabulary.same - vocabulary.related)).clamp(0, 1)
    return weight * nearest


def kinship(vocabulary: Vocabulary, texts: Tensor, adopted: Tensor) -> Tensor:
    """Say how far texts of one call mean the same thing, so that "chair" and "red chair" do not fight.

    Args:
        vocabulary: gives the limits of similarity.
        texts: [T, E] unit vectors.
        adopted: [T, N] from `adoption`.

    Returns:
        [T, T] float32 in [0, 1]: from the cosine of two texts, or from a name that both adopt, whichever is more.
    """
    texts = texts.float().cpu()
    alike = ((texts @ texts.T - vocabulary.related) / (vocabulary.same - vocabulary.related)).clamp(0, 1)
    common = torch.minimum(adopted[:, None], adopted[None]).amax(2)
    return torch.maximum(alike, common)
