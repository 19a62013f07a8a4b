"""NoPoSplat's network: what the fast way saves, and that it is the twin's answer in either orientation."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from lsm_core.backends.seeded_checkpoints import fill
from lsm_core.backends.seeded_noposplat import SMALL
from lsm_core.nn.gaussian_adapter import OpacityMapping, covariances, symmetric_matrices
from lsm_core.nn.noposplat import Noposplat, NoposplatConfig
from lsm_core.render.projection import rotation_matrices


def work(views: int, reference: bool, size: int = 256) -> dict[str, float]:
    """Return GFLOP per stage at the released size, counted on tensors without numbers."""
    with torch.device("meta"), torch.no_grad():
        network = Noposplat(NoposplatConfig(), reference).eval()
        if not reference:
            network.drop_unseen_colours()
        image, K = torch.empty(1, 3, size, size), torch.eye(3)[None]
        counts = {}
        with FlopCounterMode(display=False) as counter:
            encoded = [network.encode(image, K) for _ in range(views)]
        counts["encoder"] = counter.get_total_flops() / 1e9
        with FlopCounterMode(display=False) as counter:
            layers = network.decode(encoded)
        counts["decoder"] = counter.get_total_flops() / 1e9
        with FlopCounterMode(display=False) as counter:
            network.gaussians(encoded, layers)
        counts["heads"] = counter.get_total_flops() / 1e9
    return counts


@pytest.mark.slow
@pytest.mark.parametrize("views", [2, 3, 4])
def test_what_the_fast_way_saves_at_the_released_size(views: int) -> None:
    """Prints the table of docs/performance.md with -s."""
    fast, twin = work(views, False), work(views, True)
    for name, counts in (("fast", fast), ("twin", twin)):
        stages = ", ".join(f"{stage} {count:.0f}" for stage, count in counts.items())
        print(f"{views} views, {name}: {stages}; {sum(counts.values()):.0f} GFLOP")
    assert fast["encoder"] == twin["encoder"] and fast["heads"] < 0.98 * twin["heads"]
    assert fast["decoder"] == twin["decoder"] if views == 2 else fast["decoder"] < 0.97 * twin["decoder"]
    if views == 2:
        assert sum(twin.values()) == pytest.approx(812, rel=0.01)


@pytest.mark.parametrize(("views", "size"), [(2, (64, 32)), (3, (32, 64)), (5, (32, 32))])
def test_the_twin_says_the_same(views: int, size: tuple[int, int]) -> None:
    fast, twin = Noposplat(SMALL), Noposplat(SMALL, reference=True)
    fill(fast, 3)
    twin.load_state_dict(fast.state_dict())
    twin.eval()
    fast.drop_unseen_colours()
    generator = torch.Generator().manual_seed(1)
    images = [torch.rand(2, 3, *size, generator=generator) * 2 - 1 for _ in range(views)]
    K = [torch.tensor([[1.0 + 0.1 * v, 0, 0.5], [0, 1.2, 0.5], [0, 0, 1]]).repeat(2, 1, 1) for v in range(views)]
    with torch.no_grad():
        for ours, theirs in zip(fast(images, K), twin(images, K), strict=True):
            assert ours.means.shape == (2, *size, 3)
            for part in ("means", "scales", "rotations", "opacities"):
                a, b = getattr(ours, part), getattr(theirs, part)
                assert float((a - b).abs().max() / b.abs().max()) < 2e-5, part
            assert float((ours.sh - theirs.sh[..., :16, :]).abs().max() / theirs.sh.abs().max()) < 2e-5


def test_the_order_of_the_other_views_does_not_matter() -> None:
    network = Noposplat(SMALL)
    fill(network, 4)
    generator = torch.Generator().manual_seed(1)
    images = [torch.rand(1, 3, 32, 32, generator=generator) * 2 - 1 for _ in range(3)]
    K = [torch.eye(3)[None]] * 3
    with torch.no_grad():
        a, b = network(images, K), network([images[0], images[2], images[1]], K)
    for one, other in ((a[0], b[0]), (a[1], b[2]), (a[2], b[1])):
        torch.testing.assert_close(one.means, other.means, atol=1e-4, rtol=1e-4)


def test_covariances_in_closed_form_are_the_products() -> None:
    generator = torch.Generator().manual_seed(0)
    scales, quats = torch.rand(50, 3, generator=generator), torch.randn(50, 4, generator=generator)
    half = rotation_matrices(quats) * scales[:, None]
    found = symmetric_matrices(covariances(scales, quats))
    torch.testing.assert_close(found, half @ half.transpose(1, 2), atol=1e-6, rtol=1e-5)


def test_opacities_change_while_training_goes_on_and_not_after_it() -> None:
    network = Noposplat(
        NoposplatConfig(SMALL.croco, SMALL.layer_dims, 16, 8, opacity=OpacityMapping(0.0, 2.0, 100))
    )
    fill(network, 2)
    image = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.no_grad():
        views = [network.encode(image, torch.eye(3)[None])] * 2
        layers = network.decode(views)
        first, half, last, after = (
            network.gaussians(views, layers, step)[0].opacities for step in (0, 50, 100, None)
        )
    p = first.double()
    for mapped, e in ((half, 2.0), (last, 4.0)):
        torch.testing.assert_close(mapped.double(), 0.5 * (1 - (1 - p) ** e + p ** (1 / e)), atol=1e-5, rtol=1e-5)
    assert torch.equal(last, after)
