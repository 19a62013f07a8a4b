"""The fast cosines equal the ones from decoding every pixel."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lsm_core.query.feature_scores import cosines, cosines_decoded, probe_linear

from .word_backend import WIDTH, WordBackend

WORDS = ["chair", "wall", "sofa", "floor", "lamp"]


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.01, 100), st.sampled_from([0.0, 0.7]))
def test_fast_cosines_equal_decoded_ones(seed: int, size: float, bias: float) -> None:
    backend = WordBackend(WORDS, bias=bias)
    features = size * torch.randn(50, WIDTH, generator=torch.Generator().manual_seed(seed))
    texts = backend.encode_texts(["chair", "elephant", "wall"])
    decoder = probe_linear(backend, WIDTH)
    assert decoder is not None
    fast, slow = cosines(features, texts, decoder), cosines_decoded(features, texts, backend)
    assert torch.allclose(fast, slow, atol=2e-4)


def test_decoder_that_is_not_affine_is_noticed() -> None:
    assert probe_linear(WordBackend(WORDS, linear=False), WIDTH) is None


def test_zero_features_have_no_direction() -> None:
    backend = WordBackend(WORDS)
    decoder = probe_linear(backend, WIDTH)
    assert decoder is not None
    out = cosines(torch.zeros(3, WIDTH), backend.encode_texts(["chair"]), decoder)
    assert out.abs().max() < 1e-3


def test_feature_of_a_word_is_parallel_to_its_text() -> None:
    backend = WordBackend(WORDS)
    decoder = probe_linear(backend, WIDTH)
    assert decoder is not None
    out = cosines(3 * backend.feature("sofa")[None], backend.encode_texts(["couch", "chair"]), decoder)
    assert float(out[0, 0]) == pytest.approx(1.0, abs=1e-4) and float(out[0, 1]) < 0.5
