"""The network as a whole: symmetry of the views, optional intrinsics, pose switch."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from lsm_core.nn.tiny import Refined, TinyConfig, TinyNet, stack_views


@pytest.fixture(scope="module")
def net() -> TinyNet:
    torch.manual_seed(0)
    return TinyNet(TinyConfig()).eval()


def camera(focal: float = 100.0) -> Tensor:
    return torch.tensor([[focal, 0, 63.5], [0, focal, 31.5], [0, 0, 1]])[None]


@torch.no_grad()
def run(net: TinyNet, first: Tensor, second: Tensor, T_1_0: Tensor, has_pose: bool = True) -> Refined:
    known = torch.tensor([True])
    views = stack_views(net.encode(first, camera(), known), net.encode(second, camera(), known))
    T = torch.stack((T_1_0, torch.linalg.inv(T_1_0)))
    return net.refine(views, net.match(views), T, torch.full((2,), has_pose))


def pose() -> Tensor:
    T = torch.eye(4)
    T[0, 3] = 0.5
    return T


def test_exchanging_the_views_exchanges_the_results(net: TinyNet) -> None:
    a, b = torch.rand(1, 3, 64, 128), torch.rand(1, 3, 64, 128)
    forward, backward = run(net, a, b, pose()), run(net, b, a, torch.linalg.inv(pose()))
    torch.testing.assert_close(forward.log_depth.flip(0), backward.log_depth, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(forward.features.flip(0), backward.features, atol=1e-4, rtol=1e-4)


def test_the_pose_matters_only_when_there_is_one(net: TinyNet) -> None:
    a, b = torch.rand(1, 3, 64, 128), torch.rand(1, 3, 64, 128)
    without = [run(net, a, b, T, has_pose=False).log_depth for T in (torch.eye(4), pose())]
    torch.testing.assert_close(without[0], without[1])
    with_pose = run(net, a, b, pose()).log_depth
    assert float((with_pose - without[0]).abs().max()) > 1e-4


def test_unknown_intrinsics_are_replaced_by_the_guess(net: TinyNet) -> None:
    image = torch.rand(1, 3, 64, 128)
    with torch.no_grad():
        told = net.encode(image, camera(100.0), torch.tensor([True]))
        also = net.encode(image, camera(55.0), torch.tensor([False]))
        other = net.encode(image, camera(321.0), torch.tensor([False]))
    torch.testing.assert_close(told.intrinsics, camera(100.0))
    torch.testing.assert_close(also.intrinsics, other.intrinsics)
    torch.testing.assert_close(also.tokens, other.tokens)
    assert float(also.intrinsics[0, 0, 0]) == pytest.approx(float(also.log_focal.exp()) * 128, rel=1e-5)


def test_outputs_have_the_strides_the_network_promises(net: TinyNet) -> None:
    out = run(net, torch.rand(1, 3, 96, 64), torch.rand(1, 3, 96, 64), pose())
    assert out.log_depth_coarse.shape == (2, 1, 12, 8)
    assert out.log_depth.shape == (2, 1, 24, 16)
    assert out.at_half(out.features).shape == (2, 64, 48, 32)
