"""A few labelled NYUv2 photographs, reduced to the classes that our vocabulary and theirs share.

Desks count as tables and rugs as floor on both sides, as in the 13-class mapping of the labels.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from lsm_core.data.classes import CLASSES
from lsm_core.errors import FileFormatError
from lsm_core.evaluation.pairs import EvalView
from lsm_core.io.encoded_pictures import check_picture_size
from lsm_core.io.file_bytes import file_bytes
from lsm_core.io.images import read_image

NYU_NAMES = ("wall", "floor", "ceiling", "chair", "table", "sofa", "bed", "other")
NYU_TEXTS = CLASSES[1:]
_FROM_13 = {12: "wall", 5: "floor", 3: "ceiling", 4: "chair", 10: "table", 9: "sofa", 1: "bed"}
# What a text can be said to be in view or not by the 13 classes; "furniture" and "objects" decide nothing.
DECIDABLE = {
    "wall": 12, "floor": 5, "ceiling": 3, "chair": 4, "table": 10, "sofa": 9, "bed": 1, "window": 13, "picture": 8,
    "tv": 11, "book": 2,
}  # fmt: skip
_FROM_TEXT = {"desk": "table", "rug": "floor"}
LABELS_13 = 14


def load_nyu(shared: Path) -> list[EvalView]:
    """Read the photographs; labels are 1 + index into `NYU_NAMES`, 0 = unlabelled.

    Raises:
        FileFormatError: the folder is absent or an image and its labels do not fit.
    """
    table = np.zeros(LABELS_13, np.uint8)
    for label in range(1, LABELS_13):
        table[label] = 1 + NYU_NAMES.index(_FROM_13.get(label, "other"))
    return [replace(view, labels=table[view.labels]) for view in load_nyu13(shared)]


def load_nyu13(shared: Path) -> list[EvalView]:
    """Read the photographs with the 13 classes as they are, 0 = unlabelled.

    Raises:
        FileFormatError: the folder is absent or an image and its labels do not fit.
    """
    folder = shared / "data" / "semantic_dev"
    labels = sorted((folder / "labels13").glob("nyu_*.png"))
    if not labels:
        raise FileFormatError(f"There are no labels in {folder / 'labels13'}.", "Check --shared or LSM_SHARED.")
    return [_read(folder, path) for path in labels]


def text_to_name() -> NDArray[np.int64]:
    """Return per index of `NYU_TEXTS` the index into `NYU_NAMES`."""
    names = [_FROM_TEXT.get(text, text) for text in NYU_TEXTS]
    other = NYU_NAMES.index("other")
    return np.array([NYU_NAMES.index(n) if n in NYU_NAMES else other for n in names])


def _read(folder: Path, label_path: Path) -> EvalView:
    """Read one photograph with its labels."""
    images = sorted((folder / "images").glob(f"{label_path.stem}.*"))
    check_picture_size(file_bytes(label_path), f"'{label_path}'")
    raw = cv2.imread(str(label_path), cv2.IMREAD_UNCHANGED)
    if not images or raw is None:
        raise FileFormatError(f"{label_path.name} has no photograph beside it, or is unreadable.")
    image = read_image(images[0])
    if raw.shape != image.shape[:2] or raw.dtype != np.uint8 or raw.max() >= LABELS_13:
        raise FileFormatError(f"{label_path.name} is not a label map of its photograph.")
    return EvalView(label_path.stem, image, None, labels=np.asarray(raw, np.uint8))
