"""Gradients: the reference against finite differences in float64, the CPU's against the reference."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from raster_scenes import camera, random_scene
from torch import Tensor

from lsm_core.geometry.se3 import se3_exp
from lsm_core.render import RasterizerName, reference, render
from lsm_core.types import Camera, Gaussians, RenderResult

NAMES = ("means", "quats", "scales", "opacities", "sh", "features")
START = torch.tensor([0.1, -0.05, 0.2, 0.05, -0.1, 0.03])
BACKGROUND = (0.2, 0.5, 0.7)


def leaves_of(scene: Gaussians, dtype: torch.dtype) -> dict[str, Tensor]:
    """Return the attributes of a scene and a camera twist, as leaves."""
    tensors = {name: getattr(scene, name) for name in NAMES} | {"pose": START}
    return {name: tensor.to(dtype).clone().requires_grad_() for name, tensor in tensors.items()}


def drawn(leaves: dict[str, Tensor], view: Camera, name: RasterizerName) -> RenderResult:
    scene = Gaussians(**{key: leaves[key] for key in NAMES})
    placed = replace(view, T_scene_cam=se3_exp(leaves["pose"]), K=view.K.to(leaves["pose"]))
    return render(scene, placed, features=True, background=BACKGROUND, rasterizer=name)


def loss(out: RenderResult) -> Tensor:
    """Weigh everything that is drawn with fixed random numbers."""
    generator = torch.Generator().manual_seed(7)
    parts = (out.rgb, out.features, out.depth, out.alpha)
    return sum(  # type: ignore[return-value]
        (part * torch.rand(part.shape, generator=generator).to(part)).sum() for part in parts if part is not None
    )


def gradients(scene: Gaussians, view: Camera, name: RasterizerName, dtype: torch.dtype) -> dict[str, Tensor]:
    leaves = leaves_of(scene, dtype)
    loss(drawn(leaves, view, name)).backward()
    return {key: leaf.grad for key, leaf in leaves.items() if leaf.grad is not None}


@pytest.fixture()
def smooth(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the steps out of the reference, which finite differences cannot see past."""
    monkeypatch.setattr(reference, "ALPHA_MIN", 0.0)
    monkeypatch.setattr(reference, "TRANSMITTANCE_MIN", 0.0)


@pytest.mark.parametrize("attribute", [*NAMES, "pose"])
@pytest.mark.usefixtures("smooth")
def test_reference_equals_finite_differences(attribute: str) -> None:
    scene = random_scene(5, count=12, degree=2, feature_dim=3)
    scene = replace(scene, means=scene.means.abs() * 0.4 + torch.tensor([-0.5, -0.5, 2.0]), sh=scene.sh * 0.2)
    scene = replace(scene, opacities=0.1 + 0.8 * scene.opacities)
    view = camera(width=18, height=14, focal=12.0)
    analytic = gradients(scene, view, "reference", torch.float64)[attribute]
    generator, step = torch.Generator().manual_seed(1), 1e-6
    for _ in range(3):
        direction = torch.randn(analytic.shape, generator=generator, dtype=torch.float64)
        sides = []
        for sign in (1, -1):
            leaves = {key: leaf.detach() for key, leaf in leaves_of(scene, torch.float64).items()}
            leaves[attribute] = leaves[attribute] + sign * step * direction
            sides.append(float(loss(drawn(leaves, view, "reference"))))
        numeric = (sides[0] - sides[1]) / (2 * step)
        assert numeric == pytest.approx(float((analytic * direction).sum()), rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_cpu_equals_the_reference(seed: int) -> None:
    scene = random_scene(seed, count=300, degree=seed)
    if seed == 3:  # opaque ones in front: alpha at its maximum, pixels that end
        scene = replace(scene, opacities=torch.ones_like(scene.opacities), scales=scene.scales * 2)
    expected = gradients(scene, camera(), "reference", torch.float64)
    got = gradients(scene, camera(), "cpu", torch.float32)
    assert set(got) == set(expected) == {*NAMES, "pose"}
    for name, gradient in expected.items():
        error = (got[name] - gradient).norm() / gradient.norm()
        assert error < 1e-4, f"{name}: {error}"


def test_cpu_pose_gradient_equals_finite_differences() -> None:
    """To some per cent only: the edges at alpha 1/255 move, and no gradient sees that."""
    scene = random_scene(8, count=60, degree=1)
    scene = replace(scene, scales=scene.scales.clamp(min=0.2), means=scene.means + torch.tensor([0.0, 0.0, 2.0]))
    ramp = torch.linspace(0, 1, 70)[None, :, None] * torch.tensor([1.0, -0.5, 0.3])

    def score(twist: Tensor) -> Tensor:
        return (render(scene, replace(camera(), T_scene_cam=se3_exp(twist)), rasterizer="cpu").rgb * ramp).sum()

    twist = START.clone().requires_grad_()
    score(twist).backward()
    assert twist.grad is not None
    for k in range(6):
        shift = 2e-3 * torch.eye(6)[k]
        numeric = float((score(START + shift).double() - score(START - shift).double()) / 4e-3)
        assert numeric == pytest.approx(float(twist.grad[k]), abs=0.08 * float(twist.grad.norm()))


@pytest.mark.parametrize("name", ["reference", "cpu"])
def test_gradients_of_one_attribute_alone(name: RasterizerName) -> None:
    scene = random_scene(6)
    sh = scene.sh.clone().requires_grad_()
    out = render(replace(scene, sh=sh), camera(), rasterizer=name)
    out.rgb.sum().backward()
    assert sh.grad is not None and sh.grad.abs().sum() > 0
    assert out.median_depth is not None and not out.median_depth.requires_grad


def test_a_camera_is_found_again_by_descent() -> None:
    """What the pose gradient is for: the view that a picture was taken from."""
    scene, view = random_scene(9, count=800, degree=0), camera()
    target = render(scene, view).rgb
    twist = torch.tensor([0.06, -0.04, 0.05, 0.02, 0.03, -0.02], requires_grad=True)
    optimizer = torch.optim.Adam([twist], lr=4e-3)
    for _ in range(60):
        optimizer.zero_grad()
        ((render(scene, replace(view, T_scene_cam=se3_exp(twist))).rgb - target) ** 2).mean().backward()
        optimizer.step()
    assert twist.detach().norm() < 0.01


def test_no_gradient_is_kept_where_none_is_wanted() -> None:
    scene = random_scene(6)
    wanted = replace(scene, means=scene.means.clone().requires_grad_())
    with torch.no_grad():
        assert not render(wanted, camera()).rgb.requires_grad
    assert not render(scene, camera()).rgb.requires_grad
