"""What every reader of training or evaluation data gives: posed views, and samples made of them.

Readers leave pictures at their own size: cropping, scaling and units are what the training system or the protocol
decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lsm_core.errors import InputError
from lsm_core.types import Unit


@dataclass(frozen=True, eq=False)
class PosedView:
    """One picture with its camera.

    Attributes:
        image: [H, W, 3] uint8 RGB, without lens distortion.
        K: [3, 3] float32 intrinsics in pixels of this image; pixel (0, 0) is the centre of the top-left pixel.
        T_world_cam: [4, 4] float64 rigid, camera to world (OpenCV axes), in the sample's unit.
        depth: [H, W] float32 z-depth in the sample's unit, 0 where unknown; or None.
        label: [H, W] int32 class of each pixel, 0 where unlabelled; or None.
        mask: [H, W] bool, False where the picture itself is not to be used (void, moving); None: all of it is.
        name: what the data call this picture (file name, time stamp), for messages.
    """

    image: NDArray[np.uint8]
    K: NDArray[np.float32]
    T_world_cam: NDArray[np.float64]
    depth: NDArray[np.float32] | None = None
    label: NDArray[np.int32] | None = None
    mask: NDArray[np.bool_] | None = None
    name: str = ""

    def __post_init__(self) -> None:
        where = f" of view '{self.name}'" if self.name else ""
        if self.image.ndim != 3 or self.image.shape[2] != 3 or self.image.dtype != np.uint8:
            raise InputError(
                f"The image{where} is {self.image.dtype} {self.image.shape}.", "Give RGB uint8 [H, W, 3]."
            )
        if self.K.shape != (3, 3) or not np.isfinite(self.K).all() or min(self.K[0, 0], self.K[1, 1]) <= 0:
            raise InputError(
                f"The intrinsics{where} are no pinhole camera.", "Give a finite 3x3 K with fx, fy > 0."
            )
        if not _is_rigid(self.T_world_cam):
            raise InputError(
                f"The pose{where} is no rigid 4x4 transform.", "Give T_world_cam; leave bad poses out."
            )
        kinds = (("depth", self.depth, np.float32), ("label", self.label, np.int32), ("mask", self.mask, np.bool_))
        for field, value, kind in kinds:
            if value is not None and (value.shape != self.size or value.dtype != kind):
                raise InputError(
                    f"The {field}{where} is {value.dtype} {value.shape}.", f"Give {np.dtype(kind)} {self.size}."
                )

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.image.shape[0], self.image.shape[1]


@dataclass(frozen=True, eq=False)
class ViewSample:
    """Views of one place: what a model is given, and what it is scored on.

    Attributes:
        scene: which scene of the data this is.
        context: the views a model sees, in its order (two or more).
        targets: views that it has to draw; may be empty, may repeat context views.
        unit: "metric" where poses and depth are metres, "relative" where their unit is arbitrary.
        overlap: share of context view 0 that context view 1 sees, where the data tell it.
    """

    scene: str
    context: tuple[PosedView, ...]
    targets: tuple[PosedView, ...] = ()
    unit: Unit = "metric"
    overlap: float | None = None

    def __post_init__(self) -> None:
        if not self.context:
            raise InputError(f"A sample of scene '{self.scene}' has no context view.", "Give at least one.")


class SampleSource(Protocol):
    """Training data: an endless supply of samples, each decided by its generator and step alone."""

    def draw(self, rng: np.random.Generator, step: int) -> ViewSample:
        """Draw one sample.

        Args:
            rng: the only source of randomness; equal states give equal samples.
            step: optimiser step, for data whose views move apart as training goes on.
        """
        ...


def _is_rigid(T: NDArray[np.float64]) -> bool:
    """Whether a matrix is a finite rigid 4x4 transform, to 1e-3."""
    if T.shape != (4, 4) or not np.isfinite(T).all() or not np.allclose(T[3], (0, 0, 0, 1)):
        return False
    R = T[:3, :3]
    return bool(np.allclose(R @ R.T, np.eye(3), atol=1e-3) and np.linalg.det(R) > 0)
