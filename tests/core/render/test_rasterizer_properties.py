"""What must hold for every scene: moving it with the camera, reordering it, scaling it, mixing its colours."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from raster_scenes import BLACK, assert_agree, camera, random_scene, uncertain_pixels
from torch import Tensor

from lsm_core.geometry.se3 import se3_exp
from lsm_core.render import RasterizerName, render
from lsm_core.sh import C0
from lsm_core.types import Camera, Gaussians, RenderResult, Sim3

NAMES: list[RasterizerName] = ["reference", "cpu"]
VIEW = camera(width=40, height=30, focal=35.0)
twists = st.lists(st.floats(-2, 2), min_size=6, max_size=6)
scenes = st.builds(random_scene, seed=st.integers(0, 10_000), count=st.integers(1, 120), degree=st.integers(0, 3))


def drawn(scene: Gaussians, view: Camera, name: RasterizerName) -> RenderResult:
    return render(scene, view, features=True, rasterizer=name)


def in_double(scene: Gaussians) -> Gaussians:
    return Gaussians(**{field.name: getattr(scene, field.name).double() for field in fields(Gaussians)})


@given(scene=scenes, twist=twists)
def test_moving_scene_and_camera_together_changes_nothing(scene: Gaussians, twist: list[float]) -> None:
    T = se3_exp(torch.tensor(twist, dtype=torch.float64))
    motion = Sim3(1.0, T[:3, :3], T[:3, 3])
    exact, moved = in_double(scene), replace(VIEW, T_scene_cam=T)
    before, after = drawn(exact, VIEW, "reference"), drawn(exact.transform(motion), moved, "reference")
    for name in ("rgb", "depth", "alpha", "features"):
        difference = (getattr(before, name) - getattr(after, name)).abs().amax()
        assert difference < 1e-6, name  # K is float32, everything else float64
    single = replace(moved, T_scene_cam=T.float())
    uncertain = uncertain_pixels(scene, VIEW, BLACK, margin=3e-3)
    assert_agree(drawn(scene.transform(motion), single, "cpu"), before_float(before), uncertain, 1e-3, most=0.1)


def before_float(result: RenderResult) -> RenderResult:
    """Return a result in float32."""
    return RenderResult(
        *(getattr(result, f.name).float() if f.name != "strongest" else result.strongest for f in fields(result))
    )


@pytest.mark.parametrize("name", NAMES)
@given(scene=scenes, seed=st.integers(0, 10_000))
def test_the_order_of_gaussians_does_not_matter(name: RasterizerName, scene: Gaussians, seed: int) -> None:
    order = torch.randperm(len(scene), generator=torch.Generator().manual_seed(seed))
    before, after = drawn(scene, VIEW, name), drawn(scene.select(order), VIEW, name)
    assert (before.rgb - after.rgb).abs().max() < 1e-5
    assert (before.features - after.features).abs().max() < 1e-5  # type: ignore[operator]
    assert before.strongest is not None and after.strongest is not None
    same = torch.where(after.strongest >= 0, order[after.strongest.long()], -1) == before.strongest
    assert same.float().mean() > 0.99  # two equal weights may change places


@pytest.mark.parametrize("name", NAMES)
@given(seed=st.integers(0, 10_000), a=st.floats(0.05, 0.95))
def test_colours_mix_linearly(name: RasterizerName, seed: int, a: float) -> None:
    scene, generator = random_scene(seed, count=60, degree=0), torch.Generator().manual_seed(seed)
    colours = [torch.rand(60, 1, 3, generator=generator) * 0.8 for _ in range(2)]  # no clamp is active

    def picture(colour: Tensor) -> Tensor:
        return drawn(replace(scene, sh=(colour - 0.5) / C0), VIEW, name).rgb

    mixed = picture(a * colours[0] + (1 - a) * colours[1])
    assert (mixed - (a * picture(colours[0]) + (1 - a) * picture(colours[1]))).abs().max() < 2e-6


@pytest.mark.parametrize("name", NAMES)
@given(seed=st.integers(0, 10_000))
def test_alpha_is_what_white_gaussians_leave_of_a_black_background(name: RasterizerName, seed: int) -> None:
    scene = random_scene(seed, count=80, degree=0)
    out = drawn(replace(scene, sh=torch.full_like(scene.sh, 0.5 / C0)), VIEW, name)
    assert (out.rgb - out.alpha[..., None]).abs().max() < 2e-6
    assert out.alpha.min() >= 0 and out.alpha.max() <= 1


@pytest.mark.parametrize("name", NAMES)
@given(seed=st.integers(0, 10_000), power=st.integers(-3, 5))
def test_rescaling_scene_and_near_plane_scales_depth_only(name: RasterizerName, seed: int, power: int) -> None:
    factor = 2.0**power  # exact in float32, so that no rounding differs
    scene, view = random_scene(seed, count=80), camera(width=40, height=30, near=0.2)
    stretch = Sim3(factor, torch.eye(3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64))
    big = drawn(scene.transform(stretch), replace(view, near=factor * view.near), name)
    small = drawn(scene, view, name)
    assert (big.rgb - small.rgb).abs().max() < 1e-5
    assert (big.depth / factor - small.depth).abs().max() < 1e-4


extreme = st.sampled_from([0.0, 1e-38, 1e-20, 1e-6, 1e-3, 1.0, 50.0, 1e4, 1e9, 1e18, 1e30, 3e38])


@pytest.mark.parametrize("name", NAMES)
@given(
    far=st.lists(st.tuples(extreme, st.sampled_from([-1.0, 1.0])), min_size=9, max_size=9),
    sizes=st.lists(extreme, min_size=9, max_size=9),
    near=st.sampled_from([0.0, 1e-30, 0.2]),
    twist=twists,
)
def test_absurd_sizes_and_places_draw_finite_pictures(
    name: RasterizerName,
    far: list[tuple[float, float]],
    sizes: list[float],
    near: float,
    twist: list[float],
) -> None:
    means = torch.tensor([sign * value for value, sign in far]).reshape(3, 3)
    scene = replace(random_scene(0, count=3), means=means, scales=torch.tensor(sizes).reshape(3, 3))
    T = se3_exp(torch.tensor(twist)) if any(twist) else torch.eye(4)
    out = drawn(scene, replace(VIEW, T_scene_cam=T, near=near), name)
    for part in (out.rgb, out.depth, out.alpha, out.features, out.median_depth):
        assert part is not None and torch.isfinite(part).all()
    assert out.alpha.min() >= 0 and out.alpha.max() <= 1
