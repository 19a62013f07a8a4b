"""Both rasterizers: agreement, invariances, blending by hand, gradients."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from raster_scenes import camera, random_scene
from torch import Tensor

from lsm_core.errors import InputError, UnsupportedError
from lsm_core.render import rasterize_reference, render
from lsm_core.render.cpu import rasterize_cpu
from lsm_core.sh import C0
from lsm_core.types import Camera, Gaussians, RenderResult, Sim3

BLACK = torch.zeros(3)


def assert_same(a: RenderResult, b: RenderResult, tolerance: float = 1e-4) -> None:
    """Compare; a pixel in a thousand may sit on a threshold (alpha 1/255, transmittance 1e-4)."""
    for name in ("rgb", "alpha", "features"):
        x, y = getattr(a, name), getattr(b, name)
        worst = (x - y).abs().reshape(*x.shape[:2], -1).amax(-1)
        assert (worst > tolerance).float().mean() <= 1e-3, f"{name}: {worst.max()}"
        assert worst.max() < 0.05, name
    covered = a.alpha > 0.05
    relative = ((a.depth - b.depth).abs() / b.depth.clamp(min=1e-6))[covered]
    assert (relative > 1e-3).float().mean() <= 1e-3


@pytest.mark.parametrize("seed", range(6))
def test_cpu_equals_the_reference(seed: int) -> None:
    scene, view = random_scene(seed, degree=seed % 4), camera()
    background = torch.tensor([0.2, 0.7, 1.0])
    expected = rasterize_reference(scene, [view], background, features=True)[0]
    assert expected.alpha.mean() > 0.3  # the comparison is about something
    assert_same(rasterize_cpu(scene, [view], background, features=True)[0], expected)


def test_dense_opaque_scene_ends_early_alike() -> None:
    scene = random_scene(9, count=3000)
    scene = replace(scene, opacities=torch.full_like(scene.opacities, 0.999), scales=scene.scales * 3)
    expected = rasterize_reference(scene, [camera()], BLACK, features=True)[0]
    assert expected.alpha.min() > 0.99
    assert_same(rasterize_cpu(scene, [camera()], BLACK, features=True)[0], expected)


def test_moving_scene_and_camera_together_changes_nothing() -> None:
    scene, view = random_scene(1, degree=3), camera()
    angle = 0.8
    R = torch.tensor(
        [[math.cos(angle), 0, math.sin(angle)], [0, 1, 0], [-math.sin(angle), 0, math.cos(angle)]],
        dtype=torch.float64,
    )
    T = torch.eye(4)
    T[:3, :3], T[:3, 3] = R.float(), torch.tensor([0.5, -1.0, 2.0])
    moved = scene.transform(Sim3(1.0, R, torch.tensor([0.5, -1.0, 2.0], dtype=torch.float64)))
    before = render(scene, view, features=True)
    after = render(moved, replace(view, T_scene_cam=T), features=True)
    assert_same(after, before, tolerance=5e-4)


def test_rescaling_the_scene_scales_depth_only() -> None:
    scene, view = random_scene(2), camera()
    twice = Sim3(2.0, torch.eye(3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64))
    big = render(scene.transform(twice), replace(view, near=2 * view.near), features=True)
    small = render(scene, view, features=True)
    assert_same(replace(big, depth=big.depth / 2), small)


def test_order_of_gaussians_does_not_matter() -> None:
    scene, view = random_scene(3), camera()
    order = torch.randperm(len(scene), generator=torch.Generator().manual_seed(0))
    assert_same(render(scene.select(order), view, True), render(scene, view, True))


def single(opacity: float, z: float = 2.0, colour: tuple[float, float, float] = (1.0, 0.5, 0.25)) -> Gaussians:
    """Return one small round Gaussian on the optical axis."""
    sh = (torch.tensor(colour) - 0.5).reshape(1, 1, 3) / C0
    return Gaussians(
        torch.tensor([[0.0, 0.0, z]]),
        torch.tensor([[1.0, 0.0, 0.0, 0.0]]),
        torch.full((1, 3), 0.1),
        torch.tensor([opacity]),
        sh,
        torch.ones(1, 2),
    )


def axis_camera(size: int = 33, focal: float = 40.0) -> Camera:
    centre = (size - 1) / 2
    return Camera(torch.tensor([[focal, 0, centre], [0, focal, centre], [0, 0, 1.0]]), size, size)


@pytest.mark.parametrize("draw", [rasterize_reference, rasterize_cpu])
def test_one_gaussian_has_the_profile_of_the_equation(draw: object) -> None:
    out = draw(single(0.6), [axis_camera()], torch.tensor([0.0, 0.0, 1.0]), True)[0]  # type: ignore[operator]
    variance = (40.0 * 0.1 / 2.0) ** 2 + 0.3
    for dx in (0, 1, 3):
        alpha = 0.6 * math.exp(-dx * dx / (2 * variance))
        assert float(out.alpha[16, 16 + dx]) == pytest.approx(alpha, abs=1e-5)
        assert float(out.alpha[16 - dx, 16]) == pytest.approx(alpha, abs=1e-5)
        expected = torch.tensor([1.0, 0.5, 0.25]) * alpha + torch.tensor([0.0, 0.0, 1.0]) * (1 - alpha)
        torch.testing.assert_close(out.rgb[16, 16 + dx], expected, atol=1e-5, rtol=0)
        assert float(out.features[16, 16 + dx, 1]) == pytest.approx(alpha, abs=1e-5)
        assert float(out.depth[16, 16 + dx]) == pytest.approx(2.0, abs=1e-4)
    assert out.alpha[0, 0] == 0 and out.depth[0, 0] == 0


@pytest.mark.parametrize("draw", [rasterize_reference, rasterize_cpu])
def test_the_nearer_gaussian_hides_the_farther(draw: object) -> None:
    scene = Gaussians.concatenate([single(0.5, 4.0, (0, 1, 0)), single(0.8, 2.0, (1, 0, 0))])
    out = draw(scene, [axis_camera()], BLACK, False)[0]  # type: ignore[operator]
    torch.testing.assert_close(out.rgb[16, 16], torch.tensor([0.8, 0.2 * 0.5, 0.0]), atol=1e-5, rtol=0)
    assert float(out.depth[16, 16]) == pytest.approx((0.8 * 2 + 0.1 * 4) / 0.9, abs=1e-4)


@pytest.mark.parametrize("draw", [rasterize_reference, rasterize_cpu])
def test_nothing_in_front_shows_the_background(draw: object) -> None:
    background = torch.tensor([0.1, 0.2, 0.3])
    out = draw(single(0.9, z=-2.0), [axis_camera()], background, True)[0]  # type: ignore[operator]
    torch.testing.assert_close(out.rgb, background.expand(33, 33, 3))
    assert out.alpha.max() == 0


def test_not_finite_gaussians_are_left_out() -> None:
    scene = random_scene(4)
    broken = scene.select(torch.arange(20))
    broken = replace(broken, means=torch.full_like(broken.means, float("nan")))
    assert_same(render(Gaussians.concatenate([broken, scene]), camera(), True), render(scene, camera(), True))


def test_reference_gradients_agree_with_finite_differences() -> None:
    scene = random_scene(5, count=12)
    view = camera(width=20, height=18, focal=15.0)
    target = torch.rand(18, 20, 3, generator=torch.Generator().manual_seed(1))

    def loss(means: Tensor, scales: Tensor, opacities: Tensor) -> Tensor:
        moved = replace(scene, means=means, scales=scales, opacities=opacities)
        out = rasterize_reference(moved, [view], BLACK, features=False)[0]
        return ((out.rgb - target) ** 2).sum()

    inputs = [scene.means, scene.scales * 2, scene.opacities * 0.5 + 0.2]
    leaves = [t.clone().requires_grad_() for t in inputs]
    loss(*leaves).backward()
    for which, leaf in enumerate(leaves):
        assert leaf.grad is not None
        direction = leaf.grad / leaf.grad.norm()
        step = 1e-3
        shifted = [
            [t + (sign * step * direction if i == which else 0) for i, t in enumerate(inputs)] for sign in (1, -1)
        ]
        numeric = (loss(*shifted[0]) - loss(*shifted[1])) / (2 * step)
        assert float(numeric) == pytest.approx(float(leaf.grad.norm()), rel=0.05)


def test_render_gives_gradients_where_they_are_wanted() -> None:
    scene = random_scene(6)
    sh = scene.sh.clone().requires_grad_()
    render(replace(scene, sh=sh), camera()).rgb.sum().backward()
    assert sh.grad is not None and sh.grad.abs().sum() > 0


def test_render_refuses_features_that_are_not_there() -> None:
    with pytest.raises(UnsupportedError, match="no language features"):
        render(replace(random_scene(7), features=None), camera(), features=True)


def test_render_refuses_a_malformed_background() -> None:
    with pytest.raises(InputError, match="background"):
        render(random_scene(7), camera(), background=(0.0, 1.0))
