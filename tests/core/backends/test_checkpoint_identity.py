"""What a checkpoint file is: small ones in the official formats, and the released key lists."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from lsm_core.backends import lseg_keys
from lsm_core.backends.checkpoint_identity import identify
from lsm_core.backends.lsm_files import FILES
from lsm_core.backends.seeded_checkpoints import write_checkpoints
from lsm_core.cli.main import main
from lsm_core.errors import WeightsError
from lsm_core.weights.files import CheckpointFile
from lsm_core.weights.table import SPLATT3R

SHARED = Path(os.environ.get("LSM_SHARED", Path(__file__).resolve().parents[4] / "shared"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lsm")
    write_checkpoints(path)
    return path


@pytest.mark.parametrize("part", list(FILES))
def test_each_file_is_recognised_and_whole(folder: Path, part: str) -> None:
    found = identify(folder / FILES[part])
    assert found.kind == part and found.whole and not found.released_size
    assert found.parts[0].parameters > 0


def test_missing_extra_and_misshapen_tensors_are_named(folder: Path, tmp_path: Path) -> None:
    document = torch.load(folder / FILES["dust3r"], weights_only=False)
    state = document["model"]
    del state["dec_norm.bias"]
    state["stranger"] = torch.zeros(1)
    state["decoder_embed.bias"] = torch.zeros(3)
    torch.save(document, tmp_path / "x.pth")
    found = identify(tmp_path / "x.pth").parts[0].differences
    assert found.missing == ("dec_norm.bias",) and found.unknown == ("stranger",)
    assert found.shapes == {"decoder_embed.bias": ([3], [64])}


def test_a_foreign_file_is_refused(tmp_path: Path) -> None:
    save_file({"a": torch.ones(1)}, tmp_path / "x.safetensors")
    with pytest.raises(WeightsError, match="such as a"):
        identify(tmp_path / "x.safetensors")


def test_verify_says_what_is_there_and_its_exit_code_whether_it_fits(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["weights", "verify", str(folder), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["ok"] and len(report["files"]) == 3
    document = torch.load(folder / FILES["lsm"], weights_only=False)
    document["model"]["alien.weight"] = torch.zeros(1)
    torch.save(document, tmp_path / "x.pth")
    assert main(["weights", "verify", str(tmp_path / "x.pth")]) == 1
    assert "alien.weight" in capsys.readouterr().out


def test_fetch_needs_the_licence_accepted_and_then_works_from_a_folder(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["weights", "fetch", "lsm", "--from", str(folder), "--to", str(tmp_path / "w")]
    assert main(command) == 1 and not (tmp_path / "w").exists()
    assert "--accept-licence" in capsys.readouterr().err
    assert main([*command, "--accept-licence"]) == 0
    assert sorted(p.name for p in (tmp_path / "w").iterdir() if p.suffix != ".sha256") == sorted(FILES.values())


def test_list_names_file_licence_and_page(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["weights", "list", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["name"] for row in rows} >= {*FILES.values(), SPLATT3R.name}
    assert next(row for row in rows if row["name"] == SPLATT3R.name)["non_commercial"]
    assert all(row["licence"] and row["page"].startswith("https://") for row in rows)


def released(manifest: str, prefix: str = "") -> dict[str, torch.Tensor]:
    """Return the released keys with tensors that have their shapes and no storage."""
    path = SHARED / "specs" / "manifests" / f"manifest_{manifest}.json"
    if not path.is_file():
        pytest.skip("the key lists of the releases are not here (LSM_SHARED)")
    keys = json.loads(path.read_text(encoding="utf-8"))["keys"]
    return {prefix + key: torch.empty(shape, device="meta") for key, shape, _ in keys}


@pytest.mark.shared
@pytest.mark.parametrize(
    ("kind", "manifest", "prefix"),
    [
        ("dust3r", "dust3r_512_dpt", ""),
        ("lseg", "lseg", lseg_keys.PREFIX),
        ("lsm", "lsm", ""),
        ("mast3r", "mast3r", ""),
        ("splatt3r", "splatt3r", ""),
        ("noposplat", "noposplat", ""),
    ],
)
def test_the_released_key_lists_fit_exactly(
    kind: str, manifest: str, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tensors = released(manifest, prefix)
    monkeypatch.setattr(
        "lsm_core.backends.checkpoint_identity.read_checkpoint", lambda path: CheckpointFile(path, tensors)
    )
    found = identify(Path("x.pth"))
    assert found.kind == kind and found.released_size and found.whole, [str(p.differences) for p in found.parts]
