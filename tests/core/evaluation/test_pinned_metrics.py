"""Each metric against an independent implementation: torchmetrics, scikit-image, recorded outputs of references."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from lsm_core.evaluation.depth_metrics import depth_error, summed_up
from lsm_core.evaluation.image_metrics import image_error
from lsm_core.evaluation.pose_metrics import mean_average_accuracy, pose_auc
from lsm_core.evaluation.semantic_metrics import Confusion
from lsm_core.evaluation.switches import Average, Switches
from lsm_core.evaluation.trajectory_metrics import absolute_error, align_trajectory
from lsm_core.geometry import rigid, so3_exp

torchmetrics = pytest.importorskip("torchmetrics", reason="torchmetrics is part of the test extra")
skimage_metrics = pytest.importorskip("skimage.metrics", reason="scikit-image is part of the test extra")
skimage_transform = pytest.importorskip("skimage.transform", reason="scikit-image is part of the test extra")

CLASSES = 9  # 0 is ignored, as in LSM's protocol
NAMES = [f"class {k}" for k in range(1, CLASSES)]


def labels(seed: int, without: int | None = None) -> tuple[torch.Tensor, torch.Tensor]:
    """Truth (0 to 8) and predictions (1 to 8); one class may be missing from the truth."""
    generator = torch.Generator().manual_seed(seed)
    true = torch.randint(0, CLASSES, (2, 30, 40), generator=generator)
    if without is not None:
        true[true == without] = 0
    predicted = torch.randint(1, CLASSES, true.shape, generator=generator)
    return true, torch.where(torch.rand(true.shape, generator=generator) < 0.6, true.clamp(min=1), predicted)


def counted(true: torch.Tensor, predicted: torch.Tensor) -> Confusion:
    confusion = Confusion(NAMES)
    for t, p in zip(true, predicted, strict=True):
        confusion.add(t.numpy() - 1, p.numpy() - 1)
    return confusion


@pytest.mark.parametrize("average", ["macro", "micro"])
@pytest.mark.parametrize("without", [None, 5])
def test_jaccard_and_accuracy_are_those_of_torchmetrics(average: Average, without: int | None) -> None:
    true, predicted = labels(3, without)
    jaccard = torchmetrics.JaccardIndex("multiclass", num_classes=CLASSES, ignore_index=0, average=average)
    accuracy = torchmetrics.Accuracy("multiclass", num_classes=CLASSES, ignore_index=0, average=average)
    for t, p in zip(true, predicted, strict=True):
        jaccard.update(p, t)
        accuracy.update(p, t)
    ours = counted(true, predicted)
    assert ours.jaccard(average) == pytest.approx(float(jaccard.compute()), abs=1e-6)
    assert ours.averaged_accuracy(average) == pytest.approx(float(accuracy.compute()), abs=1e-6)


def images(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    true = torch.nn.functional.avg_pool2d(torch.rand(1, 3, 44, 52, generator=generator), 3, 1)[0].permute(1, 2, 0)
    drawn = (true + 0.1 * torch.randn(true.shape, generator=generator)).clamp(0, 1)
    return true, drawn


def test_psnr_and_sample_ssim_are_those_of_scikit_image() -> None:
    true, drawn = images(0)
    found = image_error(true, drawn, Switches())
    x, y = true.double().numpy(), drawn.double().numpy()
    ssim = skimage_metrics.structural_similarity(
        x, y, win_size=11, gaussian_weights=True, channel_axis=2, data_range=1.0
    )
    assert found.psnr == pytest.approx(skimage_metrics.peak_signal_noise_ratio(x, y, data_range=1.0), abs=1e-4)
    assert found.ssim == pytest.approx(ssim, abs=1e-6)


def test_population_ssim_is_that_of_torchmetrics() -> None:
    true, drawn = images(1)
    theirs = torchmetrics.functional.structural_similarity_index_measure(
        drawn.permute(2, 0, 1)[None].double(), true.permute(2, 0, 1)[None].double(), data_range=1.0
    )
    found = image_error(true, drawn, Switches(ssim="population"))
    assert found.ssim == pytest.approx(float(theirs), abs=1e-6)
    assert found.ssim != pytest.approx(image_error(true, drawn, Switches()).ssim, abs=1e-5)


def test_eight_bits_are_those_of_a_folder_of_pictures() -> None:
    true, drawn = images(2)
    found = image_error(true, drawn, Switches(eight_bit=True))
    x, y = ((image * 255).numpy().astype(np.uint8) for image in (true, drawn))
    assert found.psnr == pytest.approx(skimage_metrics.peak_signal_noise_ratio(x, y, data_range=255), abs=1e-4)


def test_a_masked_picture_is_scored_on_the_mask_and_as_released_three_times_lower() -> None:
    true, drawn = images(3)
    mask = torch.zeros(true.shape[:2], dtype=torch.bool)
    mask[5:25, 8:40] = True
    inside = image_error(true, drawn, Switches(image_mask="seen", mask_averages=True), mask=mask)
    x, y = true[mask].double().numpy(), drawn[mask].double().numpy()
    assert inside.psnr == pytest.approx(skimage_metrics.peak_signal_noise_ratio(x, y, data_range=1.0), abs=1e-4)
    assert inside.counted == pytest.approx(20 * 32 / mask.numel())
    released = image_error(
        true, drawn, Switches(image_mask="seen", mask_averages=True, released_mask=True), mask=mask
    )
    assert inside.psnr - released.psnr == pytest.approx(10 * np.log10(3), abs=1e-6)
    whole = image_error(true, drawn, Switches(image_mask="seen"), mask=mask)
    black_x, black_y = ((image * mask[..., None]).double().numpy() for image in (true, drawn))
    theirs = skimage_metrics.peak_signal_noise_ratio(black_x, black_y, data_range=1.0)
    assert whole.psnr == pytest.approx(theirs, abs=1e-4)


def test_absolute_relative_error_is_the_percentage_error_of_torchmetrics() -> None:
    generator = torch.Generator().manual_seed(5)
    true = torch.rand(20, 30, generator=generator) + 0.5
    predicted = true * (1 + 0.2 * torch.rand(true.shape, generator=generator))
    theirs = torchmetrics.functional.mean_absolute_percentage_error(predicted, true)
    found = depth_error(predicted, true, "none")
    assert found.absrel == pytest.approx(float(theirs), rel=1e-5)
    ratio = np.maximum(predicted.numpy() / true.numpy(), true.numpy() / predicted.numpy())
    assert found.tau == pytest.approx((ratio < 1.03).mean())


@pytest.mark.parametrize("alignment", ["least-squares", "affine"])
def test_least_squares_alignment_leaves_the_smallest_squared_error(alignment: str) -> None:
    """Against numpy's solver; `none` on what it aligned must give the same errors."""
    generator = torch.Generator().manual_seed(6)
    true = torch.rand(200, generator=generator).double() + 1
    predicted = 3 * true + 0.4 + 0.05 * torch.randn(true.shape, generator=generator)
    columns = predicted.numpy()[:, None] ** ([1] if alignment == "least-squares" else [1, 0])
    solution = np.linalg.lstsq(columns, true.numpy(), rcond=None)[0]
    aligned = torch.from_numpy(columns @ solution)
    found = depth_error(predicted[None], true[None], alignment)  # type: ignore[arg-type]
    assert found.absrel == pytest.approx(depth_error(aligned[None], true[None], "none").absrel, rel=1e-9)


def test_maps_of_different_size_weigh_by_maps_or_by_pixels() -> None:
    small = depth_error(torch.full((1, 1), 1.5), torch.ones(1, 1), "none")
    large = depth_error(torch.ones(3, 3), torch.ones(3, 3), "none")
    assert summed_up([small, large], "macro").absrel == pytest.approx(0.25)
    assert summed_up([small, large], "micro").absrel == pytest.approx(0.05)


def path(seed: int, count: int = 12) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    turns = so3_exp(torch.randn(count, 3, generator=generator, dtype=torch.float64))
    return rigid(turns, torch.randn(count, 3, generator=generator, dtype=torch.float64))


@pytest.mark.parametrize("with_scale", [True, False])
def test_trajectories_are_aligned_as_scikit_image_estimates_transforms(with_scale: bool) -> None:
    true, estimated = path(7), path(8)
    kind = skimage_transform.SimilarityTransform if with_scale else skimage_transform.EuclideanTransform
    theirs = kind.from_estimate(estimated[:, :3, 3].numpy(), true[:, :3, 3].numpy())
    alignment = "sim3" if with_scale else "se3"
    found = align_trajectory(estimated, true, alignment)  # type: ignore[arg-type]
    np.testing.assert_allclose(found.matrix.numpy(), theirs.params, atol=1e-9)
    residuals = theirs.residuals(estimated[:, :3, 3].numpy(), true[:, :3, 3].numpy())
    ours = absolute_error(estimated, true, alignment)  # type: ignore[arg-type]
    assert ours.rmse == pytest.approx(np.sqrt(np.mean(residuals**2)), rel=1e-9)
    assert ours.median == pytest.approx(np.median(residuals), rel=1e-9)


def test_mean_average_accuracy_is_the_cumulated_histogram() -> None:
    """As the image matching challenge writes it: a histogram of whole degrees, summed up, averaged."""
    errors = np.random.default_rng(0).uniform(0, 60, 500)
    histogram = np.histogram(errors, bins=np.arange(31))[0] / len(errors)
    assert mean_average_accuracy(errors) == pytest.approx(np.cumsum(histogram).mean(), rel=1e-12)


@pytest.mark.shared
def test_pose_auc_is_that_of_the_reference(shared_dir: Path) -> None:
    io = load_file(shared_dir / "fixtures" / "splatt3r_noposplat_pixelsplat" / "pose_auc.io.safetensors")
    cases = [k for k in range(5) if f"in.errors{k}" in io]
    assert len(cases) == 5
    for k in cases:
        np.testing.assert_allclose(pose_auc(io[f"in.errors{k}"].numpy()), io[f"out.auc{k}"].numpy(), atol=1e-6)


@pytest.mark.shared
def test_image_scores_are_those_of_the_reference(shared_dir: Path) -> None:
    io = load_file(shared_dir / "fixtures" / "splatt3r_noposplat_pixelsplat" / "ssim_terms.io.safetensors")
    for k in range(len(io["in.x"])):
        x, y = (io[name][k].permute(1, 2, 0) for name in ("in.x", "in.y"))
        found = image_error(x, y, Switches())
        assert found.psnr == pytest.approx(float(io["out.eval_psnr"][k]), rel=1e-4)
        assert found.ssim == pytest.approx(float(io["out.eval_ssim"][k]), rel=1e-4)


@pytest.mark.shared
def test_mean_squared_error_behind_psnr_is_that_of_the_reference(shared_dir: Path) -> None:
    io = load_file(shared_dir / "fixtures" / "splatt3r_noposplat_pixelsplat" / "render_losses.io.safetensors")
    color, target = io["in.color"], io["in.target"]
    whole = [image.permute(0, 1, 3, 4, 2).reshape(-1, image.shape[-1], 3) for image in (target, color)]
    found = image_error(whole[0].clamp(0, 1), whole[1].clamp(0, 1), Switches())
    assert float(color.min()) >= 0 and float(target.min()) >= 0
    assert 10 ** (-found.psnr / 10) == pytest.approx(float(io["out.mse_w1"]), rel=1e-4)
