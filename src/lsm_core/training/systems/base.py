"""What the training loop needs to know of a model: its network, what is frozen, its batches and its loss."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor, nn

from lsm_core.data.selection import Selection
from lsm_core.data.views import ViewSample
from lsm_core.errors import InputError
from lsm_core.nn.lpips import Lpips
from lsm_core.training.run_config import RunConfig
from lsm_core.training.view_batch import CameraViews, Fitting, ViewBatch, view_batch
from lsm_core.weights import KeyRules, load_strict

LOSS = "loss"


class TrainingSystem(nn.Module, ABC):
    """One model with its training objective. Called on a batch, it gives the loss and its parts.

    Attributes:
        name: of the model, as `lsm train` and the backends have it.
        weights_file: what the exported weights are called.
        network: what is trained.
    """

    name: ClassVar[str]
    weights_file: ClassVar[str]
    network: nn.Module
    run: RunConfig
    selection: Selection
    fitting: Fitting

    def __init__(self) -> None:
        super().__init__()
        self._lpips: tuple[Lpips, ...] = ()  # in a tuple: not a part of the state

    @abstractmethod
    def load_parents(self, place: Path) -> None:
        """Begin from the checkpoint of the model that this one was trained from; the rest keeps its start values.

        Raises:
            WeightsError: a file is missing, damaged or of another model or size.
        """

    @abstractmethod
    def load_official(self, place: Path) -> None:
        """Go on from released or exported weights of this model.

        Raises:
            WeightsError: a file is missing, damaged or of another model or size.
        """

    def load(self, state: Mapping[str, Tensor], rules: KeyRules, source: str) -> None:
        """Fill the network strictly; see `load_strict`."""
        load_strict(self.network, state, rules, source)

    @abstractmethod
    def official(self) -> dict[str, Any]:
        """Return the network as a document in the format of its released checkpoint."""

    @abstractmethod
    def terms(self, batch: ViewBatch, step: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Return the weighted parts of the loss of a batch by name.

        Args:
            batch: on the network's device.
            step: of the optimiser.
            generator: CPU; the source of all that is drawn.
        """

    def batch(self, samples: Sequence[ViewSample], rngs: Sequence[np.random.Generator]) -> ViewBatch:
        """Bring samples to tensors on the CPU; see `view_batch`."""
        return view_batch(samples, self.fitting, rngs)

    def rate_share(self, name: str) -> float:
        """Return the share of the peak learning rate that a parameter (name within the network) gets."""
        return 1.0

    def forward(self, batch: ViewBatch, step: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Return the loss under `LOSS` and its parts, which are detached."""
        terms = self.terms(batch, step, generator)
        total = torch.stack(list(terms.values())).sum()
        return {LOSS: total, **{name: value.detach() for name, value in terms.items()}}

    def frozen(self) -> Sequence[nn.Module]:
        """Return the parts that are not trained; they have no gradients, no dropout, no statistics of batches."""
        return ()

    def freeze(self) -> None:
        """Take the frozen parts out of the training; called once the network is filled."""
        for module in self.frozen():
            module.requires_grad_(False)
        self.train()

    def train(self, mode: bool = True) -> Self:
        """Switch to training, the frozen parts excepted."""
        super().train(mode)
        for module in self.frozen():
            module.eval()
        return self

    def numerics(self, like: Tensor) -> AbstractContextManager[Any]:
        """Return the context that the network runs in; heads that must be exact leave it themselves."""
        if self.run.precision == "float32":
            return nullcontext()
        return torch.autocast(like.device.type, torch.bfloat16)

    def lpips(self, weight: float) -> Lpips | None:
        """Return LPIPS where it is weighed, loaded when first asked for.

        Raises:
            DependencyError: its weights are not installed.
        """
        if not weight:
            return None
        if not self._lpips:
            from lsm_core.weights.lpips_package import load_lpips

            self._lpips = (load_lpips(next(self.network.parameters()).device),)
        return self._lpips[0]


def require_depth(views: CameraViews, name: str) -> None:
    """Refuse a batch of which no pixel has depth, before it gives a loss that is no number.

    Raises:
        InputError: that is so.
    """
    if not bool((views.depth > 0).any()):
        raise InputError(
            f"{name} learns from depth, and no picture of a batch has any.", "Train it on data with depth maps."
        )


def relative_poses(T_world_cam: Tensor, first: Tensor) -> Tensor:
    """Return T_first_cam [B, V, 4, 4] of poses [B, V, 4, 4] and those of the first cameras [B, 4, 4]."""
    return (torch.linalg.inv(first.double())[:, None] @ T_world_cam.double()).float()


def camera_points(depth: Tensor, K: Tensor, T_first_cam: Tensor) -> Tensor:
    """Return the points [B, V, H, W, 3] of depth maps [B, V, H, W] in the first camera's frame."""
    height, width = depth.shape[-2:]
    y, x = torch.meshgrid(
        torch.arange(height, device=depth.device), torch.arange(width, device=depth.device), indexing="ij"
    )
    pixels = torch.stack((x, y, torch.ones_like(x)), -1).to(depth)
    rays = torch.einsum("bvij,hwj->bvhwi", torch.linalg.inv(K), pixels)
    points = torch.einsum("bvij,bvhwj->bvhwi", T_first_cam[..., :3, :3], rays * depth[..., None])
    return points + T_first_cam[:, :, None, None, :3, 3]


@torch.no_grad()
def spread_points(last: nn.Conv2d, generator: torch.Generator, gain: float = 1.0, length: float = 0.9) -> None:
    """Let a new head's exponential points begin in front of the camera instead of in its centre.

    There nothing could be drawn, and no gradient would come back. Only for networks without a parent.

    Args:
        last: its first three channels become x, y, z.
        generator: of the weights.
        gain: of their spread.
        length: raw distance along the optical axis; expm1(0.9) is 1.5 units.
    """
    assert last.bias is not None
    nn.init.xavier_uniform_(last.weight[:3], gain, generator)
    last.bias[:3] = torch.tensor([0.0, 0.0, length])
