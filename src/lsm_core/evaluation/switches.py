"""Every choice that papers make differently and that moves their figures, in one place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Literal, get_args

from lsm_core.errors import InputError

DepthAlignment = Literal["none", "median", "least-squares", "affine"]
SceneUnit = Literal["as-predicted", "baseline", "predicted-baseline", "points", "depth"]
IntrinsicsGiven = Literal["given", "estimated"]
ImageMask = Literal["none", "seen", "covered"]
SsimKind = Literal["sample", "population"]
Average = Literal["macro", "micro"]
TrajectoryAlignment = Literal["none", "se3", "sim3"]


@dataclass(frozen=True)
class Switches:
    """How predictions are compared with the truth. A protocol is a value of this class and a list of samples.

    Attributes:
        depth_alignment: what is taken out of a predicted depth map before it is compared: nothing, the ratio of
            the medians, the scale of least squares, or scale and shift of least squares.
        scene_unit: how true cameras get into the unit of the prediction before a view is drawn: "as-predicted" not
            at all (the model claims metres), "baseline" by the distance of the first and the last context camera
            (NoPoSplat), "predicted-baseline" by that distance as the model sees it, "points" by the scale between
            predicted and true pointmaps (LSM), "depth" by the median ratio of true to predicted depth of the first
            view.
        pose_align_steps: steps of Adam that move each target camera to where the Gaussians show its image best
            before it is scored; 0 for none.
        intrinsics: whether the model is told the true intrinsics; one that needs them is told anyway, and the
            report says so.
        image_mask: which pixels of a drawn view count: all, those that the context views have seen (true depth,
            as Splatt3R masks), or those that are drawn at all (alpha of 0.5 or more).
        mask_averages: with a mask, images are averaged over its pixels; else both are black outside it and the
            average is over the whole picture.
        released_mask: with `mask_averages`, divide as Splatt3R's released code does (sum over three channels by
            the number of pixels: 4.77 dB less).
        clamped: what was drawn is cut to 0 to 1 before PSNR is taken.
        eight_bit: images are cut to 8 bits before they are scored, as a folder of PNG files is.
        ssim: variances of samples (scikit-image) or of populations (torchmetrics).
        image_average: "macro" over the views of a scene and then over scenes, "micro" over all views.
        depth_average: "macro" over maps, "micro" over all pixels.
        iou_average, accuracy_average: over classes, or over pixels.
        trajectory: what is taken out of a path before its error is measured.
    """

    depth_alignment: DepthAlignment = "median"
    scene_unit: SceneUnit = "depth"
    pose_align_steps: int = 0
    intrinsics: IntrinsicsGiven = "given"
    image_mask: ImageMask = "none"
    mask_averages: bool = False
    released_mask: bool = False
    clamped: bool = True
    eight_bit: bool = False
    ssim: SsimKind = "sample"
    image_average: Average = "macro"
    depth_average: Average = "macro"
    iou_average: Average = "macro"
    accuracy_average: Average = "micro"
    trajectory: TrajectoryAlignment = "sim3"

    def __post_init__(self) -> None:
        for name, kind in _CHOICES.items():
            if getattr(self, name) not in get_args(kind):
                raise InputError(
                    f"The switch {name} cannot be '{getattr(self, name)}'.", f"Choose {', '.join(get_args(kind))}."
                )
        if self.pose_align_steps < 0:
            raise InputError("The steps of pose alignment must be 0 or more.")

    def plain(self) -> dict[str, object]:
        """Return them for JSON."""
        return asdict(self)


_CHOICES: dict[str, object] = {
    "depth_alignment": DepthAlignment,
    "scene_unit": SceneUnit,
    "intrinsics": IntrinsicsGiven,
    "image_mask": ImageMask,
    "ssim": SsimKind,
    "image_average": Average,
    "depth_average": Average,
    "iou_average": Average,
    "accuracy_average": Average,
    "trajectory": TrajectoryAlignment,
}


def switched(switches: Switches, changes: Sequence[str]) -> Switches:
    """Return switches with some changed.

    Args:
        switches: to start from.
        changes: texts `name=value`; yes or no for those that are either.

    Raises:
        InputError: no such switch, or a value it does not take.
    """
    kinds = {field.name: type(getattr(switches, field.name)) for field in fields(Switches)}
    changed: dict[str, str | int | bool] = {}
    for text in changes:
        name, _, value = text.partition("=")
        if name not in kinds:
            raise InputError(f"There is no switch '{name}'.", f"Choose among {', '.join(kinds)}.")
        changed[name] = _value(name, value, kinds[name])
    return replace(switches, **changed)  # type: ignore[arg-type]  # values are checked


def _value(name: str, value: str, kind: type) -> str | int | bool:
    if kind is bool:
        if value not in ("yes", "no"):
            raise InputError(f"The switch {name} is yes or no, not '{value}'.")
        return value == "yes"
    if kind is int:
        if not value.isdigit():
            raise InputError(f"The switch {name} is a whole number, not '{value}'.")
        return int(value)
    return value
