"""Views between real images: the camera's unit, the warp, and that the true depth draws the true picture."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from test_novel_views import HEIGHT, WIDTH, K, Perfect, look, pose

from lsm_core.evaluation.pairs import EvalPair, EvalView
from lsm_core.evaluation.target_alignment import released_alignment
from lsm_core.evaluation.view_synthesis import Between, camera_between, measure_between, warped
from lsm_core.geometry.pose_refinement import ALIGN
from lsm_core.geometry.se3 import relative


def between_views() -> Between:
    views = []
    for step in (0, 4):
        depth, rgb, _ = look(step)
        views.append(EvalView(f"{step}", rgb.numpy(), K, depth.float()))
    T = relative(pose(0), pose(4))
    return Between(EvalPair((views[0], views[1]), T, 0.8), look(2)[1].numpy(), K, relative(pose(0), pose(2)))


def test_a_model_that_knows_the_room_draws_and_warps_what_was_taken() -> None:
    found = measure_between(Perfect(), between_views(), known_intrinsics=True)
    assert found is not None
    assert found.drawn.psnr > 24 and found.moved.psnr > 24 and found.drawn.counted > 0.9
    assert found.drawn.ssim > 0.8
    assert len(found.given) == 2 and all(error.psnr > 24 and error.counted > 0.9 for error in found.given)


def test_what_is_drawn_beside_its_place_loses_and_the_warp_does_not() -> None:
    good, bad = (measure_between(Perfect(shift), between_views(), True) for shift in (0.0, 0.4))
    assert good is not None and bad is not None
    assert bad.drawn.psnr < good.drawn.psnr - 8
    assert bad.drawn.ssim < good.drawn.ssim
    # The points are where they were; other pixels are compared.
    assert bad.moved.psnr == pytest.approx(good.moved.psnr, abs=0.2)


def test_without_a_pose_nothing_is_drawn() -> None:
    assert measure_between(Perfect(found=False), between_views(), known_intrinsics=True) is None


def test_the_camera_is_in_the_unit_and_at_the_size_asked_for() -> None:
    between = between_views()
    prediction = Perfect().predict(None)
    camera = camera_between(prediction, between, (HEIGHT // 2, WIDTH // 2))
    assert camera is not None
    torch.testing.assert_close(camera.T_scene_cam[:3, 3] * 2.5, between.T_cam0_between[:3, 3].float())
    assert float(camera.K[0, 0]) == pytest.approx(25.0) and float(camera.K[0, 2]) == pytest.approx(15.5)
    unknown = replace(between.pair.views[0], depth=None)
    assert (
        camera_between(prediction, replace(between, pair=replace(between.pair, views=(unknown, unknown))), (9, 9))
        is None
    )


def test_the_nearest_point_wins() -> None:
    prediction = Perfect().predict(None)
    near = replace(prediction, pointmaps=[prediction.pointmaps[0], prediction.pointmaps[0] * 0.5])
    near.colors[1][:] = 255
    camera = camera_between(
        Perfect().predict(None), replace(between_views(), T_cam0_between=torch.eye(4).double()), (HEIGHT, WIDTH)
    )
    assert camera is not None
    rgb, hit = warped(near, camera)
    assert hit.mean() > 0.95 and (rgb[hit] == 1.0).all()


def test_alignment_wins_back_what_a_shifted_scene_loses() -> None:
    """The true camera is moved with the scene; the picture is then what was taken."""
    shifted = Perfect(0.1)
    align = released_alignment(torch.device("cpu"), replace(ALIGN, steps=40))
    plain, aligned = (measure_between(shifted, between_views(), True, way) for way in (None, align))
    assert plain is not None and aligned is not None
    assert aligned.drawn.psnr > plain.drawn.psnr + 2
