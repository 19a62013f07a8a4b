"""Reader for Sweet Home 3D furniture packs (``.sh3f``: a zip with a Java properties catalogue)."""

from __future__ import annotations

import hashlib
import os
import re
import zipfile
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from lsm_core.data.class_rules import label_of
from lsm_core.errors import DependencyError

Split = Literal["train", "val"]
CATALOGUE = "PluginFurnitureCatalog.properties"
DEFAULT_FOLDER = Path("/usr/share/sweethome3d/furniture")
EXCLUDED_PACKS = frozenset({"Reallusion"})  # people
HELD_OUT_SHARE = 0.15
_ENTRY = re.compile(r"^(\w+)#(\d+)\s*=\s*(.*)$")
_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")


@dataclass(frozen=True)
class FurnitureEntry:
    """One model of a pack. Sizes in metres; axes of the OBJ file are x right, y up, z front."""

    key: str
    name: str
    pack: str
    archive: Path
    model_path: str
    label: str | None  # class name, "void" (indoor, no name) or None (not used in rooms)
    width_m: float
    depth_m: float
    height_m: float
    elevation_m: float
    rotation: tuple[float, ...]  # row-major 3x3, applied to the raw OBJ
    creator: str
    licence: str


def furniture_folder() -> Path:
    """Return the folder with the ``.sh3f`` packs: ``LSM_FURNITURE`` or the Debian location.

    Raises:
        DependencyError: no pack is there.
    """
    folder = Path(os.environ.get("LSM_FURNITURE", DEFAULT_FOLDER))
    if not folder.is_dir() or not any(folder.glob("*.sh3f")):
        raise DependencyError(
            f"No .sh3f furniture packs in {folder}.",
            "install the Debian package sweethome3d-furniture or point LSM_FURNITURE at the packs.",
        )
    return folder


def parse_properties(text: str) -> tuple[dict[str, str], dict[int, dict[str, str]]]:
    """Parse a Java properties catalogue into pack-wide keys and the numbered entries."""
    common: dict[str, str] = {}
    entries: dict[int, dict[str, str]] = defaultdict(dict)
    for raw in text.splitlines():
        line = raw.strip()
        if not line or line[0] in "#!":
            continue
        line = _ESCAPE.sub(lambda m: chr(int(m.group(1), 16)), line)
        match = _ENTRY.match(line)
        if match:
            entries[int(match.group(2))][match.group(1)] = match.group(3)
        elif "=" in line:
            key, value = line.split("=", 1)
            common[key.strip()] = value.strip()
    return common, dict(entries)


def read_pack(path: Path) -> list[FurnitureEntry]:
    """Read every entry of one pack; entries without a model or a size are left out."""
    with zipfile.ZipFile(path) as archive:
        common, raw = parse_properties(archive.read(CATALOGUE).decode("latin-1"))
    entries = []
    for _, fields in sorted(raw.items()):
        if "model" not in fields or "width" not in fields:
            continue
        width_m, depth_m, height_m = (float(fields[k]) / 100.0 for k in ("width", "depth", "height"))
        rotation = tuple(float(v) for v in fields.get("modelRotation", "1 0 0 0 1 0 0 0 1").split())
        entries.append(
            FurnitureEntry(
                key=fields.get("id", f"{path.stem}#{fields['model']}"),
                name=fields["name"],
                pack=path.stem,
                archive=path,
                model_path=fields["model"].lstrip("/"),
                label=label_of(fields["name"], width_m, depth_m, height_m),
                width_m=width_m,
                depth_m=depth_m,
                height_m=height_m,
                elevation_m=float(fields.get("elevation", "0")) / 100.0,
                rotation=rotation,
                creator=fields.get("creator", "unknown"),
                licence=common.get("license", "unknown"),
            )
        )
    return entries


def read_catalog(folder: Path | None = None) -> list[FurnitureEntry]:
    """Read all packs of a folder except people, in a fixed order."""
    packs = sorted((folder or furniture_folder()).glob("*.sh3f"))
    return [e for p in packs if p.stem not in EXCLUDED_PACKS for e in read_pack(p)]


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def held_out_keys(entries: Iterable[FurnitureEntry]) -> frozenset[str]:
    """Return the keys reserved for validation: per class the lowest hashes, about 15 %.

    Classes with three or more models give at least one; smaller classes stay in training whole.
    """
    by_label: dict[str, list[str]] = defaultdict(list)
    for entry in entries:
        if entry.label is not None:
            by_label[entry.label].append(entry.key)
    held: set[str] = set()
    for keys in by_label.values():
        count = max(1, int(np.floor(HELD_OUT_SHARE * len(keys) + 0.5))) if len(keys) >= 3 else 0
        held.update(sorted(keys, key=_digest)[:count])
    return frozenset(held)


def entries_for_split(entries: Iterable[FurnitureEntry], split: Split) -> list[FurnitureEntry]:
    """Return the indoor entries of one split; the two splits share no model."""
    usable = [e for e in entries if e.label is not None]
    held = held_out_keys(usable)
    return [e for e in usable if (e.key in held) == (split == "val")]
