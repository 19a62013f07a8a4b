"""Random and nasty scenes for the rasterizer tests, and how their results are compared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from unittest.mock import patch

import torch
from torch import Tensor

from lsm_core.render import rasterize_reference, reference
from lsm_core.sh import C0
from lsm_core.types import Camera, Gaussians, RenderResult

BLACK = torch.zeros(3)


def random_scene(seed: int, count: int = 400, degree: int = 1, feature_dim: int = 5) -> Gaussians:
    """Return Gaussians in front of a camera at the origin that looks along z, some behind and beside it."""
    g = torch.Generator().manual_seed(seed)
    means = torch.randn(count, 3, generator=g) * torch.tensor([1.5, 1.0, 1.5]) + torch.tensor([0.0, 0.0, 3.0])
    return Gaussians(
        means=means,
        quats=torch.nn.functional.normalize(torch.randn(count, 4, generator=g), dim=-1),
        scales=torch.exp(torch.randn(count, 3, generator=g) * 0.7 - 2.5),
        opacities=torch.rand(count, generator=g),
        sh=torch.randn(count, (degree + 1) ** 2, 3, generator=g) * 0.5,
        features=torch.randn(count, feature_dim, generator=g),
    )


def camera(width: int = 70, height: int = 50, focal: float = 60.0, **options: object) -> Camera:
    """Return a camera at the origin whose principal point is off centre and whose size is no tile multiple."""
    K = torch.tensor([[focal, 0.0, 0.45 * width], [0.0, 1.1 * focal, 0.55 * height], [0.0, 0.0, 1.0]])
    return Camera(K, width, height, **options)  # type: ignore[arg-type]


def single(
    opacity: float, z: float = 2.0, colour: tuple[float, float, float] = (1.0, 0.5, 0.25), x: float = 0.0
) -> Gaussians:
    """Return one small round Gaussian on the optical axis, or beside it."""
    sh = (torch.tensor(colour) - 0.5).reshape(1, 1, 3) / C0
    return Gaussians(
        torch.tensor([[x, 0.0, z]]),
        torch.tensor([[1.0, 0.0, 0.0, 0.0]]),
        torch.full((1, 3), 0.1),
        torch.tensor([opacity]),
        sh,
        torch.ones(1, 2),
    )


def axis_camera(size: int = 33, focal: float = 40.0) -> Camera:
    """Return a camera whose middle pixel looks along the axis."""
    centre = (size - 1) / 2
    return Camera(torch.tensor([[focal, 0, centre], [0, focal, centre], [0, 0, 1.0]]), size, size)


def _moved(scene: Gaussians, change: Callable[[Tensor], Tensor]) -> Gaussians:
    return replace(scene, means=change(scene.means))


def _with_z(z: float) -> Callable[[Tensor], Tensor]:
    return lambda means: torch.cat([means[:, :2], torch.full_like(means[:, 2:], z)], 1)


def _needles(scene: Gaussians) -> Gaussians:
    return replace(scene, scales=scene.scales * torch.tensor([100.0, 0.01, 0.01]))


def _huge(scene: Gaussians) -> Gaussians:
    return replace(scene, scales=scene.scales * 1e4, opacities=scene.opacities * 0.1)


def _exactly_over_each_other(scene: Gaussians) -> Gaussians:
    first = torch.zeros(len(scene), dtype=torch.long)
    here = torch.tensor([[0.1, 0.05, 2.0]])
    return replace(
        scene, means=here.expand(len(scene), 3).clone(), scales=scene.scales[first], quats=scene.quats[first]
    )


NEAR = 0.5
NASTY: dict[str, Callable[[Gaussians], Gaussians]] = {
    "behind the camera": lambda s: _moved(s, lambda m: m * torch.tensor([1.0, 1.0, -1.0])),
    "on the near plane": lambda s: _moved(s, _with_z(NEAR)),
    "just past the near plane": lambda s: _moved(s, _with_z(NEAR * (1 + 1e-6))),
    "needles": _needles,
    "huge": _huge,
    "zero opacity": lambda s: replace(s, opacities=s.opacities * (torch.arange(len(s)) % 2)),
    "opacity at the cut": lambda s: replace(s, opacities=torch.full_like(s.opacities, 1.0 / 255)),
    "fully opaque": lambda s: replace(s, opacities=torch.ones_like(s.opacities)),
    "exactly over each other": _exactly_over_each_other,
    "off the screen": lambda s: _moved(s, lambda m: m + torch.tensor([9.0, 0.0, 0.0])),
    "points": lambda s: replace(s, scales=torch.zeros_like(s.scales)),
    "zero quaternions": lambda s: replace(s, quats=torch.zeros_like(s.quats)),
    "negative colours": lambda s: replace(s, sh=s.sh - 2.0),
}


def uncertain_pixels(scene: Gaussians, view: Camera, background: Tensor, margin: float = 1e-4) -> Tensor:
    """Return [H, W] bool: where rounding decides whether a Gaussian is blended.

    Alpha has a step at 1/255 and transmittance one at 1e-4; a pixel is uncertain if moving either step by `margin`
    (relative) changes what the reference gives there.
    """

    def drawn(factor: float) -> Tensor:
        cut, floor = reference.ALPHA_MIN * factor, reference.TRANSMITTANCE_MIN * factor
        with patch.object(reference, "ALPHA_MIN", cut), patch.object(reference, "TRANSMITTANCE_MIN", floor):
            return rasterize_reference(scene, [view], background, features=True)[0].alpha

    return drawn(1 + margin) != drawn(1 - margin)


def assert_agree(
    got: RenderResult, expected: RenderResult, uncertain: Tensor, tolerance: float = 1e-4, most: float = 0.01
) -> None:
    """Compare all pixels that are not uncertain: `tolerance` on colours and features, 1e-3 relative on depth.

    Args:
        most: share of pixels that may be uncertain.
    """
    assert uncertain.float().mean() <= most
    sure = ~uncertain
    for name in ("rgb", "alpha", "features"):
        x, y = getattr(got, name)[sure], getattr(expected, name)[sure]
        assert torch.isfinite(x).all()
        assert (x - y).abs().max() <= tolerance, f"{name}: {(x - y).abs().max()}"
    # Where nothing is hit both are 0; a ratio of two tiny sums is only as exact as these.
    covered = sure & (expected.alpha > 2e-3)
    relative = (got.depth - expected.depth).abs() / expected.depth.clamp(min=1e-6)
    assert not covered.any() or relative[covered].max() <= 1e-3
    assert got.median_depth is not None and expected.median_depth is not None
    assert got.strongest is not None and expected.strongest is not None
    # Weights or transmittances that differ by rounding may change places; few do.
    other_median = (got.median_depth - expected.median_depth).abs() > 1e-4 * expected.median_depth
    other_strongest = got.strongest != expected.strongest
    assert (other_median & sure).float().mean() <= 2e-3
    assert (other_strongest & sure).float().mean() <= 2e-3
