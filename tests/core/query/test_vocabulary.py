"""With the real sentence encoder, everyday words adopt the indoor name they mean, and only that."""

from __future__ import annotations

import pytest
from torch import Tensor

from lsm_core.errors import DependencyError
from lsm_core.query import MiniLmTextEncoder
from lsm_core.query.vocabulary import NAMES, Vocabulary, adoption, embed_vocabulary

from .word_backend import WordBackend


class MiniLmBackend(WordBackend):
    """Texts by all-MiniLM-L6-v2."""

    def __init__(self) -> None:
        super().__init__(["wall"])
        self.encoder = MiniLmTextEncoder()

    def encode_texts(self, texts: list[str]) -> Tensor:  # type: ignore[override]
        return self.encoder.encode(texts)


@pytest.fixture(scope="module")
def setting() -> tuple[MiniLmBackend, Vocabulary]:
    try:
        backend = MiniLmBackend()
    except DependencyError as error:
        pytest.skip(str(error))
    return backend, embed_vocabulary(backend)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("couch", "sofa"),
        ("fridge", "refrigerator"),
        ("monitor", "tv"),
        ("carpet", "rug"),
        ("red chair", "chair"),
        ("a wooden door", "door"),
        ("trash", "bin"),
        ("wardrobe", "cabinet"),
    ],
)
def test_word_adopts_the_name_it_means(setting: tuple[MiniLmBackend, Vocabulary], text: str, name: str) -> None:
    backend, vocabulary = setting
    (weights,) = adoption(vocabulary, backend.encode_texts([text]))
    assert [NAMES[j] for j in weights.nonzero().flatten()] == [name]
    assert float(weights.max()) > 0.8


@pytest.mark.parametrize("text", ["elephant", "car", "person", "dog", "kitchen counter"])
def test_foreign_word_adopts_nothing(setting: tuple[MiniLmBackend, Vocabulary], text: str) -> None:
    backend, vocabulary = setting
    assert float(adoption(vocabulary, backend.encode_texts([text])).max()) < 0.15


def test_every_name_adopts_itself_alone(setting: tuple[MiniLmBackend, Vocabulary]) -> None:
    _, vocabulary = setting
    weights = adoption(vocabulary, vocabulary.names)
    assert (weights.diagonal() == 1).all()
    assert int((weights > 0).sum()) == len(NAMES)
