"""The CPU rasterizer gives what the reference gives: random scenes of every size and degree, and nasty ones."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from raster_scenes import BLACK, NASTY, NEAR, assert_agree, camera, random_scene, uncertain_pixels

from lsm_core.render import rasterize_reference, render
from lsm_core.render.cpu import rasterize_cpu
from lsm_core.types import Camera, Gaussians

BACKGROUND = torch.tensor([0.2, 0.7, 1.0])


def compare(scene: Gaussians, view: Camera, most: float = 0.01) -> None:
    expected = rasterize_reference(scene, [view], BACKGROUND, features=True)[0]
    got = rasterize_cpu(scene, [view], BACKGROUND, features=True)[0]
    assert_agree(got, expected, uncertain_pixels(scene, view, BACKGROUND), most=most)


@pytest.mark.parametrize("seed", range(8))
def test_random_scenes(seed: int) -> None:
    scene = random_scene(
        seed, count=[10, 100, 400, 1500][seed % 4], degree=seed % 4, feature_dim=[64, 5, 3, 17][seed % 4]
    )
    assert rasterize_reference(scene, [camera()], BLACK)[0].alpha.max() > 0.3  # the comparison is about something
    compare(scene, camera())


def test_dense_opaque_scene_ends_early_alike() -> None:
    scene = random_scene(9, count=3000)
    scene = replace(scene, opacities=torch.full_like(scene.opacities, 0.999), scales=scene.scales * 3)
    assert rasterize_reference(scene, [camera()], BLACK)[0].alpha.min() > 0.99
    compare(scene, camera())


@pytest.mark.slow
@pytest.mark.parametrize("spread", [1.0, 0.1])
def test_fifty_thousand_gaussians(spread: float) -> None:
    scene = random_scene(10, count=50_000, degree=3, feature_dim=64)
    compare(replace(scene, scales=scene.scales * spread), camera())


@pytest.mark.parametrize("name", NASTY)
def test_nasty_scenes(name: str) -> None:
    scene = NASTY[name](random_scene(11, count=200, degree=2))
    compare(scene, camera(near=NEAR))


@pytest.mark.parametrize("name", ["on the near plane", "behind the camera", "off the screen"])
def test_what_cannot_be_seen_is_not_drawn(name: str) -> None:
    scene = NASTY[name](random_scene(11, count=100))
    for draw in (rasterize_reference, rasterize_cpu):
        out = draw(scene, [camera(near=NEAR)], BACKGROUND, features=True)[0]
        assert out.alpha.max() == 0
        assert (out.strongest == -1).all() and (out.median_depth == 0).all() and (out.features == 0).all()


def test_no_gaussians_at_all() -> None:
    scene = random_scene(12).select(torch.zeros(0, dtype=torch.long))
    for name in ("reference", "cpu"):
        out = render(scene, camera(), features=True, background=BACKGROUND, rasterizer=name)
        torch.testing.assert_close(out.rgb, BACKGROUND.expand(50, 70, 3))
        assert out.features is not None and out.features.shape == (50, 70, 5)


def test_the_culling_of_the_released_rasterizers() -> None:
    """It leaves out tiles beyond 3 standard deviations, where an opaque Gaussian still has alpha up to 0.011."""
    scene = replace(random_scene(16, count=40), opacities=torch.full((40,), 0.98))
    scene = replace(scene, scales=scene.scales * 3)
    cpu, slow = (
        draw(scene, [camera()], BACKGROUND, features=True, culling="released")[0]
        for draw in (rasterize_cpu, rasterize_reference)
    )
    assert_agree(cpu, slow, uncertain_pixels(scene, camera(), BACKGROUND))
    less = rasterize_reference(scene, [camera()], BACKGROUND)[0].alpha - slow.alpha
    assert 1e-3 < less.max() < 0.012 and (less > 1e-4).float().mean() < 0.2


@pytest.mark.parametrize("size", [(1, 1), (16, 16), (17, 33), (200, 3)])
def test_every_image_size(size: tuple[int, int]) -> None:
    compare(random_scene(13, count=150), camera(width=size[0], height=size[1]), most=0.3)


def test_several_cameras_are_each_drawn_as_if_alone() -> None:
    scene, views = random_scene(14), [camera(), camera(width=40, height=30, near=1.0), camera(focal=30.0)]
    for name in ("reference", "cpu"):
        together = render(scene, views, features=True, rasterizer=name)
        assert len(together) == 3
        for view, out in zip(views, together, strict=True):
            alone = render(scene, view, features=True, rasterizer=name)
            assert torch.equal(out.rgb, alone.rgb) and torch.equal(out.depth, alone.depth)


def test_results_do_not_depend_on_the_number_of_threads() -> None:
    scene, before = random_scene(15, count=2000), torch.get_num_threads()
    try:
        results = []
        for threads in (1, 3):
            torch.set_num_threads(threads)
            results.append(render(scene, camera(), features=True, rasterizer="cpu"))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(results[0].rgb, results[1].rgb)
    assert torch.equal(results[0].features, results[1].features)  # type: ignore[arg-type]
    assert torch.equal(results[0].strongest, results[1].strongest)  # type: ignore[arg-type]
