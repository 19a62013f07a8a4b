"""Clouds keep what is reliable, say what it is, and stay small."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lsm_core.errors import InputError
from lsm_core.mapping import (
    NO_LABEL,
    CloudConfig,
    PointCloud,
    cap_points,
    cloud_from_view,
    thinned,
    union_clouds,
    voxel_downsample,
)
from lsm_core.types import Sim3

from .scenes import plane_prediction

ALL = CloudConfig(drop_lowest=0.0)


def random_cloud(n: int, seed: int = 0, span: float = 1.0) -> PointCloud:
    rng = np.random.default_rng(seed)
    return PointCloud(
        rng.uniform(-span, span, (n, 3)).astype(np.float32),
        rng.integers(0, 255, (n, 3), dtype=np.uint8),
        rng.uniform(0, 5, n).astype(np.float32),
        rng.integers(0, 4, n).astype(np.uint16),
        rng.uniform(0, 1, n).astype(np.float32),
    )


def test_view_of_a_plane_keeps_every_pixel_in_the_predictions_frame() -> None:
    prediction = plane_prediction()
    cloud = cloud_from_view(prediction, 1, config=ALL)
    assert len(cloud) == 24 * 32
    assert np.allclose(cloud.points, prediction.pointmaps[1].reshape(-1, 3).numpy())
    assert (cloud.label == NO_LABEL).all() and (cloud.score == 0).all()


def test_cloud_follows_a_moved_prediction() -> None:
    prediction = plane_prediction()
    move = Sim3(
        2.0, torch.eye(3, dtype=torch.float64).flip(0).flip(1), torch.tensor([1.0, 2, 3], dtype=torch.float64)
    )
    moved = cloud_from_view(prediction.transform(move), 0, config=ALL)
    assert np.allclose(moved.points, cloud_from_view(prediction, 0, config=ALL).transform(move).points, atol=1e-5)


def test_labels_are_read_at_the_pixels_of_the_image_given() -> None:
    labels = np.full((48, 64), -1, np.int32)
    labels[:, 32:] = 3
    scores = np.full((48, 64), 0.7, np.float32)
    cloud = cloud_from_view(plane_prediction(), 0, labels, scores, config=ALL)
    right = cloud.points[:, 0] > 0
    assert (cloud.label[right] == 3).all() and (cloud.label[~right] == NO_LABEL).all()
    assert np.allclose(cloud.score[right], 0.7) and (cloud.score[~right] == 0).all()


def test_labels_may_be_given_per_point() -> None:
    labels = np.full((24, 32), -1, np.int32)
    labels[:, 16:] = 3
    scores = np.where(labels >= 0, np.float32(0.7), np.float32(0.2))
    cloud = cloud_from_view(plane_prediction(), 0, labels, scores, config=ALL, labels_on_grid=True)
    assert np.array_equal(cloud.label, np.where(labels >= 0, 3, NO_LABEL).ravel())
    assert np.allclose(cloud.score, np.where(labels >= 0, 0.7, 0).ravel())


@pytest.mark.parametrize("limit", [10_000, 200, 0])
def test_labels_that_come_after_thinning_are_those_that_came_before(limit: int) -> None:
    cloud = random_cloud(3000)
    thin, chosen = thinned(cloud, 0.1, limit)
    expected = cap_points(voxel_downsample(cloud, 0.1), limit)
    assert len(thin) == len(chosen) == len(expected)
    assert all(np.array_equal(getattr(thin, f.name), getattr(expected, f.name)) for f in fields(PointCloud))
    assert np.array_equal(cloud.label[chosen], expected.label)
    assert np.array_equal(cloud.score[chosen], expected.score)


def test_masked_pixels_get_no_points() -> None:
    mask = np.zeros((48, 64), bool)
    mask[:24] = True
    cloud = cloud_from_view(plane_prediction(), 0, mask=mask, config=ALL)
    assert len(cloud) == 12 * 32 and (cloud.points[:, 1] > 0).all()


def test_least_confident_share_is_dropped() -> None:
    prediction = plane_prediction()
    confidence = torch.arange(24 * 32).float().reshape(24, 32)
    cloud = cloud_from_view(
        replace(prediction, confidence=[confidence, confidence]), 0, config=CloudConfig(drop_lowest=0.25)
    )
    assert len(cloud) == pytest.approx(0.75 * 24 * 32, abs=2) and cloud.confidence.min() >= 190


def test_depth_edges_and_far_outliers_are_dropped() -> None:
    prediction = plane_prediction()
    points = prediction.pointmaps[0].clone()
    points[:, 16:] *= 2  # a step
    points[0, 0] *= 100
    points[5, 5] = float("nan")
    cloud = cloud_from_view(replace(prediction, pointmaps=[points, points]), 0, config=ALL)
    assert np.isfinite(cloud.points).all() and cloud.points[:, 2].max() < 5
    columns = np.rint(cloud.points[:, 0] / cloud.points[:, 2] * 30 + 15.5)
    assert not np.isin(columns, [15, 16]).any() and np.isin([3, 14, 17, 30], columns).all()


def test_prediction_without_finite_depth_gives_an_empty_cloud() -> None:
    prediction = plane_prediction()
    broken = [torch.full_like(p, float("nan")) for p in prediction.pointmaps]
    assert len(cloud_from_view(replace(prediction, pointmaps=broken), 0)) == 0


def test_voxel_takes_means_and_the_label_of_the_surest_point() -> None:
    cloud = PointCloud(
        np.array([[0.1, 0.1, 0.1], [0.3, 0.1, 0.1], [1.1, 0.1, 0.1]], np.float32),
        np.array([[10, 0, 0], [20, 0, 0], [200, 0, 0]], np.uint8),
        np.array([1.0, 3.0, 2.0], np.float32),
        np.array([5, 6, 7], np.uint16),
        np.array([0.9, 0.4, 0.1], np.float32),
    )
    out = voxel_downsample(cloud, 1.0)
    assert np.allclose(out.points, [[0.2, 0.1, 0.1], [1.1, 0.1, 0.1]])
    assert out.rgb[:, 0].tolist() == [15, 200] and out.label.tolist() == [6, 7]
    assert out.confidence.tolist() == [3.0, 2.0] and np.allclose(out.score, [0.4, 0.1])


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 300), st.floats(0.05, 3.0))
def test_voxels_hold_one_point_each_near_its_members(seed: int, n: int, voxel: float) -> None:
    cloud = random_cloud(n, seed)
    out = voxel_downsample(cloud, voxel)
    cells = {tuple(c) for c in np.floor(cloud.points.astype(np.float64) / voxel).astype(int)}
    assert len(out) == len(cells)
    distance = np.abs(out.points[:, None] - cloud.points[None]).max(-1).min(0)
    assert (distance <= voxel + 1e-5).all()
    shuffled = voxel_downsample(cloud.select(np.random.default_rng(seed).permutation(n)), voxel)
    assert np.allclose(shuffled.points, out.points, atol=1e-5) and np.array_equal(shuffled.label, out.label)


def test_voxel_that_is_far_too_small_is_refused() -> None:
    with pytest.raises(InputError):
        voxel_downsample(random_cloud(10, span=1000.0), 1e-6)


def test_cap_is_exact_deterministic_even_and_prefers_confident_points() -> None:
    cloud = random_cloud(20000)
    out = cap_points(cloud, 5000)
    assert len(out) == 5000 and np.array_equal(out.points, cap_points(cloud, 5000).points)
    assert out.confidence.mean() > cloud.confidence.mean() + 0.2
    share = [(out.points[:, 0] > edge).mean() for edge in (-0.5, 0.0, 0.5)]
    assert np.allclose(share, [0.75, 0.5, 0.25], atol=0.03)
    assert (out.confidence < 1.0).sum() > 200  # the unsure are thinned, not gone


def test_small_cloud_is_not_capped_and_zero_limit_is_empty() -> None:
    cloud = random_cloud(10)
    assert cap_points(cloud, 10) is cloud and len(cap_points(cloud, 0)) == 0


def test_union_of_overlapping_keyframes_is_hardly_larger_than_one() -> None:
    cloud = random_cloud(5000)
    one = union_clouds([cloud], 0.2, 100000)
    three = union_clouds([cloud, cloud, cloud], 0.2, 100000)
    assert len(one) == len(three) and np.allclose(one.points, three.points, atol=1e-6)
    assert len(union_clouds([cloud, random_cloud(5000, 1)], 0.2, 500)) == 500
    assert len(union_clouds([], 0.2, 100)) == 0
