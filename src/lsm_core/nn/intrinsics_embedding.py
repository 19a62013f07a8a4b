"""How a network is told the camera: a token, or a direction per pixel (NoPoSplat, Ye et al. 2024, section 3.4).

Intrinsics are normalised here: pixels divided by the image's width and height, its corners at 0 and 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from lsm_core.nn.harmonics import real_harmonics

Kind = Literal["token", "linear", "pixelwise", "none"]
Place = Literal["encoder", "decoder"]


@dataclass(frozen=True)
class IntrinsicsMode:
    """How the camera enters.

    Attributes:
        kind: "token": one more token after the image's; "linear": the same embedding is added to every token;
            "pixelwise": directions are put beside the input; "none".
        place: of "pixelwise": beside the colours, or beside the encoder's tokens before the decoder.
        degree: of "pixelwise": harmonics of the direction up to this degree; 0 is the direction itself.
    """

    kind: Kind = "token"
    place: Place = "encoder"
    degree: int = 4

    def channels(self, place: Place) -> int:
        """Return how many channels are put beside the input at a place."""
        return embedding_channels(self.degree) if self.kind == "pixelwise" and self.place == place else 0


def embedding_channels(degree: int) -> int:
    """Return the channels of a direction: 3 as it is, or its harmonics."""
    return (degree + 1) ** 2 if degree > 0 else 3


def normalised_intrinsics(K: Tensor, size: tuple[int, int]) -> Tensor:
    """Return intrinsics [..., 3, 3] of an image of (height, width), pixel centres at integers, normalised."""
    height, width = size
    to_unit = torch.tensor([[1 / width, 0, 0.5 / width], [0, 1 / height, 0.5 / height], [0, 0, 1]])
    return to_unit.to(K) @ K


def pixel_rays(K: Tensor, size: tuple[int, int]) -> Tensor:
    """Return the unit directions through the pixel centres, [..., height, width, 3] in the camera's frame.

    Args:
        K: [..., 3, 3], normalised.
        size: (height, width) of the grid that covers the image.
    """
    height, width = size
    y, x = (((torch.arange(n, device=K.device) + 0.5) / n).to(K.dtype) for n in (height, width))
    places = torch.stack((*torch.meshgrid(x, y, indexing="xy"), torch.ones(height, width).to(K)), -1)
    rays = torch.einsum("...ij,hwj->...hwi", torch.linalg.inv(K), places)
    return rays / rays.norm(dim=-1, keepdim=True)


def ray_embedding(K: Tensor, size: tuple[int, int], degree: int) -> Tensor:
    """Return the directions or their harmonics per pixel, [..., channels, height, width]; see `pixel_rays`."""
    rays = pixel_rays(K, size)
    values = real_harmonics(rays, degree) if degree > 0 else rays
    return values.movedim(-1, -3)
