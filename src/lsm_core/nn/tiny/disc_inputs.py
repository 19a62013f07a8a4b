"""What the Gaussian head is told of each output pixel: its surface, its colour, and how the other view agrees."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

OWN_CHANNELS, ACROSS_CHANNELS = 7, 6
DISC_CHANNELS = OWN_CHANNELS + ACROSS_CHANNELS
SLOPE_GAIN, DEPTH_GAIN, STEEPEST = 10.0, 5.0, 2.0  # of differences of log depth, and where they are cut
MIN_DEPTH = 1e-3


def disc_inputs(
    points: Tensor, depth: Tensor, log_confidence: Tensor, rgb: Tensor, K: Tensor, T_0_cam: Tensor, posed: bool
) -> Tensor:
    """Return [2, DISC_CHANNELS, h, w] for the two views of a pair.

    Args:
        points: [2, h, w, 3] of both views in camera 0.
        depth: [2, h, w] along z of each view's own camera, one unit.
        log_confidence: [2, h, w] of confidence - 1.
        rgb: [2, h, w, 3] in 0 to 1.
        K: [2, 3, 3] px of the output grid.
        T_0_cam: [2, 4, 4].
        posed: whether the pose of view 1 is known; where it is not, nothing is compared across the views.
    """
    log_depth = depth.clamp_min(MIN_DEPTH).log()
    own = torch.cat((_surface(log_depth, log_confidence), _planes(rgb)), dim=1)
    if not posed:
        return torch.cat((own, own.new_zeros(2, ACROSS_CHANNELS, *depth.shape[1:])), dim=1)
    maps = torch.cat((log_depth[:, None], log_confidence[:, None] / 3.0, _planes(rgb)), dim=1)
    return torch.cat((own, _across(points, maps, K, T_0_cam)), dim=1)


def _surface(log_depth: Tensor, log_confidence: Tensor) -> Tensor:
    """Return [2, 4, h, w]: confidence, depth within the view, slope along x and y."""
    inside = log_depth - log_depth.mean(dim=(1, 2), keepdim=True)
    padded = F.pad(log_depth[:, None], (1, 1, 1, 1), mode="replicate")[:, 0]
    slopes = torch.stack(
        (padded[:, 1:-1, 2:] - padded[:, 1:-1, :-2], padded[:, 2:, 1:-1] - padded[:, :-2, 1:-1]), dim=1
    )
    slopes = (SLOPE_GAIN * slopes).clamp(-STEEPEST, STEEPEST)
    return torch.cat((log_confidence[:, None] / 3.0, inside[:, None], slopes), dim=1)


def _planes(rgb: Tensor) -> Tensor:
    """Return [2, 3, h, w] about zero."""
    return 2.0 * rgb.permute(0, 3, 1, 2) - 1.0


def _across(points: Tensor, maps: Tensor, K: Tensor, T_0_cam: Tensor) -> Tensor:
    """Compare each point with what the other view shows there: [2, 6, h, w].

    Inside the other view (0 or 1), how much deeper than its surface (log), its confidence, its colour less the own.

    Args:
        points: [2, h, w, 3] in camera 0.
        maps: [2, 5, h, w] log depth, confidence and colour of each view.
        K: [2, 3, 3].
        T_0_cam: [2, 4, 4].
    """
    height, width = points.shape[1:3]
    other = T_0_cam.flip(0)
    moved = (points - other[:, None, None, :3, 3]) @ other[:, None, :3, :3]
    z = moved[..., 2].clamp_min(MIN_DEPTH)
    pixels = (moved / z[..., None]) @ K.flip(0)[:, None].transpose(-1, -2)
    size = torch.tensor([width, height], device=points.device)
    place = (2.0 * pixels[..., :2] + 1.0) / size - 1.0
    inside = (place.abs() <= 1.0).all(-1) & (moved[..., 2] > MIN_DEPTH)
    read = F.grid_sample(
        maps.flip(0), place.clamp(-2.0, 2.0), mode="bilinear", padding_mode="border", align_corners=False
    )
    deeper = (DEPTH_GAIN * (z.log() - read[:, 0])).clamp(-STEEPEST, STEEPEST)
    flag = inside[:, None].to(read.dtype)
    colour = read[:, 2:] - maps[:, 2:]
    return torch.cat((flag, flag * deeper[:, None], flag * read[:, 1:2], flag * colour), dim=1)
