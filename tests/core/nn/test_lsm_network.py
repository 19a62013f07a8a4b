"""The Large Spatial Model at small sizes: the fast path against its twin, and what the head promises."""

from __future__ import annotations

import pytest
import torch

from lsm_core.nn.croco import CrocoConfig
from lsm_core.nn.dust3r import Dust3rConfig
from lsm_core.nn.gaussian_head import merge_points, point_spacing
from lsm_core.nn.lseg import LsegConfig
from lsm_core.nn.lsm import Lsm, LsmConfig, LsmOutput
from lsm_core.nn.vit import VitConfig
from lsm_core.points.ptv3 import FusionConfig, PointTransformerConfig
from lsm_core.sh import C0

SMALL = LsmConfig(
    Dust3rConfig(CrocoConfig(enc_dim=32, enc_depth=1, enc_heads=2, dec_dim=24, dec_depth=4, dec_heads=2),
                 (4, 8, 8, 8), 8, 4),
    LsegConfig(VitConfig(16, 4, 2, 4), (0, 1, 2, 3), (4, 4, 8, 8), 8, 20),
    PointTransformerConfig(
        enc_depths=(1, 1), enc_channels=(8, 16), enc_heads=(2, 2), enc_patches=(64, 64),
        dec_depths=(1,), dec_channels=(16,), dec_heads=(2,), dec_patches=(64,), fusion=FusionConfig(32, 20, 2, 2),
    ),
    feature_dim=6,
)  # fmt: skip


def images(height: int = 32, width: int = 32) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(5)
    return [torch.rand(1, 3, height, width, generator=generator) * 2 - 1 for _ in range(2)]


def model(reference: bool = False) -> Lsm:
    torch.manual_seed(2)
    return Lsm(SMALL, reference).eval()


@torch.no_grad()
def predicted(network: Lsm, views: list[torch.Tensor]) -> LsmOutput:
    found: LsmOutput = network([network.encode(v) for v in views], [torch.arange(4)] * 2)
    return found


@torch.no_grad()
def test_joined_linear_layers_give_what_the_reference_twin_gives() -> None:
    for image in images():
        fast, slow = model().encode(image), model(reference=True).encode(image)
        torch.testing.assert_close(fast.language, slow.language, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(fast.residual, slow.residual, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("height", "width"), [(32, 32), (32, 64), (64, 32)])
def test_each_pixel_gets_a_gaussian_at_its_point(height: int, width: int) -> None:
    found = predicted(model(), images(height, width))
    for points, gaussians in zip(found.pointmaps, found.gaussians, strict=True):
        assert torch.equal(gaussians.means, points.points)
        assert gaussians.features.shape == (1, height, width, SMALL.feature_dim)
        torch.testing.assert_close(gaussians.rotations.norm(dim=-1), torch.ones(1, height, width))
        assert bool(((gaussians.opacities > 0) & (gaussians.opacities < 1)).all())


def test_scales_stay_near_the_spacing_of_the_points() -> None:
    found = predicted(model(), images())
    median = point_spacing(found.merged.points).median()
    for gaussians in found.gaussians:
        assert bool((gaussians.scales >= 0.1 * median * 0.999).all())
        assert bool((gaussians.scales <= 3 * median * 1.001).all())


def test_the_constant_colour_starts_from_the_image() -> None:
    views = images()
    network = model()
    torch.nn.init.zeros_(network.gaussian_head.gaussian_proj.weight)
    torch.nn.init.zeros_(network.gaussian_head.gaussian_proj.bias)
    found = predicted(network, views)
    for image, gaussians in zip(views, found.gaussians, strict=True):
        rgb = 0.5 + C0 * gaussians.sh[..., 0, :]
        torch.testing.assert_close(rgb, image.permute(0, 2, 3, 1) * 0.5 + 0.5, atol=1e-6, rtol=1e-5)


def test_merging_brings_points_into_the_unit_cube_and_back() -> None:
    maps = [torch.randn(2, 4, 6, 3) * 5 + 3, torch.randn(2, 4, 6, 3)]
    merged = merge_points(maps, [torch.zeros(2, 3, 4, 6)] * 2)
    assert float(merged.coords.abs().max()) == pytest.approx(1.0)
    back = merged.coords.view(2, -1, 3) * merged.scale + merged.center
    torch.testing.assert_close(back, torch.cat([m.flatten(1, 2) for m in maps], 1), atol=1e-5, rtol=1e-5)
    assert merged.counts == [48, 48]


def test_the_default_sizes_have_the_parameters_of_the_release() -> None:
    with torch.device("meta"):
        full = Lsm(LsmConfig())
    assert sum(p.numel() for p in full.gaussian_head.parameters()) == 120 * 64 + 120
    assert full.feature_expansion.weight.shape == (512, 64, 1, 1)
    assert full.point_transformer.dust_feat_proj.weight.shape == (512, 1024)
