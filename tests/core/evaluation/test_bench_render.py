"""The scene and the figures of `lsm bench render`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from lsm_core.cli.bench_render import render_tables
from lsm_core.errors import DependencyError
from lsm_core.evaluation.bench_gsplat import bench_gsplat
from lsm_core.evaluation.bench_render import (
    RenderCase,
    bench_cases,
    bench_render,
    bench_scene,
    blended_per_pixel,
)
from lsm_core.evaluation.provenance import provenance
from lsm_core.evaluation.render_alternatives import alternative_seconds
from lsm_core.evaluation.render_scene import middle_camera, pixel_aligned_scene
from lsm_core.render import render

CPU = torch.device("cpu")
TINY = RenderCase("targets", "tiny", 512, 16, 3, 1, target_s=1.0, compare=True)


def test_the_scene_is_two_pixel_aligned_views_with_sizes_of_a_pixel() -> None:
    scene = pixel_aligned_scene(64, 8)
    assert len(scene) == 2 * 64 * 64 and scene.features is not None and scene.features.shape[1] == 8
    pixels = scene.scales / scene.means[:, 2:] * 0.9 * 64
    assert float(pixels.median()) == pytest.approx(1.0, abs=0.02)
    assert float(scene.opacities.min()) >= 0.1 and float(scene.opacities.max()) <= 0.95
    assert float(scene.opacities.mean()) == pytest.approx(0.525, abs=0.01)
    assert torch.equal(scene.means, pixel_aligned_scene(64, 8).means)
    assert render(scene, middle_camera(64)).alpha.mean() > 0.95


def test_blended_gaussians_are_counted() -> None:
    one = pixel_aligned_scene(16, 0).select(torch.tensor([100]))
    everywhere = replace(one, scales=torch.full((1, 3), 100.0))
    twice = everywhere.select(torch.tensor([0, 0]))
    assert blended_per_pixel(everywhere, middle_camera(16), 0) == 1.0
    assert blended_per_pixel(twice, middle_camera(16), 0) == 2.0


def test_every_case_has_the_number_of_gaussians_it_states() -> None:
    for case in bench_cases(2):
        if case.gaussians <= 131_072:
            scene, camera = bench_scene(replace(case, channels=0), 0)
            assert len(scene) == case.gaussians and camera.width == camera.height == case.size
    assert {case.gaussians for case in bench_cases(2)} > {131_072, 524_288}
    assert all(case.gaussians <= 131_072 for case in bench_cases(2, quick=True))


@pytest.mark.parametrize("case", [TINY, replace(TINY, gradient=True, channels=0, compare=False)])
def test_a_case_is_timed_and_shown(case: RenderCase) -> None:
    before = torch.get_num_threads()
    found = bench_render(case, 2, 0, CPU)
    torch.set_num_threads(before)
    assert 0 < found.p10_s <= found.median_s <= found.p90_s
    assert found.cpu_s > 0 and 10 < found.blended < 100
    assert (found.reference_s is not None) == case.compare
    table = render_tables([found], {"other": 2.0}, provenance(CPU), 2, 0, 0.1)[0]
    assert "tiny; 512 at 16" in table.markdown() and "other" in table.markdown()


def test_a_package_that_is_not_there_is_a_typed_error() -> None:
    scene = pixel_aligned_scene(8, 0)
    with pytest.raises(DependencyError, match="litesplat, mitsuba"):
        alternative_seconds("no_such_rasterizer", scene, middle_camera(8))


def test_our_call_is_timed_beside_gsplats_own() -> None:
    modes: list[str] = []

    def fake(**arguments: Any) -> None:
        modes.append(arguments["render_mode"])
        assert arguments["colors"].shape == (1, 512, 3)

    found = bench_gsplat(fake, 16, 2, 0, CPU)  # type: ignore[arg-type]
    assert set(modes) == {"RGB"} and len(modes) == 4
    assert min(found.plain_rgb_s, found.rgb_s, found.features_s, found.picks_s) > 0
