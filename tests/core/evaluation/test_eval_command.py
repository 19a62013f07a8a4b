"""`lsm eval` and `lsm bench` from the command line: output files, JSON, errors."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from test_studies import write_shard
from truth_backend import TruthBackend, make_pairs

import lsm_core.cli.bench as bench_verb
from lsm_core.cli import loading
from lsm_core.cli.main import main
from lsm_core.evaluation.rooms import load_room_pairs


@pytest.fixture
def room_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one shard, and the backend that knows its truth behind every name."""
    folder = tmp_path / "val"
    folder.mkdir()
    write_shard(folder, 6)
    monkeypatch.setattr(loading, "load_backend", lambda *_: TruthBackend(load_room_pairs(folder), turn_deg=7.0))
    return folder


def test_rooms_writes_json_markdown_and_picture(room_folder: Path, tmp_path: Path) -> None:
    files = {name: tmp_path / f"out.{name}" for name in ("json", "md", "png")}
    arguments = ["--json", str(files["json"]), "--md", str(files["md"]), "--sheet", str(files["png"])]
    assert main(["eval", "rooms", "--data", str(room_folder), "--rows", "2", "--limit", "4", *arguments]) == 0
    document = json.loads(files["json"].read_text())
    assert document["figures"]["rotation_median_deg"] == pytest.approx(7, abs=0.1)
    assert len(document["pairs"]["truth"]) == 4
    assert "<!-- begin: lsm eval rooms -->" in files["md"].read_text()
    assert np.asarray(Image.open(files["png"])).shape[1] == 2000


def test_baselines_are_taken_from_an_earlier_report_of_the_same_pairs(room_folder: Path, tmp_path: Path) -> None:
    earlier, later = tmp_path / "earlier.json", tmp_path / "later.json"
    assert main(["eval", "rooms", "--data", str(room_folder), "--json", str(earlier)]) == 0
    document = json.loads(earlier.read_text())
    for row in document["pairs"]["identity"]:
        row["pose"]["rotation_deg"] = 77.0  # marks the reused rows
    earlier.write_text(json.dumps(document))
    options = ["--baselines-from", str(earlier), "--json", str(later)]
    assert main(["eval", "rooms", "--data", str(room_folder), *options]) == 0
    assert {r["pose"]["rotation_deg"] for r in json.loads(later.read_text())["pairs"]["identity"]} == {77.0}
    assert json.loads(later.read_text())["pairs"]["truth"][0]["pose"]["rotation_deg"] == pytest.approx(7, abs=0.1)
    assert main(["eval", "rooms", "--data", str(room_folder), "--limit", "3", *options]) == 0
    assert 77.0 not in {r["pose"]["rotation_deg"] for r in json.loads(later.read_text())["pairs"]["identity"]}


def test_a_file_that_is_no_report_is_refused(room_folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    other.write_text("{}")
    assert main(["eval", "rooms", "--data", str(room_folder), "--baselines-from", str(other)]) == 1


def test_rooms_prints_pure_json_on_request(room_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eval", "rooms", "--data", str(room_folder), "--no-baselines", "--json", "-"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert list(document["pairs"]) == ["truth"]


def test_absent_data_end_with_an_error_and_exit_code_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eval", "hololens", "--shared", str(tmp_path)]) == 1
    assert "LSM_SHARED" in capsys.readouterr().err


class EncodingTruth(TruthBackend):
    """The truth, also for encoded views, and without words."""

    has_language = False

    def predict(self, views, intrinsics=None, poses=None, generator=None):  # type: ignore[no-untyped-def]
        return super().predict([getattr(v, "image", v) for v in views])


def test_bench_says_what_it_measured(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (pair,) = make_pairs(1)
    monkeypatch.setattr(bench_verb, "textured_pair", lambda *_: pair)
    monkeypatch.setattr(loading, "load_backend", lambda *_: EncodingTruth([pair]))
    assert main(["bench", "pair", "--repeats", "2", "--size", "64x48", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [s["name"] for s in document["stages"]][-1].endswith("(total)")
    assert {"hardware", "commit", "threads"} <= set(document["where"])
