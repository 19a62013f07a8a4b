"""Catalogue parsing, class rules and the train / validation split of the furniture."""

from __future__ import annotations

import zipfile
from collections import Counter
from pathlib import Path

import pytest

from lsm_core.data.catalog import (
    CATALOGUE,
    FurnitureEntry,
    entries_for_split,
    furniture_folder,
    held_out_keys,
    parse_properties,
    read_pack,
)
from lsm_core.data.class_rules import class_of, label_of
from lsm_core.data.classes import CLASS_ID, CLASSES, SYNONYMS
from lsm_core.errors import DependencyError

PROPERTIES = """# comment
license=CC0
id#1=Pack#stool
name#1=Caf\\u00e9 stool
model#1=/pack/stool/stool.obj
width#1=40
depth#1=30.5
height#1=75
creator#1=Someone
id#2=Pack#broken
name#2=No model
"""


def test_properties_are_parsed_with_unicode_escapes() -> None:
    common, entries = parse_properties(PROPERTIES)
    assert common == {"license": "CC0"}
    assert entries[1]["name"] == "Café stool"


def test_a_pack_gives_metric_entries_and_skips_those_without_a_model(tmp_path: Path) -> None:
    path = tmp_path / "Pack.sh3f"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(CATALOGUE, PROPERTIES)
    (entry,) = read_pack(path)
    assert (entry.width_m, entry.depth_m, entry.height_m) == (0.4, 0.305, 0.75)
    assert (entry.label, entry.licence, entry.creator) == ("chair", "CC0", "Someone")
    assert entry.model_path == "pack/stool/stool.obj"


def test_missing_packs_are_a_typed_error_that_names_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LSM_FURNITURE", str(tmp_path))
    with pytest.raises(DependencyError, match="sweethome3d-furniture"):
        furniture_folder()


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("Coffee table", "table"),
        ("Coffee cup", "cup"),
        ("Table fan", "fan"),
        ("Tablet", "computer"),
        ("Bedside table", "cabinet"),
        ("Desk lamp", "lamp"),
        ("Shower curtain", "curtain"),
        ("Fire hydrant", None),
        ("Coconut tree", None),
    ],
)
def test_names_map_to_classes(name: str, label: str | None) -> None:
    assert class_of(name) == label


def test_models_too_large_for_a_room_have_no_class() -> None:
    assert label_of("Ficus", 2.8, 2.8, 5.0) is None
    assert label_of("Ficus", 0.4, 0.4, 0.8) == "plant"


def test_every_class_has_synonyms_and_ids_fit_a_byte_with_the_no_depth_flag() -> None:
    assert CLASSES[0] == "void" and len(set(CLASSES)) == len(CLASSES) < 64
    assert set(SYNONYMS) == set(CLASSES) == set(CLASS_ID)
    assert all(SYNONYMS[name] for name in CLASSES[1:])
    words = [word for name in CLASSES for word in SYNONYMS[name]]
    assert len(words) == len(set(words)), "a word that names two classes cannot be learned"


def _entries(label: str, count: int) -> list[FurnitureEntry]:
    rotation = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
    return [
        FurnitureEntry(f"{label}{k}", label, "p", Path("p"), "m", label, 1.0, 1.0, 1.0, 0.0, rotation, "c", "l")
        for k in range(count)
    ]


def test_each_class_with_three_models_holds_out_at_least_one_and_small_classes_none() -> None:
    held = held_out_keys([*_entries("chair", 40), *_entries("sofa", 3), *_entries("piano", 2)])
    assert Counter(key.rstrip("0123456789") for key in held) == {"chair": 6, "sofa": 1}


def test_splits_share_no_model_and_cover_all_usable_ones(catalog: list[FurnitureEntry]) -> None:
    train = {e.key for e in entries_for_split(catalog, "train")}
    val = {e.key for e in entries_for_split(catalog, "val")}
    assert not train & val
    assert train | val == {e.key for e in catalog if e.label is not None}
    assert not any(e.pack == "Reallusion" for e in catalog)


def test_every_labelled_entry_has_a_known_class(catalog: list[FurnitureEntry]) -> None:
    assert {e.label for e in catalog if e.label} <= set(CLASSES)
    assert len(catalog) > 700
