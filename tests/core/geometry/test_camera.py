"""Pixel affines, projection and unprojection agree with each other and with hand-computed values."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lsm_core.errors import InputError
from lsm_core.geometry import (
    apply_affine,
    crop_affine,
    crop_intrinsics,
    field_of_view,
    in_image,
    pixel_grid,
    project,
    rays,
    resize_affine,
    scale_intrinsics,
    unproject,
)

K = torch.tensor([[200.0, 0.0, 63.5], [0.0, 210.0, 47.5], [0.0, 0.0, 1.0]])


def test_unproject_then_project_gives_the_pixels_and_depth_back() -> None:
    depth = torch.rand(96, 128, generator=torch.Generator().manual_seed(0)) + 0.5
    pixels, z = project(unproject(depth, K), K)
    torch.testing.assert_close(pixels, pixel_grid(96, 128), atol=2e-4, rtol=0)
    torch.testing.assert_close(z, depth)


def test_a_point_on_the_axis_is_seen_at_the_principal_point() -> None:
    pixels, _ = project(torch.tensor([[0.0, 0.0, 3.0], [0.3, 0.0, 3.0]]), K)
    torch.testing.assert_close(pixels, torch.tensor([[63.5, 47.5], [83.5, 47.5]]))


def test_points_behind_the_camera_have_no_pixel() -> None:
    pixels, _ = project(torch.tensor([[0.1, 0.1, -1.0], [0.0, 0.0, 0.0]]), K)
    assert bool(pixels.isnan().all())
    assert not bool(in_image(pixels, 96, 128).any())


@given(st.integers(8, 400), st.integers(8, 400), st.floats(-0.5, 0.499), st.floats(-0.5, 0.499))
def test_resize_keeps_outer_edges_and_the_viewing_ray(height: int, width: int, u: float, v: float) -> None:
    old, new = (96, 128), (height, width)
    A = resize_affine(old, new)
    corners = torch.tensor([[-0.5, -0.5], [127.5, 95.5]])
    expected = torch.tensor([[-0.5, -0.5], [width - 0.5, height - 0.5]])
    torch.testing.assert_close(apply_affine(A, corners), expected, atol=1e-3, rtol=1e-5)
    pixel = torch.tensor([(u + 0.5) * 128 - 0.5, (v + 0.5) * 96 - 0.5, 1.0])
    ray_old = torch.linalg.inv(K) @ pixel
    ray_new = torch.linalg.inv(scale_intrinsics(K, old, new)) @ (A @ pixel)
    torch.testing.assert_close(ray_old, ray_new, atol=1e-4, rtol=1e-4)


def test_crop_moves_pixels_and_intrinsics_alike() -> None:
    point = torch.tensor([[0.2, -0.1, 2.0]])
    full, _ = project(point, K)
    cropped, _ = project(point, crop_intrinsics(K, 10, 20))
    torch.testing.assert_close(cropped, apply_affine(crop_affine(10, 20), full))
    torch.testing.assert_close(full - cropped, torch.tensor([[10.0, 20.0]]))


def test_rays_have_unit_depth_and_hit_the_principal_point_straight() -> None:
    K_centred = torch.tensor([[100.0, 0, 3.0], [0, 100.0, 2.0], [0, 0, 1]])
    directions = rays(K_centred, 5, 7)
    torch.testing.assert_close(directions[2, 3], torch.tensor([0.0, 0.0, 1.0]))
    torch.testing.assert_close(directions[..., 2], torch.ones(5, 7))


def test_field_of_view_of_a_square_60_degree_camera() -> None:
    focal = 50 / math.tan(math.radians(30))
    K60 = torch.tensor([[focal, 0, 49.5], [0, focal, 49.5], [0, 0, 1]])
    assert field_of_view(K60, 100, 100) == pytest.approx((math.radians(60), math.radians(60)), abs=1e-5)


def test_image_area_ends_half_a_pixel_outside_the_outer_centres() -> None:
    pixels = torch.tensor([[-0.5, -0.5], [127.4, 95.4], [127.6, 10.0], [10.0, -0.6]])
    assert in_image(pixels, 96, 128).tolist() == [True, True, False, False]


def test_unproject_refuses_a_stack() -> None:
    with pytest.raises(InputError):
        unproject(torch.ones(2, 4, 4), K)
