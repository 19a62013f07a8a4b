"""A transposed convolution without overlap and the convolution after it, as one convolution on the coarse grid."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class UpscaledConvolution(nn.Module):
    """What `conv(upscaler(z))` gives, with the products of the coarse grid only; exact up to rounding.

    Each fine pixel depends on the coarse cells around its own; the pixels of a cell share them, with one kernel per
    place in the cell. Outside the map there is nothing, so the upscaler's bias is missing there: its part of the
    result differs near the border and is added apart.

    Args:
        upscaler: kernel and stride of one size.
        conv: of odd size, stride 1, padded to keep the size.
    """

    kernel: Tensor
    border: Tensor
    bias: Tensor

    def __init__(self, upscaler: nn.ConvTranspose2d, conv: nn.Conv2d) -> None:
        super().__init__()
        self.factor, self.reach = upscaler.stride[0], conv.kernel_size[0] // 2
        assert upscaler.bias is not None and conv.bias is not None
        with torch.no_grad():
            fine, coarse = conv.weight.detach(), upscaler.weight.detach()
            self.register_buffer("kernel", _composed(fine, coarse, self.factor), persistent=False)
            lift = torch.einsum("ockl,c->okl", fine, upscaler.bias)[:, None]
            side = 2 * self.reach + 1
            border = F.conv2d(lift.new_ones(1, 1, side, side), lift, padding=self.reach)
            self.register_buffer("border", border[0], persistent=False)
            self.register_buffer("bias", conv.bias.detach().clone(), persistent=False)

    def forward(self, z: Tensor) -> Tensor:
        """Map [B, C, h, w] to [B, out, h * factor, w * factor], sides of the result at least the kernel's."""
        fine = F.pixel_shuffle(F.conv2d(z, self.kernel, padding=self.kernel.shape[-1] // 2), self.factor)
        rows, columns = (self._border_index(side, z.device) for side in fine.shape[2:])
        return fine + (self.border + self.bias[:, None, None])[:, rows][:, :, columns]

    def _border_index(self, side: int, device: torch.device) -> Tensor:
        """Return [side]: which row of the border's map holds for each row of the result."""
        index = torch.arange(side, device=device)
        return index.clamp(max=self.reach) + (index - (side - 1 - self.reach)).clamp(min=0)


def _composed(fine: Tensor, coarse: Tensor, factor: int) -> Tensor:
    """Return [out * factor^2, in, n, n]: the kernels of all places in a cell, in the order of `pixel_shuffle`."""
    out, _, size, _ = fine.shape
    reach = size // 2
    cells = -(-reach // factor)
    span = 2 * cells + 1
    kernel = fine.new_zeros(out, factor, factor, coarse.shape[0], span, span)
    steps = [
        (place, tap, (place + tap - reach) // factor + cells, (place + tap - reach) % factor)
        for place in range(factor)
        for tap in range(size)
    ]
    for row, ky, cell_y, inner_y in steps:
        for column, kx, cell_x, inner_x in steps:
            kernel[:, row, column, :, cell_y, cell_x] += fine[:, :, ky, kx] @ coarse[:, :, inner_y, inner_x].T
    return kernel.flatten(0, 2)
