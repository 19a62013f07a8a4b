"""Patches, pooling, fusion and the whole Point Transformer V3."""

from __future__ import annotations

import pytest
import torch

from lsm_core.points.fusion import FusionBlock
from lsm_core.points.patch_attention import PatchAttention
from lsm_core.points.point_set import max_over_clusters, pooled, serialized
from lsm_core.points.ptv3 import FusionConfig, PointTransformer, PointTransformerConfig

SMALL = PointTransformerConfig(
    grid_size=0.05,
    enc_depths=(1, 1, 2),
    enc_channels=(8, 16, 32),
    enc_heads=(2, 2, 4),
    enc_patches=(32, 32, 32),
    dec_depths=(1, 1),
    dec_channels=(16, 16),
    dec_heads=(2, 4),
    dec_patches=(32, 32),
    fusion=FusionConfig(12, 10, 4, 2),
)


def cloud(count: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(count, 3, generator=torch.Generator().manual_seed(seed)) * 2 - 1


@torch.no_grad()
def test_a_patch_larger_than_the_sample_is_plain_attention() -> None:
    attention, x = PatchAttention(8, 2, 64), torch.randn(20, 8)
    order = torch.randperm(20)
    inverse = torch.empty_like(order)
    inverse[order] = torch.arange(20)
    shuffled = attention(x, order, [20])
    torch.testing.assert_close(shuffled, attention(x, torch.arange(20), [20]), atol=1e-6, rtol=1e-5)


@torch.no_grad()
def test_the_last_patch_borrows_from_the_one_before() -> None:
    attention, x = PatchAttention(8, 2, 8), torch.randn(11, 8)
    found = attention(x, torch.arange(11), [11])
    borrowed = torch.cat((x[8:], x[3:8]))  # places 11 to 15 take the points 8 places earlier
    alone = attention(borrowed, torch.arange(8), [8])
    torch.testing.assert_close(found[8:], alone[:3], atol=1e-6, rtol=1e-5)


def test_pooling_joins_the_points_of_each_double_cell() -> None:
    points = serialized(torch.zeros(300, 1), cloud(300), [200, 100], 0.1, torch.arange(4))
    found = pooled(points, torch.arange(4))
    cells = torch.cat((points.batch[:, None], points.grid.long() >> 1), 1)
    assert len(found.points.batch) == len(cells.unique(dim=0)) == int(found.cluster.max()) + 1
    again = torch.cat((found.points.batch[:, None], found.points.grid.long()), 1)[found.cluster]
    assert torch.equal(again, cells)
    values = torch.randn(300, 2)
    highest = max_over_clusters(values, found.cluster, len(found.points.batch))
    assert torch.equal(highest[5], values[found.cluster == 5].amax(0))


@torch.no_grad()
def test_samples_padded_together_fuse_as_each_alone() -> None:
    block = FusionBlock(16, 4).eval()
    x, memory = torch.randn(12, 16), torch.randn(2, 5, 16)
    together = block(x, [5, 7], memory)
    alone = torch.cat((block(x[:5], [5], memory[:1]), block(x[5:], [7], memory[1:])))
    torch.testing.assert_close(together, alone, atol=1e-6, rtol=1e-5)


@pytest.fixture(scope="module")
def model() -> PointTransformer:
    torch.manual_seed(0)
    return PointTransformer(SMALL).eval()


@torch.no_grad()
def run(model: PointTransformer, seed: int, count: int = 400) -> torch.Tensor:
    points = cloud(count)
    tokens = (torch.ones(1, 4, 12), torch.ones(1, 3, 10))
    permutations = model.permutations(torch.Generator().manual_seed(seed))
    out: torch.Tensor = model(torch.cat((points, points), 1), points, [count], permutations, *tokens)
    return out


def test_the_same_seed_gives_the_same_and_another_does_not(model: PointTransformer) -> None:
    assert torch.equal(run(model, 1), run(model, 1))
    assert not torch.allclose(run(model, 1), run(model, 2), atol=1e-5)


def test_features_come_back_in_the_order_of_the_points(model: PointTransformer) -> None:
    # Curves do not depend on the order of the points where no voxel is shared, so shuffling shuffles the result.
    points = torch.unique((cloud(300) / 0.05).floor(), dim=0)[:200] * 0.05 + 0.02
    shuffle = torch.randperm(len(points), generator=torch.Generator().manual_seed(4))
    tokens = (torch.ones(1, 4, 12), torch.ones(1, 3, 10))
    permutations = [torch.arange(4)] * 3
    with torch.no_grad():
        a = model(torch.cat((points, points), 1), points, [len(points)], permutations, *tokens)
        moved = points[shuffle]
        b = model(torch.cat((moved, moved), 1), moved, [len(points)], permutations, *tokens)
    torch.testing.assert_close(a[shuffle], b, atol=1e-4, rtol=1e-4)


def test_the_default_sizes_have_the_parameters_of_the_release() -> None:
    with torch.device("meta"):
        full = PointTransformer(PointTransformerConfig(fusion=FusionConfig()))
    assert sum(p.numel() for p in full.parameters()) == 33_689_888
