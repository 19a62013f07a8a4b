"""Gaussians, similarities and cameras keep their meaning when moved."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from lsm_core.errors import InputError
from lsm_core.sh import rotate_sh, sh_basis
from lsm_core.types import Camera, Gaussians, Sim3, quat_from_matrix, quat_multiply


def random_sim3(seed: int) -> Sim3:
    rng = np.random.default_rng(seed)
    R = torch.tensor(Rotation.random(random_state=seed).as_matrix())
    return Sim3(float(rng.uniform(0.2, 5)), R, torch.tensor(rng.normal(size=3)))


def random_gaussians(seed: int, n: int = 6, degree: int = 3) -> Gaussians:
    g = torch.Generator().manual_seed(seed)
    quats = torch.nn.functional.normalize(torch.randn(n, 4, generator=g), dim=-1)
    return Gaussians(
        torch.randn(n, 3, generator=g),
        quats,
        torch.rand(n, 3, generator=g) + 0.1,
        torch.rand(n, generator=g),
        torch.randn(n, (degree + 1) ** 2, 3, generator=g),
        torch.randn(n, 8, generator=g),
    )


def covariances(gaussians: Gaussians) -> np.ndarray:
    R = Rotation.from_quat(gaussians.quats[:, [1, 2, 3, 0]].double().numpy()).as_matrix()
    S = gaussians.scales.double().numpy()[:, None, :] ** 2
    return (R * S) @ R.transpose(0, 2, 1)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_transform_moves_means_and_covariances_alike(seed: int) -> None:
    T, before = random_sim3(seed), random_gaussians(seed)
    after = before.transform(T)
    R, s = T.rotation.numpy(), T.scale
    expected_means = s * before.means.double().numpy() @ R.T + T.translation.numpy()
    np.testing.assert_allclose(after.means.numpy(), expected_means, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(covariances(after), s * s * R @ covariances(before) @ R.T, rtol=1e-3, atol=1e-4)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 3))
def test_transform_keeps_the_colour_seen_from_a_moved_viewpoint(seed: int, degree: int) -> None:
    T, before = random_sim3(seed), random_gaussians(seed, degree=degree)
    after = before.transform(T)
    d = torch.nn.functional.normalize(torch.randn(9, 3, generator=torch.Generator().manual_seed(seed)), dim=-1)
    seen_before = torch.einsum("dk,nkc->dnc", sh_basis(d, degree), before.sh)
    seen_after = torch.einsum("dk,nkc->dnc", sh_basis(d @ T.rotation.T.float(), degree), after.sh)
    torch.testing.assert_close(seen_after, seen_before, rtol=1e-4, atol=1e-4)


def test_transform_and_inverse_cancel() -> None:
    T, before = random_sim3(3), random_gaussians(3)
    after = before.transform(T).transform(T.inverse())
    torch.testing.assert_close(after.means, before.means, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(after.scales, before.scales, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(after.sh, before.sh, rtol=1e-4, atol=1e-4)


def test_sh_rotation_keeps_each_degree_block_orthogonal() -> None:
    R = torch.tensor(Rotation.random(random_state=5).as_matrix())
    sh = torch.randn(4, 16, 3, dtype=torch.float64)
    turned = rotate_sh(sh, R)
    for level in range(4):
        part = slice(level**2, (level + 1) ** 2)
        torch.testing.assert_close(turned[:, part].norm(dim=1), sh[:, part].norm(dim=1))


def test_sim3_refuses_a_matrix_with_shear() -> None:
    M = torch.eye(4)
    M[0, 1] = 0.2
    with pytest.raises(InputError, match="not scale"):
        Sim3.from_matrix(M)


def test_sim3_refuses_a_mirror() -> None:
    with pytest.raises(InputError, match="mirrors"):
        Sim3.from_matrix(torch.diag(torch.tensor([1.0, 1.0, -1.0, 1.0])))


def test_sim3_matrix_round_trip() -> None:
    T = random_sim3(11)
    back = Sim3.from_matrix(T.matrix)
    assert back.scale == pytest.approx(T.scale)
    torch.testing.assert_close(back.rotation, T.rotation)
    torch.testing.assert_close(back.inverse().matrix @ T.matrix, torch.eye(4, dtype=torch.float64))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_quaternions_agree_with_scipy(seed: int) -> None:
    a, b = Rotation.random(2, random_state=seed)
    qa, qb = (quat_from_matrix(torch.tensor(r.as_matrix())) for r in (a, b))
    product = quat_multiply(qa, qb)
    np.testing.assert_allclose(
        Rotation.from_quat(product[[1, 2, 3, 0]].numpy()).as_matrix(), (a * b).as_matrix(), atol=1e-9
    )


def test_gaussians_refuse_mismatched_shapes() -> None:
    g = random_gaussians(0)
    with pytest.raises(InputError, match="means"):
        Gaussians(g.means, g.quats[:3], g.scales, g.opacities, g.sh)


def test_concatenate_and_select_are_inverse() -> None:
    a, b = random_gaussians(1, n=4), random_gaussians(2, n=5)
    joined = Gaussians.concatenate([a, b])
    assert len(joined) == 9
    torch.testing.assert_close(joined.select(torch.arange(4, 9)).means, b.means)


def test_resized_camera_sees_the_same_rays_at_corresponding_pixels() -> None:
    camera = Camera(torch.tensor([[300.0, 0, 159.5], [0, 310.0, 119.5], [0, 0, 1]]), 320, 240)
    half = camera.resized(160, 120)
    # centre of the 2x2 block (10..11, 20..21) is the centre of pixel (5, 10) of the half-size grid
    ray = torch.linalg.inv(camera.K) @ torch.tensor([10.5, 20.5, 1.0])
    ray_half = torch.linalg.inv(half.K) @ torch.tensor([5.0, 10.0, 1.0])
    torch.testing.assert_close(ray, ray_half)


def test_camera_refuses_zero_focal_length() -> None:
    with pytest.raises(InputError, match="focal"):
        Camera(torch.diag(torch.tensor([0.0, 1.0, 1.0])), 10, 10)
