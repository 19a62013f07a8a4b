"""The two-stream backbone: more views, orientations, and what may not leak from one view to another."""

from __future__ import annotations

import pytest
import torch

from lsm_core.nn.croco import CrocoBackbone, CrocoConfig
from lsm_core.nn.dust3r import Dust3r, Dust3rConfig
from lsm_core.nn.mixed_orientation import decode_mixed, embed_mixed
from lsm_core.nn.rope import apply_rope, grid_positions, rope_tables

SMALL = CrocoConfig(enc_dim=32, enc_depth=2, enc_heads=4, dec_dim=24, dec_depth=4, dec_heads=3)


def images(views: int, height: int = 32, width: int = 48, batch: int = 1) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    return [torch.randn(batch, 3, height, width, generator=generator) for _ in range(views)]


@pytest.fixture(scope="module")
def model() -> Dust3r:
    torch.manual_seed(1)
    sizes = Dust3rConfig(SMALL, layer_dims=(4, 8, 8, 8), feature_dim=8, last_dim=4)
    return Dust3r(sizes).eval()


def test_rope_depends_on_the_difference_of_positions_only() -> None:
    q, k = torch.randn(2, 1, 1, 6, 16).unbind(0)
    positions = grid_positions(2, 3)[None]
    near, far = (rope_tables(positions + shift, 16) for shift in (0, 7))
    scores = [apply_rope(q, t) @ apply_rope(k, t).transpose(-1, -2) for t in (near, far)]
    torch.testing.assert_close(scores[0], scores[1], atol=1e-5, rtol=1e-5)
    assert not torch.allclose(scores[0], q @ k.transpose(-1, -2), atol=1e-2)


@torch.no_grad()
def test_three_views_of_which_two_are_alike_are_treated_alike(model: Dust3r) -> None:
    first, other = images(2)
    layers = model.decode([model.encode(v) for v in (first, other, other)])
    torch.testing.assert_close(layers[1][-1], layers[2][-1])
    assert len(layers) == 3 and len(layers[0]) == SMALL.dec_depth + 1


@torch.no_grad()
def test_each_view_sees_the_others(model: Dust3r) -> None:
    a, b, c = images(3)
    alone = model.decode([model.encode(v) for v in (a, b)])
    together = model.decode([model.encode(v) for v in (a, b, c)])
    for v in (0, 1):
        assert not torch.allclose(alone[v][-1], together[v][-1], atol=1e-4)


@torch.no_grad()
def test_encoding_in_a_batch_or_alone_is_the_same(model: Dust3r) -> None:
    (batch,) = images(1, batch=3)
    together = model.encode(batch).tokens
    alone = torch.cat([model.encode(image[None]).tokens for image in batch])
    torch.testing.assert_close(together, alone, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize(("height", "width"), [(32, 32), (32, 48), (48, 32), (16, 80)])
@torch.no_grad()
def test_pointmaps_have_the_size_of_the_image(model: Dust3r, height: int, width: int) -> None:
    found = model(images(2, height, width))
    for view in found:
        assert view.points.shape == (1, height, width, 3) and view.confidence.shape == (1, height, width)
        assert bool((view.confidence > 1).all()) and bool(view.points.isfinite().all())


@torch.no_grad()
def test_views_of_different_sizes_go_together(model: Dust3r) -> None:
    found = model([images(1, 32, 48)[0], images(1, 48, 32)[0]])
    assert found[0].points.shape[1:3] == (32, 48) and found[1].points.shape[1:3] == (48, 32)


@torch.no_grad()
def test_a_portrait_sample_stored_landscape_gives_what_it_gives_upright(model: Dust3r) -> None:
    stored = images(1, 32, 48, batch=2)[0]
    true_shape = torch.tensor([[32, 48], [48, 32]])
    views = [model.encode_tokens(*embed_mixed(model.patch_embed, stored, true_shape))] * 2
    layers = model.decode(views)
    raw = decode_mixed(lambda tokens, size: model.head(0, tokens, size), layers[0], true_shape, (32, 48))
    for sample, upright in ((0, stored[:1]), (1, stored[1:].transpose(2, 3))):
        alone = model.decode([model.encode(upright)] * 2)
        expected = model.head(0, alone[0], (upright.shape[2], upright.shape[3]))
        expected = expected.transpose(2, 3) if sample == 1 else expected
        torch.testing.assert_close(raw[sample : sample + 1], expected, atol=1e-4, rtol=1e-3)


def test_the_default_sizes_have_the_parameters_of_the_release() -> None:
    with torch.device("meta"):
        backbone = CrocoBackbone(CrocoConfig())
        full = Dust3r(Dust3rConfig())
    assert sum(p.numel() for p in backbone.parameters()) < sum(p.numel() for p in full.parameters())
    # The release has 571,171,208 with the mask token (768) and the two units that are stored and never used.
    unused = 2 * 2 * (256 * 256 * 9 + 256)
    assert sum(p.numel() for p in full.parameters()) + 768 + unused == 571_171_208


@torch.no_grad()
@pytest.mark.parametrize("batch", [1, 2])
def test_both_decoders_at_once_give_what_one_after_the_other_gives(batch: int) -> None:
    torch.manual_seed(2)
    backbone = CrocoBackbone(SMALL).eval()
    for parameter in backbone.parameters():
        if parameter.ndim == 1:
            parameter.normal_(std=0.3)  # norms and biases that differ between the decoders
    views = [backbone.encode(image) for image in images(2, batch=batch)]
    single = backbone.decode(views)
    size = sum(p.untyped_storage().nbytes() for p in backbone.parameters())
    backbone.pair_decoders()
    paired = backbone.decode(views)
    for ours, theirs in zip(paired, single, strict=True):
        for a, b in zip(ours, theirs, strict=True):
            torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)
    held = {p.untyped_storage().data_ptr(): p.untyped_storage().nbytes() for p in backbone.parameters()}
    assert sum(held.values()) < 1.02 * size
    blocks = backbone.dec_blocks
    assert all(block.mlp.fc1.weight.data_ptr() in held for block in blocks)
    other = backbone.encode(images(1, 48, 48, batch)[0])
    assert backbone.decode([views[0], other])[1][-1].shape[1] == 9  # of another grid: as before
