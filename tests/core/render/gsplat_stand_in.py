"""A stand-in for `gsplat.rasterization` without CUDA: gsplat's conventions, drawn by the reference.

It takes the arguments gsplat takes and gives back what gsplat gives back, so that the wrapper's mapping of both is
tested where there is no GPU.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lsm_core.render import rasterize_reference
from lsm_core.render.projection import project
from lsm_core.types import Camera, Gaussians


def rasterization(
    means: Tensor,  # [N, 3]
    quats: Tensor,  # [N, 4] wxyz
    scales: Tensor,  # [N, 3]
    opacities: Tensor,  # [N]
    colors: Tensor,  # [C, N, D], blended as they are
    viewmats: Tensor,  # [C, 4, 4] world to camera
    Ks: Tensor,  # [C, 3, 3], (0, 0) is a corner of the image
    width: int,
    height: int,
    near_plane: float,  # a Gaussian on it is drawn
    tile_size: int,
    backgrounds: Tensor,  # [C, D]
    **options: Any,
) -> tuple[Tensor, Tensor, dict[str, Any]]:
    """Draw as gsplat does with `render_mode="RGB+ED"`, `packed=False`."""
    assert options.pop("render_mode") == "RGB+ED" and options.pop("packed") is False
    assert options.pop("sh_degree") is None and options.pop("rasterize_mode") == "classic"
    assert options.pop("eps2d") == 0.3 and options.pop("far_plane") >= 1e10 and not options
    images, alphas, lists = [], [], []
    for c in range(len(viewmats)):
        K = Ks[c].clone()
        K[:2, 2] -= 0.5
        near = float(torch.nextafter(torch.tensor(near_plane), torch.tensor(-1.0)))
        camera = Camera(K, width, height, torch.linalg.inv(viewmats[c]), near=near)
        grey = torch.zeros(len(means), 1, 3)
        scene = Gaussians(means, quats, scales, opacities, grey, colors[c])
        out = rasterize_reference(scene, [camera], torch.zeros(3), features=True, picks=False)[0]
        assert out.features is not None
        blended = out.features + (1 - out.alpha)[..., None] * backgrounds[c]
        images.append(torch.cat([blended, out.depth[..., None]], -1))
        alphas.append(out.alpha[..., None])
        lists.append(_tile_lists(scene, camera, tile_size))
    return torch.stack(images), torch.stack(alphas), _meta(lists, opacities, width, height, tile_size)


def _tile_lists(scene: Gaussians, camera: Camera, tile: int) -> dict[str, Any]:
    """Return gsplat's tensors of one camera: per Gaussian, and the members of every tile front to back."""
    splats, count = project(scene, camera), len(scene)
    a, b, c = splats.whitening.unbind(1)
    conics = torch.stack([a * a, a * b, b * b + c * c], 1)

    def spread(values: Tensor) -> Tensor:
        out = values.new_zeros(count, *values.shape[1:])
        out[splats.index] = values
        return out

    rows, columns = -(-camera.height // tile), -(-camera.width // tile)
    low, high = splats.box[:, :2] / tile, splats.box[:, 2:] / tile
    members = []
    for row in range(rows):
        for column in range(columns):
            corner = torch.tensor([column, row])
            here = ((high >= corner) & (low <= corner + 1)).all(1)
            members.append(splats.index[here])
    means = spread(splats.means) + 0.5
    return {
        "means2d": means,
        "conics": spread(conics),
        "depths": spread(splats.depths),
        "members": members,
        "rows": rows,
    }


def _meta(lists: list[dict[str, Any]], opacities: Tensor, width: int, height: int, tile: int) -> dict[str, Any]:
    """Join the cameras as gsplat does: members of camera c count from c N."""
    count, lengths, flat = len(opacities), [], []
    for c, one in enumerate(lists):
        for members in one["members"]:
            lengths.append(len(members))
            flat.append(members + c * count)
    offsets = torch.tensor([0, *lengths[:-1]]).cumsum(0)
    return {
        **{name: torch.stack([one[name] for one in lists]) for name in ("means2d", "conics", "depths")},
        "opacities": opacities.expand(len(lists), -1),
        "isect_offsets": offsets.reshape(len(lists), lists[0]["rows"], -1).int(),
        "flatten_ids": torch.cat(flat).int(),
        "tile_size": tile,
        "width": width,
        "height": height,
    }
