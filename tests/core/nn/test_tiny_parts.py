"""Attention, matching, epipolar lines, upsampling and the language head against plain twins."""

from __future__ import annotations

import math

import torch
from torch.nn import functional as F

from lsm_core.nn.tiny.attention import attend, swap_views
from lsm_core.nn.tiny.decoder import convex_upsample, convex_weights
from lsm_core.nn.tiny.epipolar import epipolar_profile, log_offsets
from lsm_core.nn.tiny.matching import correlation, local_expectation, mutual_matches, unit_descriptors
from lsm_core.nn.tiny.rays import cell_centres, intrinsics_from_log_focal, rays_from_intrinsics
from lsm_core.nn.tiny.semantics import TextHead


def test_written_out_attention_equals_the_fused_kernel() -> None:
    q, k, v = (torch.randn(2, 3, 11, 8) for _ in range(3))
    written_out = attend(q.clone().requires_grad_(), k, v)
    torch.testing.assert_close(written_out, F.scaled_dot_product_attention(q, k, v), atol=1e-5, rtol=1e-4)


def test_swapping_views_twice_is_the_identity() -> None:
    x = torch.randn(6, 2)
    assert torch.equal(swap_views(swap_views(x)), x)
    assert torch.equal(swap_views(x)[:3], x[3:])


def test_correlation_of_the_second_view_is_the_transpose() -> None:
    similarity = correlation(unit_descriptors(torch.randn(4, 8, 3, 5)))
    assert similarity.shape == (4, 15, 15)
    torch.testing.assert_close(similarity[2:], similarity[:2].transpose(1, 2))


def test_mutual_matches_recover_a_shift() -> None:
    height, width, shift = 6, 8, 2
    descriptors = torch.randn(1, 32, height, width)
    other = torch.roll(descriptors, shift, dims=3)
    logits = 30 * correlation(unit_descriptors(torch.cat((descriptors, other))))[0]
    found = mutual_matches(logits, torch.ones(2, height * width), height, width, 0.1)
    inside = found.cell_0 % width < width - shift
    assert int(inside.sum()) == height * (width - shift)
    assert torch.equal(found.cell_1[inside], found.cell_0[inside] + shift)
    expected_x = (found.cell_0[inside] % width + shift).float()
    torch.testing.assert_close(found.xy_1[inside, 0], expected_x, atol=0.05, rtol=0)


def test_cells_that_are_not_matchable_give_no_matches() -> None:
    descriptors = torch.randn(1, 32, 4, 4)
    logits = 30 * correlation(unit_descriptors(torch.cat((descriptors, descriptors))))[0]
    matchable = torch.ones(2, 16)
    matchable[0, :8] = 0.0
    found = mutual_matches(logits, matchable, 4, 4, 0.1)
    assert set(found.cell_0.tolist()) == set(range(8, 16))


def test_local_expectation_is_sub_cell() -> None:
    probability = torch.zeros(1, 1, 20)
    probability[0, 0, 7], probability[0, 0, 8] = 0.75, 0.25  # row 1, columns 2 and 3 of width 5
    torch.testing.assert_close(local_expectation(probability, 4, 5)[0, 0], torch.tensor([2.25, 1.0]))


def test_epipolar_profile_peaks_at_the_true_depth() -> None:
    """A fronto-parallel plane at 2 m seen after moving 0.4 m sideways, 2 cells; the first guess is 30 % off."""
    h, w, stride, true_depth, offset = 6, 12, 8, 2.0, 0.35
    K = torch.tensor([[80.0, 0, 47.5], [0, 80.0, 23.5], [0, 0, 1]])[None]
    T = torch.eye(4)[None].clone()
    T[0, 0, 3] = -0.4
    like = torch.zeros(1)
    rays = rays_from_intrinsics(K, cell_centres(h, w, stride, like))
    shift_cells = 80.0 * -0.4 / true_depth / stride
    columns = torch.arange(w).float()
    target = columns[:, None] + shift_cells
    row_similarity = torch.exp(-((target - columns[None]) ** 2) / 0.5)  # [own column, other column]
    similarity = torch.zeros(1, h * w, h * w)
    for y in range(h):
        rows = slice(y * w, (y + 1) * w)
        similarity[0, rows, rows] = row_similarity
    log_depth = torch.full((1, 1, h, w), math.log(true_depth) - offset)
    offsets = log_offsets(25, 0.84, like)  # step 0.07: 0.35 is a hypothesis
    profile, visible = epipolar_profile(similarity, log_depth, rays, T, K, offsets, stride)
    best = offsets[profile.argmax(dim=1)][0]
    torch.testing.assert_close(best[:, 6:], torch.full((h, w - 6), offset), atol=0.071, rtol=0)
    assert not bool(visible[0, :, :, 0].any()), "the first column leaves the other view"


def test_convex_upsampling_keeps_constants_and_range() -> None:
    weights = convex_weights(torch.randn(2, 36, 5, 7))
    constant = convex_upsample(torch.full((2, 1, 5, 7), 3.5), weights)
    torch.testing.assert_close(constant, torch.full((2, 1, 10, 14), 3.5))
    x = torch.rand(2, 4, 5, 7)
    fine = convex_upsample(x, weights)
    assert float(fine.min()) >= float(x.min()) and float(fine.max()) <= float(x.max()) + 1e-6


def test_convex_upsampling_puts_each_cell_where_it_belongs() -> None:
    centre_only = torch.full((1, 9, 2, 2, 3, 4), -50.0)
    centre_only[:, 4] = 50.0
    x = torch.arange(12.0).view(1, 1, 3, 4)
    fine = convex_upsample(x, convex_weights(centre_only.view(1, 36, 3, 4)))
    torch.testing.assert_close(fine, F.interpolate(x, scale_factor=2, mode="nearest"))


def test_text_similarity_without_decoding_equals_decoding_first() -> None:
    head = TextHead(16, 40)
    features, texts = torch.randn(3, 5, 16), F.normalize(torch.randn(7, 40), dim=-1)
    torch.testing.assert_close(head.similarity(features, texts), head(features) @ texts.T, atol=1e-5, rtol=1e-4)


def test_intrinsics_from_the_focal_guess_are_centred() -> None:
    K = intrinsics_from_log_focal(torch.tensor([math.log(0.9)]), 192, 256)[0]
    torch.testing.assert_close(K, torch.tensor([[230.4, 0, 127.5], [0, 230.4, 95.5], [0, 0, 1]]))
