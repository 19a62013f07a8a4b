"""Family `camera_jacobian`: Gaussians on the image, and how they move with the camera."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from lsm_core.geometry.se3 import se3_exp
from lsm_core.parity.fixture import Fixture
from lsm_core.parity.registry import Family
from lsm_core.render.projection import camera_points, dilated_covariances, project_axes
from lsm_core.types import Camera, Gaussians, quat_from_matrix


def answer(fixture: Fixture, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Project, and differentiate by a twist (rho, theta) applied to the scene-to-camera transform."""
    stated = fixture.spec["hyper_parameters"]
    height, width = int(stated["H"]), int(stated["W"])
    fx, fy = width / 2 / stated["tan_fovx"], height / 2 / stated["tan_fovy"]
    K = torch.tensor([[fx, 0, (width - 1) / 2], [0, fy, (height - 1) / 2], [0, 0, 1]], dtype=torch.float64)
    scene = _gaussians(inputs["in.means"], inputs["in.covariances"])

    def projected(tau: Tensor) -> Tensor:
        T_cam_scene = se3_exp(tau) @ inputs["in.w2c"]
        camera = Camera(K, width, height, torch.linalg.inv(T_cam_scene))
        points = camera_points(scene.means, camera.T_cam_scene)
        uv = points[:, :2] / points[:, 2:] * K.diagonal()[:2] + K[:2, 2]
        xx, xy, yy, _ = dilated_covariances(project_axes(scene, points, camera))
        return torch.cat([uv, torch.stack([xx, xy, yy, points[:, 2]], 1)], 1)

    origin = torch.zeros(6, dtype=torch.float64)
    return {
        "out.u_v_c00_c01_c11_z": projected(origin),
        "out.jacobian_wrt_rho_theta": torch.autograd.functional.jacobian(projected, origin),
    }


def _gaussians(means: Tensor, covariances: Tensor) -> Gaussians:
    """Return Gaussians [N] with the axes of covariances [N, 3, 3]."""
    variances, axes = torch.linalg.eigh(covariances)
    axes = axes * torch.sign(torch.linalg.det(axes))[:, None, None]
    quats = torch.stack([quat_from_matrix(R) for R in axes])
    count = len(means)
    nothing = means.new_zeros(count, 1, 3)
    return Gaussians(means, quats, variances.clamp(min=0).sqrt(), means.new_ones(count), nothing)


FAMILIES = (Family("camera_jacobian", answer),)
