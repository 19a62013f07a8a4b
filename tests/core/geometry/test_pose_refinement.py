"""Poses found again by what they show: descent as NoPoSplat does it, and Gauss-Newton."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from lsm_core.errors import InputError, UnsupportedError
from lsm_core.geometry import pose_gauss_newton, se3_exp, update_pose
from lsm_core.geometry.gaussian_pnp import pose_from_centres
from lsm_core.geometry.photometric import PhotometricWeights
from lsm_core.geometry.pose_gauss_newton import align_camera
from lsm_core.geometry.pose_refinement import ALIGN, RefineOptions, refine_cameras
from lsm_core.geometry.refined_prediction import EXTRA, METHODS, RefineMethod, refine_prediction
from lsm_core.geometry.se3 import invert, rotation_angle
from lsm_core.nn.lpips import Lpips
from lsm_core.render import render
from lsm_core.sh import C0
from lsm_core.types import Camera, Gaussians, Prediction

SIZE = (40, 48)
K = torch.tensor([[44.0, 0, 23.5], [0, 44.0, 19.5], [0, 0, 1]])
OFF = torch.tensor([0.03, -0.02, 0.02, 0.01, 0.015, -0.01])
TRUE = update_pose(torch.eye(4), torch.tensor([-0.2, 0.03, 0.05, 0.02, -0.06, 0.01]))


def wall(seed: int = 0) -> tuple[Gaussians, Tensor]:
    """Return a bumpy, smoothly coloured wall, one Gaussian per pixel of camera 0, and its points [h, w, 3]."""
    h, w = SIZE
    g = torch.Generator().manual_seed(seed)
    small = torch.rand(1, 4, 6, 7, generator=g)
    smooth = torch.nn.functional.interpolate(small, SIZE, mode="bicubic", align_corners=True)[0].clamp(0, 1)
    y, x = torch.meshgrid(torch.arange(h) - 19.5, torch.arange(w) - 23.5, indexing="ij")
    z = 2 + smooth[3]
    points = torch.stack([x / 44 * z, y / 44 * z, z], -1)
    n = h * w
    scene = Gaussians(
        points.reshape(n, 3),
        torch.tensor([1.0, 0, 0, 0]).expand(n, 4),
        torch.full((n, 3), 0.03),
        torch.full((n,), 0.9),
        ((smooth[:3].reshape(3, n).T - 0.5) / C0)[:, None],
    )
    return scene, points


def camera(T_scene_cam: Tensor) -> Camera:
    return Camera(K, SIZE[1], SIZE[0], T_scene_cam)


def off(found: Camera | Tensor, true: Tensor = TRUE) -> tuple[float, float]:
    """Return (degrees, units) between a pose and the true one."""
    pose = found.T_scene_cam if isinstance(found, Camera) else found
    D = invert(pose.double()) @ true.double()
    return math.degrees(float(rotation_angle(D[:3, :3]))), float(D[:3, 3].norm())


@pytest.fixture(scope="module")
def scene() -> Gaussians:
    return wall()[0]


@pytest.fixture(scope="module")
def image(scene: Gaussians) -> Tensor:
    return render(scene, camera(TRUE)).rgb


START = camera(update_pose(TRUE, OFF))


def test_steps_are_adam_with_moments_kept_over_reset_twists(scene: Gaussians, image: Tensor) -> None:
    """Adam written out, on the readable rasterizer in float64."""
    options = RefineOptions(steps=4, weights=PhotometricWeights(lpips=0, structure=0), unit=2.0)
    found = refine_cameras(scene, [START], [image], options)
    scene64 = Gaussians(scene.means.double(), scene.quats.double(), scene.scales.double(),
                        scene.opacities.double(), scene.sh.double())  # fmt: skip
    T, m, v = invert(START.T_scene_cam.double()), torch.zeros(6).double(), torch.zeros(6).double()
    rates = 0.005 * torch.tensor([2.0, 2, 2, 1, 1, 1]).double()  # shifts in units
    losses = []
    for step in range(1, 5):
        twist = torch.zeros(6, dtype=torch.float64, requires_grad=True)
        at = replace(camera(invert(se3_exp(twist) @ T)), K=K.double())
        loss = ((render(scene64, at, rasterizer="reference").rgb - image.double()) ** 2).mean()
        losses.append(float(loss.detach()))
        (g,) = torch.autograd.grad(loss, twist)
        g = g * torch.tensor([2.0, 2, 2, 1, 1, 1])  # by the shift counted in units
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        T = se3_exp(-rates * (m / (1 - 0.9**step)) / ((v / (1 - 0.999**step)).sqrt() + 1e-8)) @ T
    assert found.losses[:4] == pytest.approx(losses, rel=1e-3)
    assert found.steps == 4 and len(found.losses) == 5
    torch.testing.assert_close(found.cameras[0].T_cam_scene.double(), T, atol=2e-4, rtol=0)


def test_descent_finds_the_pose_again(scene: Gaussians, image: Tensor) -> None:
    found = refine_cameras(scene, [START], [image])
    assert not found.lpips and found.steps == 200
    degrees, units = off(found.cameras[0])
    assert degrees < 0.25 * off(START)[0] and units < 0.25 * off(START)[1]


def test_patience_stops_early_at_the_best_pose(scene: Gaussians, image: Tensor) -> None:
    found = refine_cameras(scene, [START], [image], RefineOptions(patience=15))
    assert found.steps < 120 and off(found.cameras[0])[1] < 0.5 * off(START)[1]
    at_best = refine_cameras(scene, found.cameras, [image], RefineOptions(steps=1)).losses[0]
    assert at_best == pytest.approx(min(found.losses), rel=1e-5)


def test_cameras_moved_together_move_as_if_alone(scene: Gaussians, image: Tensor) -> None:
    other_true = update_pose(TRUE, 3 * OFF)
    other = render(scene, camera(other_true)).rgb
    starts = [START, camera(update_pose(other_true, -OFF))]
    options = replace(ALIGN, steps=15)
    both = refine_cameras(scene, starts, [image, other], options)
    for view, (start, target) in enumerate(zip(starts, (image, other), strict=True)):
        alone = refine_cameras(scene, [start], [target], options).cameras[0]
        torch.testing.assert_close(both.cameras[view].T_scene_cam, alone.T_scene_cam, atol=2e-4, rtol=0)


def test_lpips_is_part_of_the_loss_where_given(scene: Gaussians, image: Tensor) -> None:
    torch.manual_seed(0)
    network = Lpips().eval().requires_grad_(False)
    options = RefineOptions(steps=1)
    with_it = refine_cameras(scene, [START], [image], options, network)
    without = refine_cameras(scene, [START], [image], options)
    drawn = render(scene, START).rgb.permute(2, 0, 1)[None]
    term = 0.05 * float(network(drawn, image.permute(2, 0, 1)[None]))
    assert with_it.lpips and with_it.losses[0] - without.losses[0] == pytest.approx(term, rel=1e-2)


@pytest.mark.parametrize("method", METHODS)
def test_what_was_made_in_inference_mode_can_be_refined_and_is_not_changed(method: RefineMethod) -> None:
    with torch.inference_mode():
        prediction = predicted(start=update_pose(TRUE, OFF))
        before = prediction.gaussians.means.clone() if prediction.gaussians else None
        pose = prediction.poses[1].clone()
        found = refine_prediction(prediction, method, RefineOptions(patience=15))
    assert off(found.poses[1])[0] < 0.3 * off(pose)[0]
    assert prediction.gaussians is not None and torch.equal(prediction.gaussians.means, before)
    assert torch.equal(prediction.poses[1], pose) and torch.equal(found.poses[0], torch.eye(4))


def test_gauss_newton_finds_the_pose_again_with_few_drawings(scene: Gaussians, image: Tensor) -> None:
    found = align_camera(scene, START, image)
    assert off(found.camera)[0] < 0.02 and off(found.camera)[1] < 1e-3
    assert len(found.losses) <= 8 and found.losses[-1] < 0.01 * found.losses[0]


def test_gauss_newton_never_leaves_a_pose_for_a_worse_one(
    scene: Gaussians, image: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = se3_exp(torch.tensor([0.4, 0, 0, 0, 0, 0]).double())
    monkeypatch.setattr(pose_gauss_newton, "_motion", lambda *_: (away, 1.0))
    found = align_camera(scene, camera(TRUE), image)
    assert len(found.losses) == 2 and found.losses[1] > found.losses[0]
    assert torch.equal(found.camera.T_scene_cam, TRUE)


def test_gauss_newton_stays_where_nothing_can_be_seen(scene: Gaussians, image: Tensor) -> None:
    nowhere = camera(se3_exp(torch.tensor([0.0, 0, 50, 0, 0, 0])))  # behind all there is
    assert torch.equal(align_camera(scene, nowhere, image).camera.T_scene_cam, nowhere.T_scene_cam)


def predicted(start: Tensor, valid: bool = True) -> Prediction:
    """Return a prediction of the wall by cameras at the origin and at `TRUE`, which it says is at `start`."""
    scene, points = wall()
    h, w = SIZE
    colors = [(255 * render(scene, camera(T)).rgb).round().byte().numpy() for T in (torch.eye(4), TRUE)]
    depth = render(scene, camera(TRUE)).depth
    y, x = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
    seen = torch.stack([(x - 23.5) / 44, (y - 19.5) / 44, torch.ones(h, w)], -1) * depth[..., None]
    second = seen @ TRUE[:3, :3].T + TRUE[:3, 3]
    return Prediction(
        backend="wall",
        unit="relative",
        image_sizes=[SIZE, SIZE],
        pointmaps=[points, second],
        confidence=[torch.ones(h, w)] * 2,
        poses=[torch.eye(4), start],
        pose_valid=[True, valid],
        validity=1.0,
        intrinsics=[K, K],
        grid_to_image=[torch.eye(3)] * 2,
        colors=[np.ascontiguousarray(c) for c in colors],
        gaussians=scene,
    )


def test_pnp_on_centres_gives_the_coarse_pose() -> None:
    found = pose_from_centres(predicted(TRUE), 1)
    assert off(found.T_scene_cam)[0] < 0.5 and off(found.T_scene_cam)[1] < 0.02
    with pytest.raises(InputError, match="no view 2"):
        pose_from_centres(predicted(TRUE), 2)


def test_a_view_without_a_pose_starts_from_pnp() -> None:
    found = refine_prediction(predicted(torch.full((4, 4), torch.nan), valid=False), "gauss-newton")
    (record,) = found.extras[EXTRA]
    assert found.pose_valid == [True, True] and record.coarse == "pnp" and off(found.poses[1])[0] < 0.1
    assert record.psnr_after >= record.psnr_before


def test_errors_name_cause_and_fix(scene: Gaussians, image: Tensor) -> None:
    with pytest.raises(InputError, match="one image per camera"):
        refine_cameras(scene, [START, START], [image])
    with pytest.raises(InputError, match="resized"):
        refine_cameras(scene, [START], [image[1:]])
    with pytest.raises(InputError, match="adam or gauss-newton"):
        refine_prediction(predicted(TRUE), "newton")  # type: ignore[arg-type]
    with pytest.raises(UnsupportedError, match="no Gaussians"):
        refine_prediction(replace(predicted(TRUE), gaussians=None))
