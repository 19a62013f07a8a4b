"""Every rasterizer: blending by hand, picks, what is left out, what is refused."""

from __future__ import annotations

import logging
import math
from dataclasses import replace

import pytest
import torch
from raster_scenes import BLACK, axis_camera, camera, random_scene, single

from lsm_core.errors import InputError, UnsupportedError
from lsm_core.render import (
    Rasterizer,
    RasterizerName,
    choose_rasterizer,
    get_rasterizer,
    rasterize_reference,
    render,
)
from lsm_core.render.cpu import rasterize_cpu
from lsm_core.types import Gaussians

DRAWS = [rasterize_reference, rasterize_cpu]


@pytest.mark.parametrize("draw", DRAWS)
def test_one_gaussian_has_the_profile_of_the_equation(draw: Rasterizer) -> None:
    out = draw(single(0.6), [axis_camera()], torch.tensor([0.0, 0.0, 1.0]), True)[0]
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


@pytest.mark.parametrize("draw", DRAWS)
def test_the_nearer_gaussian_hides_the_farther(draw: Rasterizer) -> None:
    scene = Gaussians.concatenate([single(0.5, 4.0, (0, 1, 0)), single(0.8, 2.0, (1, 0, 0))])
    out = draw(scene, [axis_camera()], BLACK, False)[0]
    torch.testing.assert_close(out.rgb[16, 16], torch.tensor([0.8, 0.2 * 0.5, 0.0]), atol=1e-5, rtol=0)
    assert float(out.depth[16, 16]) == pytest.approx((0.8 * 2 + 0.1 * 4) / 0.9, abs=1e-4)


@pytest.mark.parametrize("draw", DRAWS)
def test_nothing_in_front_shows_the_background(draw: Rasterizer) -> None:
    background = torch.tensor([0.1, 0.2, 0.3])
    out = draw(single(0.9, z=-2.0), [axis_camera()], background, True)[0]
    torch.testing.assert_close(out.rgb, background.expand(33, 33, 3))
    assert out.alpha.max() == 0


@pytest.mark.parametrize("draw", DRAWS)
def test_median_depth_is_that_of_the_gaussian_that_makes_half_opaque(draw: Rasterizer) -> None:
    scene = Gaussians.concatenate([single(0.4, 4.0), single(0.3, 2.0), single(0.6, 3.0)])
    out = draw(scene, [axis_camera()], BLACK)[0]
    assert out.median_depth is not None
    assert float(out.median_depth[16, 16]) == pytest.approx(3.0)  # 0.7 left, then 0.28
    thin = draw(scene.select(torch.tensor([0])), [axis_camera()], BLACK)[0]
    assert thin.median_depth is not None and float(thin.median_depth[16, 16]) == 0.0


@pytest.mark.parametrize("draw", DRAWS)
def test_strongest_is_the_largest_weight_not_the_largest_opacity(draw: Rasterizer) -> None:
    scene = Gaussians.concatenate([single(0.9, 4.0), single(0.6, 2.0), single(0.9, 2.0, x=0.7)])
    out = draw(scene, [axis_camera()], BLACK)[0]
    assert out.strongest is not None
    assert out.strongest.dtype == torch.int32
    assert int(out.strongest[16, 16]) == 1  # 0.6 against 0.4 * 0.9
    assert int(out.strongest[16, 30]) == 2
    assert int(out.strongest[0, 0]) == -1
    equal = draw(scene.select(torch.tensor([0, 0])), [axis_camera()], BLACK)[0]
    assert equal.strongest is not None and int(equal.strongest[16, 16]) == 0


@pytest.mark.parametrize("draw", DRAWS)
def test_picks_are_left_out_where_they_are_not_asked_for(draw: Rasterizer) -> None:
    out = draw(single(0.9), [axis_camera()], BLACK, picks=False)[0]
    assert out.median_depth is None and out.strongest is None


@pytest.mark.parametrize("name", ["reference", "cpu"])
def test_not_finite_gaussians_are_left_out_and_counted(
    name: RasterizerName, caplog: pytest.LogCaptureFixture
) -> None:
    scene = random_scene(4)
    parts = ("means", "quats", "scales", "opacities", "sh", "features")
    broken = []
    for k, part in enumerate(parts):
        bad = scene.select(torch.tensor([k]))
        broken.append(replace(bad, **{part: torch.full_like(getattr(bad, part), [math.nan, math.inf][k % 2])}))
    whole = render(scene, camera(), features=True, rasterizer=name)
    assert not caplog.records
    with caplog.at_level(logging.WARNING):
        mixed = render(Gaussians.concatenate([*broken, scene]), camera(), features=True, rasterizer=name)
    assert [record.getMessage() for record in caplog.records] == [
        "6 of 406 Gaussians are not finite and are not drawn."
    ]
    assert torch.equal(mixed.rgb, whole.rgb) and torch.equal(mixed.depth, whole.depth)
    assert mixed.strongest is not None and whole.strongest is not None
    hit = whole.strongest >= 0
    assert torch.equal(mixed.strongest, torch.where(hit, whole.strongest + 6, -1))


def test_broken_features_do_not_matter_where_none_are_drawn() -> None:
    scene = random_scene(4)
    assert scene.features is not None
    broken = replace(scene, features=torch.full_like(scene.features, math.nan))
    assert torch.equal(render(broken, camera()).rgb, render(scene, camera()).rgb)


def test_colours_are_cut_at_one_by_render_only() -> None:
    scene = single(0.9, colour=(3.0, 0.5, 0.5))
    assert float(rasterize_cpu(scene, [axis_camera()], BLACK)[0].rgb.max()) == pytest.approx(2.7, abs=1e-4)
    assert float(render(scene, axis_camera()).rgb.max()) == 1.0


def test_the_processor_draws_what_is_on_it() -> None:
    assert choose_rasterizer(random_scene(1)) == "cpu"


def test_an_unknown_rasterizer_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(InputError, match="reference, cpu, gsplat"):
        get_rasterizer("cuda")  # type: ignore[arg-type]


def test_render_refuses_features_that_are_not_there() -> None:
    with pytest.raises(UnsupportedError, match="no language features"):
        render(replace(random_scene(7), features=None), camera(), features=True)


def test_render_refuses_a_malformed_background() -> None:
    with pytest.raises(InputError, match="background"):
        render(random_scene(7), camera(), background=(0.0, 1.0))
