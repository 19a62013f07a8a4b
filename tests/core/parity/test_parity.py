"""The parity runner tells right from wrong, and its exit code says so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import typer
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from lsm_core.cli.parity import register
from lsm_core.errors import FileFormatError, InputError
from lsm_core.evaluation.pose_metrics import pose_auc
from lsm_core.parity import family_keys, run_fixture, run_folder

FAMILY_FIXTURES = {
    "lsm": (
        "camera",
        "clip_tokenizer",
        "dust3r_dpt",
        "dust3r_linear",
        "dust3r_manyar_mixed",
        "dust3r_postprocess",
        "focal",
        "fusion_block",
        "gaussian_head",
        "gaussian_loss",
        "load_images",
        "losses",
        "lseg",
        "lseg_clip",
        "lsm_tiny",
        "lsm_tiny_clip",
        "lsm_tiny_dup",
        "lsm_tiny_part_dust3r",
        "pair_viewer_a",
        "pair_viewer_b",
        "ptv3",
        "ptv3_fusion",
        "rasterizer",
        "rope2d",
        "serialization",
        "submconv3d",
        "train_crop",
    ),
    "splatt3r_noposplat_pixelsplat": (
        "covariance_xyzw",
        "depth_buckets",
        "epipolar_geometry",
        "mast3r",
        "pixelsplat_2view_deterministic",
        "pixelsplat_2view_sampled",
        "pixelsplat_3view_sampled",
        "pixelsplat_gaussian_adapter",
        "pnp_pose",
        "pose_auc",
        "se3_pose",
        "sh_basis",
        "sh_rotation",
        "shims",
        "splatt3r",
        "splatt3r_masked_loss",
        "splatt3r_preprocess",
        "splatt3r_pts_loss_metric",
        "splatt3r_pts_loss_relative",
    ),
}

FULL_SIZE_FIXTURES = ("full_pixelsplat", "full_splatt3r")  # gigabytes of weights, many seconds


def write_fixture(folder: Path, name: str, spec: dict[str, Any], tensors: dict[str, torch.Tensor]) -> Path:
    save_file(tensors, folder / f"{name}.io.safetensors")
    (folder / f"{name}.json").write_text(json.dumps({"files": {"io": f"{name}.io.safetensors"}, **spec}))
    return folder / f"{name}.json"


def auc_fixture(folder: Path, shift: float = 0.0, name: str = "pose_auc") -> Path:
    """A fixture of the dialect without `kind`; `shift` makes its recorded answer wrong."""
    errors = torch.rand(50, generator=torch.Generator().manual_seed(0)) * 30
    spec = {
        "what": "pose AUC",
        "hyper_parameters": {"thresholds": [5, 10, 20]},
        "tolerance": {
            "limit": 1e-4,
            "elementwise": "at least 99.9 % of elements: |a-b| <= 2e-4*|b| + 2e-4*median|b|",
        },
    }
    answer = torch.tensor(pose_auc(errors.double().numpy())).double() + shift
    return write_fixture(folder, name, spec, {"in.errors0": errors, "out.auc0": answer})


def focal_fixture(folder: Path, factor: float = 1.0) -> Path:
    """A fixture of the dialect with `kind`, whose answer is the focal length its points were made with."""
    focal, height, width = 40.0, 24, 32
    y, x = torch.meshgrid(torch.arange(24.0), torch.arange(32.0), indexing="ij")
    z = 1 + torch.rand(height, width, generator=torch.Generator().manual_seed(1))
    points = torch.stack([(x - 16) / focal * z, (y - 12) / focal * z, z], -1)[None]
    answers = {f"case0.{m}": torch.tensor([focal * factor]) for m in ("weiszfeld", "median")}
    clipped = {"case0.weiszfeld_clipped": torch.tensor([min(focal, 1.2 * 32 / (2 * 3**-0.5)) * factor])}
    spec = {
        "kind": "focal",
        "cases": [{"prefix": "case0.", "outliers": 0}],
        "tolerance": {"rtol": 1e-4, "ill_conditioned_rtol": 0.02},
    }
    inputs = {"case0.pts3d": points, "case0.pp": torch.tensor([16.0, 12.0])}
    return write_fixture(folder, "focal", spec, inputs | answers | clipped)


def run_cli(*args: str) -> Any:
    app = typer.Typer()
    app.callback()(lambda: None)
    register(app)
    return CliRunner().invoke(app, ["parity", *args])


def test_right_answers_pass(tmp_path: Path) -> None:
    auc_fixture(tmp_path)
    focal_fixture(tmp_path)
    result = run_cli(str(tmp_path))
    assert result.exit_code == 0, result.output
    assert result.output.splitlines()[-1] == "2 passed, 0 failed, 0 unsupported"


def test_a_wrong_answer_fails_and_is_named(tmp_path: Path) -> None:
    auc_fixture(tmp_path)
    focal_fixture(tmp_path, factor=1.001)
    result = run_cli(str(tmp_path))
    assert result.exit_code == 1
    lines = result.output.splitlines()
    assert lines[-1] == "1 passed, 1 failed, 0 unsupported"
    assert lines[0].startswith("focal") and "failed" in lines[0] and "case0." in lines[0]


@pytest.mark.parametrize(("shift", "status"), [(1e-6, "passed"), (3e-4, "failed")])
def test_the_border_of_the_tolerance(tmp_path: Path, shift: float, status: str) -> None:
    report = run_fixture(auc_fixture(tmp_path, shift))
    assert report.status == status
    assert (report.worst_error <= 1) == (status == "passed")
    assert report.worst_tensor == "out.auc0"


def test_an_unknown_kind_is_unsupported_and_not_a_success(tmp_path: Path) -> None:
    write_fixture(tmp_path, "thing", {"kind": "unheard_of"}, {"x": torch.zeros(1)})
    result = run_cli(str(tmp_path))
    assert result.exit_code == 1
    assert result.output.splitlines()[-1] == "0 passed, 0 failed, 1 unsupported"


def test_a_family_is_found_by_the_start_of_a_name(tmp_path: Path) -> None:
    assert run_fixture(auc_fixture(tmp_path, name="pose_auc_second")).status == "passed"
    assert run_fixture(auc_fixture(tmp_path, name="pose_of_the_day")).status == "unsupported"


def test_a_missing_or_broken_tensor_file_fails(tmp_path: Path) -> None:
    path = auc_fixture(tmp_path)
    (tmp_path / "pose_auc.io.safetensors").write_bytes(b"not tensors")
    assert run_fixture(path).status == "failed"
    (tmp_path / "pose_auc.io.safetensors").unlink()
    assert run_fixture(path).status == "failed"


def test_an_answer_that_nobody_computes_fails(tmp_path: Path) -> None:
    path = auc_fixture(tmp_path)
    tensors = load_file(tmp_path / "pose_auc.io.safetensors")
    save_file(tensors | {"out.extra": torch.zeros(1)}, tmp_path / "pose_auc.io.safetensors")
    report = run_fixture(path)
    assert report.status == "failed"
    assert "out.extra" in report.message


def test_answers_are_not_given_to_the_implementation(tmp_path: Path) -> None:
    """A fixture whose recorded answers are NaN cannot pass: nothing reads them as inputs."""
    path = focal_fixture(tmp_path)
    tensors = load_file(tmp_path / "focal.io.safetensors")
    tensors |= {k: torch.full_like(v, torch.nan) for k, v in tensors.items() if k.endswith(("weiszfeld", "median"))}
    save_file(tensors, tmp_path / "focal.io.safetensors")
    assert run_fixture(path).status == "failed"


def test_json_output_and_choice_by_name(tmp_path: Path) -> None:
    auc_fixture(tmp_path)
    focal_fixture(tmp_path, factor=2.0)
    document = json.loads(run_cli(str(tmp_path), "--json", "--only", "pose_auc").output)
    assert [row["name"] for row in document["fixtures"]] == ["pose_auc"]
    assert (document["passed"], document["failed"], document["unsupported"]) == (1, 0, 0)


def test_a_folder_without_fixtures_and_an_unknown_name_are_typed_errors(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError):
        list(run_folder(tmp_path / "absent"))
    with pytest.raises(FileFormatError):
        list(run_folder(tmp_path))
    auc_fixture(tmp_path)
    with pytest.raises(InputError, match="nothing"):
        list(run_folder(tmp_path, only=["nothing"]))


@pytest.mark.shared
@pytest.mark.parametrize("name", [f"{d}/{n}" for d, names in FAMILY_FIXTURES.items() for n in names])
def test_recorded_reference_outputs_are_reproduced(shared_dir: Path, name: str) -> None:
    report = run_fixture(shared_dir / "fixtures" / f"{name}.json")
    assert report.status == "passed", report


@pytest.mark.shared
@pytest.mark.slow
@pytest.mark.parametrize("name", FULL_SIZE_FIXTURES)
def test_recorded_reference_outputs_of_the_released_sizes_are_reproduced(shared_dir: Path, name: str) -> None:
    report = run_fixture(shared_dir / "fixtures/splatt3r_noposplat_pixelsplat" / f"{name}.json")
    assert report.status == "passed", report


def test_the_families_of_the_recorded_fixtures_are_registered() -> None:
    assert {"focal", "rasterizer_EMULATED", "dust3r"} <= set(family_keys())
    for name in FAMILY_FIXTURES["splatt3r_noposplat_pixelsplat"]:
        assert any(name == key or name.startswith(f"{key}_") for key in family_keys()), name
