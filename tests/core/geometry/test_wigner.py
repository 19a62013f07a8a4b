"""The Wigner blocks are a representation of rotations and agree with the other harmonics of this library."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lsm_core.geometry import so3_exp
from lsm_core.geometry.wigner import rotate_coefficients, wigner_blocks
from lsm_core.sh import rotate_sh

vector = st.tuples(*[st.floats(-2.0, 2.0)] * 3)


def rotation(theta: tuple[float, ...]) -> torch.Tensor:
    return so3_exp(torch.tensor(theta, dtype=torch.float64))


@settings(max_examples=25)
@given(vector, vector)
def test_blocks_multiply_like_rotations_and_are_orthogonal(a: tuple[float, ...], b: tuple[float, ...]) -> None:
    R_a, R_b = rotation(a), rotation(b)
    for D_a, D_b, D_ab in zip(*(wigner_blocks(R, 5) for R in (R_a, R_b, R_a @ R_b)), strict=True):
        torch.testing.assert_close(D_a @ D_b, D_ab, atol=1e-9, rtol=0)
        torch.testing.assert_close(D_a @ D_a.T, torch.eye(len(D_a)).double(), atol=1e-9, rtol=0)


def test_they_rotate_the_renderers_harmonics_up_to_axes_and_signs() -> None:
    """The renderer's basis is this one with z as polar axis and the sign (-1)^m."""
    to_yzx = torch.tensor([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]).double()
    signs = torch.cat([torch.tensor([(-1.0) ** m for m in range(-l, l + 1)]) for l in range(4)]).double()  # noqa: E741
    R = rotation((0.4, -1.1, 0.7))
    sh = torch.randn(6, 16, 1, generator=torch.Generator().manual_seed(0)).double()
    expected = rotate_sh(sh, R)[..., 0]
    found = signs * rotate_coefficients(signs * sh[..., 0], to_yzx @ R @ to_yzx.T)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)
