"""LSM's Gaussian head pixel by pixel, written out from the description of the released code, in float64."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from plain_maths import Weights, linear
from scipy.spatial.transform import Rotation
from torch import Tensor

C0 = 0.28209479177387814


def gaussians(w: Weights, t: Mapping[str, Tensor], views: int, features: int, degree: int) -> dict[str, Tensor]:
    """Return what the fixtures record of merged points and Gaussians."""
    batch, H, W, _ = t["pts3d_1"].shape
    points = torch.stack([t[f"pts3d_{v + 1}"].reshape(batch, -1, 3) for v in range(views)], 1).flatten(1, 2)
    images = [t[f"img{v + 1}"].permute(0, 2, 3, 1) for v in range(views)]
    colours = torch.stack([image.reshape(batch, -1, 3) for image in images], 1).flatten(1, 2)
    center = points.mean(1, keepdim=True)
    scale = (points - center).abs().flatten(1).amax(1).view(batch, 1, 1)
    coords = (points - center) / scale
    out = {"merged.center": center, "merged.scale": scale, "merged.coord": coords.flatten(0, 1)}
    out["merged.color"] = colours.flatten(0, 1)
    out["merged.feat"] = torch.cat((out["merged.coord"], out["merged.color"]), 1)
    distances = torch.cdist(points, points).square()
    distances.diagonal(dim1=1, dim2=2).fill_(torch.inf)
    radius = distances.sort(2).values[..., :3].mean(2).clamp(min=1e-7).sqrt()
    median = radius.sort(1).values[:, (radius.shape[1] - 1) // 2]
    raw = linear(w, "gaussian_proj", t["point_feat"]).view(batch, views, H * W, -1)
    count = (degree + 1) ** 2
    band = [int(k**0.5) for k in range(count)]
    mask = torch.tensor([1.0 if b == 0 else 0.5 * 0.25**b for b in band], dtype=torch.float64)
    for v in range(views):
        rows = {name: [] for name in ("scales", "rotations", "covs", "opacities", "sh_coeffs", "means", "gs_feats")}
        for b in range(batch):
            for p in range(H * W):
                s, q, o, sh, f = raw[b, v, p].split((3, 4, 1, 3 * count, features))
                r, m = radius[b, v * H * W + p], median[b]
                size = (s.exp() * r).clamp(0.1 * m, 3 * m)
                quaternion = q / q.norm()
                half = torch.from_numpy(Rotation.from_quat(quaternion.numpy()).as_matrix()) * size
                colour = sh.view(count, 3) * mask[:, None]
                pixel = images[v][b].reshape(-1, 3)[p]
                colour[0] += pixel / 2 / C0
                rows["scales"].append(size)
                rows["rotations"].append(quaternion)
                rows["covs"].append(half @ half.T)
                rows["opacities"].append(1 / (1 + (-o).exp()))
                rows["sh_coeffs"].append(colour)
                rows["means"].append(points[b, v * H * W + p])
                rows["gs_feats"].append(f + t["lseg_res_feature"][v * batch + b].flatten(1)[:, p])
        out |= {f"pred{v + 1}.{k}": torch.stack(x).view(batch, H, W, *x[0].shape) for k, x in rows.items()}
    return out
