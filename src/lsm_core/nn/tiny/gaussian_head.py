"""A small head that changes the Gaussians computed from depth: size, opacity, place, turn and colour of each.

It reads what is known of each output pixel at 1/2 (`disc_inputs`), four pixels side by side in the channels, so
that every convolution runs at 1/4. Its last layer begins at zero, which changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lsm_core.nn.tiny.decoder import ResidualUnit
from lsm_core.nn.tiny.disc_inputs import DISC_CHANNELS

SIDE = 2  # output pixels along each side of a cell at 1/4


@dataclass(frozen=True)
class DiscChanges:
    """What is changed on each disc; all zero changes nothing. Leading dimensions are those of the views' pixels."""

    log_scale: Tensor  # [..., 3] along the disc's axes: up the slope, across it, normal
    opacity: Tensor  # [...] added to the logit
    log_depth: Tensor  # [...] along the ray
    shift: Tensor  # [..., 2] right and down in the image plane, px of the output grid
    turn: Tensor  # [..., 3] rotation vector about the disc's axes, radians
    colour: Tensor  # [..., 3] added to RGB in 0 to 1

    def of_view(self, view: int) -> DiscChanges:
        """Take one view out of stacked ones."""
        return DiscChanges(**{name: value[view] for name, value in vars(self).items()})


# channels of each change in the order of the fields above, and the bound that keeps it small
WIDTHS = {"log_scale": 3, "opacity": 1, "log_depth": 1, "shift": 2, "turn": 3, "colour": 3}
BOUNDS = {"log_scale": 1.5, "opacity": 8.0, "log_depth": 0.2, "shift": 2.0, "turn": 0.5, "colour": 0.4}
assert tuple(WIDTHS) == tuple(field.name for field in fields(DiscChanges))


class GaussianHead(nn.Module):
    """Predict the changes of all discs.

    Args:
        dim: width of the head.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.discs = nn.Conv2d(DISC_CHANNELS * SIDE**2, dim, 1)
        self.unit = ResidualUnit(dim)
        self.changes = nn.Conv2d(dim, sum(WIDTHS.values()) * SIDE**2, 1)
        nn.init.zeros_(self.changes.weight)
        nn.init.zeros_(self.changes.bias)  # type: ignore[arg-type]

    def forward(self, discs: Tensor) -> DiscChanges:
        """Return the changes of [B, h, w] discs.

        Args:
            discs: [B, DISC_CHANNELS, h, w].
        """
        x = self.discs(F.pixel_unshuffle(discs, SIDE))
        raw = self.changes(F.relu(self.unit(x))).float()
        bound = raw.new_tensor([BOUNDS[name] for name, width in WIDTHS.items() for _ in range(width * SIDE**2)])
        bound = bound[:, None, None]
        bounded = F.pixel_shuffle(bound * torch.tanh(raw / bound), SIDE).permute(0, 2, 3, 1).contiguous()
        parts = dict(zip(WIDTHS, torch.split(bounded, list(WIDTHS.values()), dim=-1), strict=True))
        return DiscChanges(**{name: x[..., 0] if x.shape[-1] == 1 else x for name, x in parts.items()})
