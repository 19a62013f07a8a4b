"""The gsplat wrapper against a stand-in, against gsplat's own torch code, and against gsplat on a GPU."""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
from gsplat_stand_in import rasterization as stand_in
from raster_scenes import NASTY, NEAR, assert_agree, camera, random_scene, uncertain_pixels
from torch import Tensor

from lsm_core.errors import DependencyError
from lsm_core.geometry.se3 import se3_exp
from lsm_core.render import get_rasterizer, rasterize_reference, render
from lsm_core.render.gsplat import rasterize_gsplat
from lsm_core.types import Camera, Gaussians

BACKGROUND = torch.tensor([0.2, 0.7, 1.0])
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
POSE = se3_exp(torch.tensor([0.1, -0.05, 0.2, 0.05, -0.1, 0.03]))


def scene_for_gsplat(seed: int, count: int = 300, degree: int = 2, feature_dim: int = 5) -> Gaussians:
    """Return a scene whose opacities stay below 0.99, where gsplat's maximum differs."""
    scene = random_scene(seed, count=count, degree=degree, feature_dim=feature_dim)
    return replace(scene, opacities=scene.opacities.clamp(max=0.98))


def compare(draw: Any, scene: Gaussians, views: list[Camera]) -> None:
    """Compare with the reference, on the processor."""
    for view, got in zip(views, draw(scene, views, BACKGROUND, features=True), strict=True):
        expected = rasterize_reference(scene, [view], BACKGROUND, features=True)[0]
        assert_agree(got, expected, uncertain_pixels(scene, view, BACKGROUND))


def test_arguments_and_results_are_mapped_as_gsplat_has_them() -> None:
    views = [camera(), camera(T_scene_cam=POSE), camera(width=40, height=30, near=1.0), camera(focal=80.0)]
    compare(partial(rasterize_gsplat, stand_in), scene_for_gsplat(0), views)


def test_a_gaussian_on_the_near_plane_is_left_out_there_too() -> None:
    scene = NASTY["on the near plane"](scene_for_gsplat(1, count=50))
    out = rasterize_gsplat(stand_in, scene, [camera(near=NEAR)], BACKGROUND)[0]
    assert out.alpha.max() == 0 and out.depth.max() == 0


def test_cameras_of_one_size_share_a_call() -> None:
    calls: list[int] = []

    def counting(**arguments: Any) -> tuple[Tensor, Tensor, dict[str, Any]]:
        calls.append(len(arguments["viewmats"]))
        return stand_in(**arguments)

    views = [camera(), camera(width=40), camera(T_scene_cam=POSE)]
    rasterize_gsplat(counting, scene_for_gsplat(2, count=20), views, BACKGROUND, picks=False)
    assert calls == [2, 1]


def test_gradients_pass_through_to_scene_and_camera() -> None:
    scene = scene_for_gsplat(3, count=40)
    twist = torch.zeros(6, requires_grad=True)
    features = torch.ones(40, 5, requires_grad=True)
    view = replace(camera(), T_scene_cam=se3_exp(twist))
    out = rasterize_gsplat(stand_in, replace(scene, features=features), [view], BACKGROUND, True, False)[0]
    (out.rgb.sum() + out.features.sum()).backward()  # type: ignore[union-attr]
    assert twist.grad is not None and twist.grad.norm() > 0
    assert features.grad is not None and features.grad.norm() > 0


def test_a_missing_gsplat_is_a_typed_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gsplat", None)
    with pytest.raises(DependencyError, match=r"lsm_core\[cuda\]"):
        get_rasterizer("gsplat")


def _pixels(
    means: Tensor,
    conics: Tensor,
    colors: Tensor,
    opacities: Tensor,
    width: int,
    height: int,
    tile: int,
    offsets: Tensor,
    members: Tensor,
    backgrounds: Tensor,
    **options: Any,
) -> tuple[Tensor, Tensor]:
    """Blend gsplat's tile lists pixel by pixel as its CUDA kernel does."""
    cameras, rows, columns = offsets.shape
    starts = [*offsets.flatten().tolist(), len(members)]
    flat = [t.flatten(0, 1) for t in (means, conics, colors)]
    image, alphas = torch.zeros(cameras, height, width, colors.shape[-1]), torch.zeros(cameras, height, width, 1)
    for place in range(cameras * rows * columns):
        c, row, column = place // (rows * columns), place // columns % rows, place % columns
        i = members[starts[place] : starts[place + 1]].long()
        y, x = torch.meshgrid(
            torch.arange(row * tile, min((row + 1) * tile, height)),
            torch.arange(column * tile, min((column + 1) * tile, width)),
            indexing="ij",
        )
        d = torch.stack([x, y], -1)[:, :, None] + 0.5 - flat[0][i]
        q = flat[1][i]
        sigma = 0.5 * (q[:, 0] * d[..., 0] ** 2 + q[:, 2] * d[..., 1] ** 2) + q[:, 1] * d[..., 0] * d[..., 1]
        alpha = (opacities.flatten()[i] * torch.exp(-sigma)).clamp(max=0.999)
        alpha = torch.where((sigma >= 0) & (alpha >= 1 / 255), alpha, 0.0)
        after = torch.cumprod(1 - alpha, -1)
        before = torch.cat([torch.ones_like(after[..., :1]), after[..., :-1]], -1)[..., : alpha.shape[-1]]
        weight = torch.where(after > 1e-4, before * alpha, 0.0)
        image[c, y, x] = weight @ flat[2][i] + (1 - weight.sum(-1))[..., None] * backgrounds[c]
        alphas[c, y, x, 0] = weight.sum(-1)
    return image, alphas


def test_gsplat_itself_with_its_torch_code_gives_what_the_reference_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything but gsplat's CUDA kernels: its entry, projection, tile lists; only the last loop is ours."""
    rendering = pytest.importorskip("gsplat.rendering")
    from gsplat.cuda import _torch_impl

    def projection(means: Tensor, covars: None, quats: Tensor, scales: Tensor, *args: Any, **options: Any) -> Any:
        covariances, _ = _torch_impl._quat_scale_to_covar_preci(quats, scales, True, False)
        kept = {name: options[name] for name in ("eps2d", "near_plane", "far_plane")}
        return _torch_impl._fully_fused_projection(means, covariances, *args, **kept)

    def tiles(means: Tensor, radii: Tensor, depths: Tensor, *args: Any, **options: Any) -> Any:
        return _torch_impl._isect_tiles(means, radii, depths, *args)

    monkeypatch.setattr(rendering, "fully_fused_projection", projection)
    monkeypatch.setattr(rendering, "isect_tiles", tiles)
    monkeypatch.setattr(rendering, "isect_offset_encode", _torch_impl._isect_offset_encode)
    monkeypatch.setattr(rendering, "rasterize_to_pixels", _pixels)
    views = [camera(), camera(T_scene_cam=POSE), camera(width=40, height=30, near=1.0)]
    compare(partial(rasterize_gsplat, rendering.rasterization), scene_for_gsplat(4, feature_dim=40), views)


@pytest.mark.gpu
@needs_gpu
@pytest.mark.parametrize("seed", range(4))
def test_gsplat_on_the_gpu_gives_what_the_reference_gives(seed: int) -> None:
    scene = scene_for_gsplat(seed, count=[10, 300, 2000, 50_000][seed], degree=seed % 4, feature_dim=64)
    scene = replace(scene, scales=scene.scales * [1, 1, 1, 0.2][seed])
    there = Gaussians(**{name: getattr(scene, name).cuda() for name in scene.__dataclass_fields__})
    views = [camera(), camera(T_scene_cam=POSE)]
    for view, found in zip(views, render(there, views, features=True, background=BACKGROUND), strict=True):
        got = replace(found, **{name: getattr(found, name).cpu() for name in found.__dataclass_fields__})
        expected = render(scene, view, features=True, background=BACKGROUND, rasterizer="reference")
        assert_agree(got, expected, uncertain_pixels(scene, view, BACKGROUND))


@pytest.mark.gpu
@needs_gpu
def test_gradients_of_gsplat_equal_the_references() -> None:
    names = ("means", "quats", "scales", "opacities", "sh", "features")
    scene, generator = scene_for_gsplat(6), torch.Generator().manual_seed(0)
    weights = torch.rand(50, 70, 8, generator=generator)

    def gradients(device: str, name: Any) -> list[Tensor]:
        leaves = [getattr(scene, part).to(device).clone().requires_grad_() for part in names]
        twist = torch.full((6,), 0.02, device=device, requires_grad=True)
        view = replace(camera(), T_scene_cam=se3_exp(twist))
        out = render(Gaussians(*leaves), view, features=True, rasterizer=name, picks=False)
        (torch.cat([out.rgb, out.features], -1) * weights.to(device)).sum().backward()  # type: ignore[list-item]
        return [leaf.grad.cpu() for leaf in [*leaves, twist] if leaf.grad is not None]

    expected, got = gradients("cpu", "reference"), gradients("cuda", "gsplat")
    assert len(got) == len(expected) == 7
    for a, b in zip(got, expected, strict=True):
        assert (a - b).norm() / b.norm() < 1e-3
