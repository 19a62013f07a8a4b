"""Saved maps: everything comes back, and what is no whole map of this version is refused by name."""

from __future__ import annotations

import json
import math
import os
import pickle
import zipfile
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lsm_core.backends.text_space import TextSpace
from lsm_core.errors import FileFormatError, InputError, UnsupportedError
from lsm_core.mapping import SavedMap, read_map, write_map

from .example_map import DIM, WordBackend, example_map, keyframe


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "kitchen.lsmmap"
    write_map(path, example_map())
    return path


def same(a: Any, b: Any) -> bool:
    """Whether two trees of dataclasses, arrays and numbers are equal to the bit; NaN equals NaN."""
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and torch.equal(a.nan_to_num(7.5), b.nan_to_num(7.5))
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and np.array_equal(a, b)
    if hasattr(a, "__dataclass_fields__"):
        return all(same(getattr(a, f.name), getattr(b, f.name)) for f in fields(a))
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, float) and math.isnan(a):
        return math.isnan(b)
    return bool(a == b)


def test_a_map_comes_back_as_it_was(file: Path) -> None:
    found, given = read_map(file), example_map()
    for field in fields(SavedMap):
        assert same(getattr(found, field.name), getattr(given, field.name)), field.name
    assert found.cameras[0].keyframes[1].picture().shape == (96, 128, 3)
    assert [k.id for k in found.cameras[0].placed] == [11, 12]
    changed = replace(given, thresholds=(-1.0, 0.5, math.nan))
    assert not same(found, changed)  # the comparison sees small differences


def test_numpy_opens_the_file_without_this_library(file: Path) -> None:
    with np.load(file, allow_pickle=False) as archive:
        assert archive["cameras/0/points/points"].shape == (50, 3)
        assert archive["cameras/0/keyframes/11/features"].dtype == np.float16


def test_a_file_cut_anywhere_is_refused(file: Path, tmp_path: Path) -> None:
    whole = file.read_bytes()
    for share in (0, 0.001, 0.3, 0.9, 0.9999):
        cut = tmp_path / "cut.lsmmap"
        cut.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(FileFormatError, match=r"cut\.lsmmap"):
            read_map(cut)


def test_a_flipped_byte_is_noticed(file: Path, tmp_path: Path) -> None:
    """Any byte that is not of a field which nobody reads, such as a date."""
    whole = file.read_bytes()
    with zipfile.ZipFile(file) as archive:
        places = [
            info.header_offset + 60 + len(info.filename) for info in archive.infolist() if info.file_size > 99
        ]
    for place in places[:20]:
        bad = tmp_path / "bad.lsmmap"
        bad.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        with pytest.raises(FileFormatError, match=r"bad\.lsmmap"):
            read_map(bad)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 2}, "version 2"),
        ({"version": "1"}, "which version"),
        ({"version": None}, "which version"),
        ({"kind": "another thing"}, "is no lsm_perception map"),
        ({"cameras": 7}, "damaged"),
        ({"queries": {"texts": ["a"], "thresholds": []}}, "0 thresholds for 1 texts"),
        ({"text_space": None}, "does not say what reads them"),
    ],
)
def test_foreign_and_newer_documents_are_refused(file: Path, tmp_path: Path, change: dict, message: str) -> None:
    with pytest.raises(FileFormatError, match=message):
        read_map(rewritten(file, tmp_path, change))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("T_map_cam",), [[1.0, 0], [0, 1]]),
        (("T_map_cam", 0, 0), 1e999),
        (("id",), 11.5),
        (("id",), 0),
        (("id",), 2**64),
        (("stamp_ns",), -1),
        (("stamp_ns",), 2**70),
        (("T_map_cam",), [[2.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]),
        (("id",), 12),
        (("lens", "width"), 10**9),
        (("lens", "distortion"), [0.1]),
        (("view", "image_size"), [-5, 5]),
        (("view", "unit"), "furlong"),
        (("segment",), None),
    ],
)
def test_keyframes_with_bad_values_are_refused(file: Path, tmp_path: Path, path: tuple, value: Any) -> None:
    document = document_of(file)
    at: Any = document["cameras"][0]["keyframes"][1]
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    with pytest.raises(FileFormatError, match="damaged"):
        read_map(rewritten(file, tmp_path, document))


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("cameras/0/keyframes/11/pointmap", np.zeros((3, 3, 3), np.float32)),
        ("cameras/0/keyframes/11/pose", np.eye(4)),
        ("cameras/0/keyframes/11/pose", np.zeros((4, 4), np.float32)),
        ("cameras/0/path/stamps_ns", np.array([1, -1])),
        ("cameras/0/keyframes/11/gaussians/quats", np.zeros((5, 4), np.float32)),
        ("cameras/0/keyframes/11/features", np.zeros((48, 64), np.float16)),
        ("cameras/0/points/rgb", np.zeros((49, 3), np.uint8)),
        ("cameras/0/path/positions", np.zeros((2, 4))),
        ("text_space", np.zeros(4, np.float32)),
    ],
)
def test_arrays_that_do_not_fit_are_refused(file: Path, tmp_path: Path, name: str, array: np.ndarray) -> None:
    with pytest.raises(FileFormatError, match="damaged"):
        read_map(rewritten(file, tmp_path, {}, {f"{name}.npy": array}))


class Attack:
    """What pickle would run."""

    def __reduce__(self) -> Any:
        return os.mkdir, ("attacked",)


def test_nothing_in_a_file_is_executed(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    array = np.array([Attack()], object)
    with pytest.raises(FileFormatError):
        read_map(rewritten(file, tmp_path, {}, {"text_space.npy": array}))
    (tmp_path / "p.lsmmap").write_bytes(pickle.dumps(Attack()))
    with pytest.raises(FileFormatError):
        read_map(tmp_path / "p.lsmmap")
    assert not (tmp_path / "attacked").exists()


def test_a_header_that_claims_more_than_there_is_allocates_nothing(file: Path, tmp_path: Path) -> None:
    header = b"\x93NUMPY\x01\x00v\x00{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000, 9), }"
    raw = header.ljust(127) + b"\n" + b"1234"
    with pytest.raises(FileFormatError, match="damaged"):
        read_map(rewritten(file, tmp_path, {}, {"text_space.npy": raw}))


def test_a_failed_write_leaves_the_old_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = file.read_bytes()

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np.lib.format, "write_array", full)
    with pytest.raises(InputError, match="No space left"):
        write_map(file, example_map())
    assert file.read_bytes() == before and [p.name for p in file.parent.iterdir()] == [file.name]


def test_text_spaces_tell_backends_and_weights_apart() -> None:
    space = TextSpace.of(WordBackend(), DIM)
    space.check(WordBackend())
    with pytest.raises(UnsupportedError, match="another way"):
        space.check(WordBackend(gain=3.0))
    with pytest.raises(UnsupportedError, match="does not read"):
        TextSpace("words", DIM + 1, space.decoded).check(WordBackend())
    mute = WordBackend()
    mute.has_language = False  # type: ignore[misc]
    with pytest.raises(UnsupportedError, match="words"):
        space.check(mute)


def test_a_damaged_thumbnail_is_named() -> None:
    with pytest.raises(InputError, match="keyframe 11"):
        replace(keyframe(11), thumbnail=b"\xff\xd8nonsense").picture()


def document_of(file: Path) -> dict[str, Any]:
    with zipfile.ZipFile(file) as archive:
        document: dict[str, Any] = json.loads(archive.read("document.json"))
        return document


def rewritten(file: Path, folder: Path, change: dict, arrays: dict[str, Any] | None = None) -> Path:
    """Return a copy of a map with parts of its document, and some members, replaced."""
    out = folder / "changed.lsmmap"
    replaced = arrays or {}
    with zipfile.ZipFile(file) as source, zipfile.ZipFile(out, "w") as target:
        for info in source.infolist():
            if info.filename == "document.json":
                target.writestr(info.filename, json.dumps(document_of(file) | change))
            elif isinstance(replaced.get(info.filename), np.ndarray):
                with target.open(info.filename, "w") as member:
                    np.lib.format.write_array(member, replaced[info.filename])
            else:
                target.writestr(info.filename, replaced.get(info.filename, source.read(info)))
    return out
