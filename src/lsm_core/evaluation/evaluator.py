"""The one evaluator: a sample goes through a backend and is compared with the truth as the switches say."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lsm_core.backends.base import Backend
from lsm_core.data.views import PosedView, ViewSample
from lsm_core.evaluation.depth_metrics import DepthError, depth_error
from lsm_core.evaluation.drawn_labels import drawn_labels
from lsm_core.evaluation.grid import grid_intrinsics, sample_on_grid
from lsm_core.evaluation.image_metrics import ImageError, image_error
from lsm_core.evaluation.pose_metrics import FAILED_POSE, pose_error
from lsm_core.evaluation.prepared import in_baselines
from lsm_core.evaluation.sample_scores import Labels, SampleScores
from lsm_core.evaluation.switches import Switches
from lsm_core.evaluation.target_alignment import released_alignment
from lsm_core.geometry.camera import transform_points, unproject
from lsm_core.geometry.pose_refinement import ALIGN
from lsm_core.geometry.se3 import relative
from lsm_core.nn.lpips import Lpips
from lsm_core.render import render
from lsm_core.training.dust3r_losses import optimal_scale
from lsm_core.training.masked_losses import DepthView, loss_mask
from lsm_core.types import Camera, Prediction

BASELINES = ("baseline", "predicted-baseline")
COVERED = 0.5  # of alpha: where less is drawn, nothing is claimed


@dataclass(frozen=True, eq=False)
class Drawn:
    """A target view as it should be and as it was drawn, [h, w, 3] in [0, 1]."""

    true: Tensor
    rgb: Tensor


@dataclass(frozen=True, eq=False)
class Evaluator:
    """Measures one backend with one set of switches.

    Attributes:
        backend: that is measured.
        switches: how.
        more_images: further ways to score drawn images, by name.
        texts: classes asked for, label k + 1 of the data being text k; empty for none.
        lpips: on the backend's device; None leaves LPIPS out.
    """

    backend: Backend
    switches: Switches
    more_images: Mapping[str, Switches] = field(default_factory=dict)
    texts: tuple[str, ...] = ()
    lpips: Lpips | None = None

    def measure(
        self, sample: ViewSample, name: str = "", group: str = "", labels: Labels | None = None
    ) -> tuple[SampleScores, list[Drawn]] | None:
        """Predict a sample and compare.

        Args:
            sample: at the size that it is compared at.
            name, group: for the scores.
            labels: counts classes, where the sample has labels and texts are asked for.

        Returns:
            The scores and the targets drawn; None where the unit of the sample cannot be had (no baseline).
        """
        own = in_baselines(sample) if self.switches.scene_unit in BASELINES else sample
        if own is None:
            return None
        start = time.perf_counter()
        prediction = self._predict(own)
        seconds = time.perf_counter() - start
        found = all(prediction.pose_valid)
        T_true = _between(own.context[0], own.context[-1])
        cameras = self._cameras(own, prediction)
        targets = cameras[len(own.context) :]
        drawn = [self._draw(prediction, camera, view) for camera, view in zip(targets, own.targets, strict=False)]
        if labels is not None and self.texts and cameras:
            self._count_labels(own, prediction, cameras, labels)
        scores = SampleScores(
            name=name or own.scene,
            scene=own.scene,
            group=group,
            pose=pose_error(T_true, prediction.poses[-1]) if found else FAILED_POSE,
            depth=self._depth(own, prediction),
            images=self._images(own, drawn),
            seconds=seconds,
        )
        return scores, [picture for picture, _ in drawn]

    def _predict(self, sample: ViewSample) -> Prediction:
        views = sample.context
        told = self.switches.intrinsics == "given" or self.backend.needs_intrinsics
        K = [torch.from_numpy(v.K) for v in views] if told else None
        poses = [_between(views[0], v) for v in views] if self.backend.needs_poses else None
        return self.backend.predict([v.image for v in views], K, poses)

    def _cameras(self, sample: ViewSample, prediction: Prediction) -> list[Camera]:
        """Return the true cameras of context and targets in the unit of the prediction.

        Those of targets are moved where that is asked for. Whether the model finds a pose does not matter here: its
        Gaussians are in camera 0 all the same. None where there are no Gaussians, or no unit.
        """
        scale = self._units_per_true(sample, prediction)
        if scale is None or prediction.gaussians is None or not len(prediction.gaussians):
            return []
        cameras = [_camera(view, _between(sample.context[0], view), scale) for view in sample.context]
        for view in sample.targets:
            camera = _camera(view, _between(sample.context[0], view), scale)
            if self.switches.pose_align_steps:
                align = released_alignment(
                    self.backend.device, replace(ALIGN, steps=self.switches.pose_align_steps), self.lpips
                )
                camera = align(prediction.gaussians, camera, _picture(view))
            cameras.append(camera)
        return cameras

    def _units_per_true(self, sample: ViewSample, prediction: Prediction) -> float | None:
        """Return units of the prediction per unit of the sample; None where it cannot be known."""
        way = self.switches.scene_unit
        if way in ("as-predicted", "baseline") or self.backend.needs_poses:
            return 1.0
        if way == "predicted-baseline":
            length = float(prediction.poses[-1][:3, 3].norm())
            return length if prediction.pose_valid[-1] and length > 0 else None
        depths = [_grid_depth(prediction, k, view) for k, view in enumerate(sample.context)]
        if way == "depth":
            true = depths[0]
            predicted = prediction.depth(0).detach().cpu()
            known = None if true is None else (true > 0) & (predicted > 0)
            if true is None or known is None or not bool(known.any()):
                return None
            return 1 / float((true[known] / predicted[known]).median())
        return _scale_of_points(sample, prediction, depths)

    def _draw(self, prediction: Prediction, camera: Camera, view: PosedView) -> tuple[Drawn, Tensor]:
        """Return a target drawn, and its alpha [h, w]."""
        assert prediction.gaussians is not None
        seen = render(replace(prediction.gaussians, features=None), camera)
        return Drawn(_picture(view), seen.rgb.detach().cpu().float()), seen.alpha.detach().cpu()

    def _images(self, sample: ViewSample, drawn: list[tuple[Drawn, Tensor]]) -> dict[str, tuple[ImageError, ...]]:
        """Return the errors of the drawn targets, in every way they are scored."""
        if not drawn:
            return {}
        device = self.backend.device
        ways = {"": self.switches, **self.more_images}
        return {
            name: tuple(
                image_error(p.true.to(device), p.rgb.to(device), way, self.lpips, self._mask(sample, view, a, way))
                for view, (p, a) in zip(sample.targets, drawn, strict=True)
            )
            for name, way in ways.items()
        }

    def _mask(self, sample: ViewSample, view: PosedView, alpha: Tensor, way: Switches) -> Tensor | None:
        """Return which pixels of a target count, None for all."""
        if way.image_mask == "none":
            return None
        if way.image_mask == "covered":
            return (alpha >= COVERED).to(self.backend.device)
        seen = loss_mask([_depth_view(view)], [_depth_view(v) for v in sample.context])
        return seen[0, 0].to(self.backend.device)

    def _depth(self, sample: ViewSample, prediction: Prediction) -> tuple[DepthError, ...]:
        errors = []
        for k, view in enumerate(sample.context):
            true = _grid_depth(prediction, k, view)
            if true is not None and prediction.pose_valid[k]:
                own = prediction.depth(k).detach().cpu().float()
                errors.append(depth_error(own, true, self.switches.depth_alignment))
        return tuple(errors)

    def _count_labels(
        self, sample: ViewSample, prediction: Prediction, cameras: list[Camera], labels: Labels
    ) -> None:
        """Count classes drawn on the given views and on the targets, both from their true cameras."""
        assert prediction.gaussians is not None
        given = len(sample.context)
        for k, (view, camera) in enumerate(zip((*sample.context, *sample.targets), cameras, strict=True)):
            if view.label is not None:
                found = drawn_labels(self.backend, prediction.gaussians, camera, self.texts)
                (labels.given if k < given else labels.targets).add(_classes(view.label), found)


def _between(first: PosedView, second: PosedView) -> Tensor:
    """Return T_first_second [4, 4] float64."""
    return relative(torch.from_numpy(first.T_world_cam), torch.from_numpy(second.T_world_cam))


def _camera(view: PosedView, T_cam0_view: Tensor, scale: float) -> Camera:
    T = T_cam0_view.clone()
    T[:3, 3] *= scale
    height, width = view.size
    return Camera(torch.from_numpy(view.K.copy()), width, height, T.float())


def _picture(view: PosedView) -> Tensor:
    return torch.from_numpy(view.image.astype(np.float32)) / 255


def _classes(label: NDArray[np.int32]) -> NDArray[np.int64]:
    """Return classes from 0, -1 where unlabelled."""
    return label.astype(np.int64) - 1


def _grid_depth(prediction: Prediction, index: int, view: PosedView) -> Tensor | None:
    """Return the true depth on the prediction's grid, None where it is not known at all."""
    if view.depth is None or not (view.depth > 0).any():
        return None
    return sample_on_grid(prediction, index, torch.from_numpy(view.depth))


def _depth_view(view: PosedView) -> DepthView:
    depth = np.zeros(view.size, np.float32) if view.depth is None else view.depth
    T = torch.from_numpy(view.T_world_cam).float()
    return DepthView(torch.from_numpy(depth)[None], torch.from_numpy(view.K)[None], T[None])


def _scale_of_points(sample: ViewSample, prediction: Prediction, depths: list[Tensor | None]) -> float | None:
    """Return the scale between predicted and true pointmaps of all context views in camera 0, as LSM finds it."""
    predicted, true, valid = [], [], []
    for k, (view, depth) in enumerate(zip(sample.context, depths, strict=True)):
        if depth is None:
            continue
        in_camera = unproject(depth, grid_intrinsics(prediction, k, torch.from_numpy(view.K)))
        own = prediction.pointmaps[k].detach().cpu().float()
        true.append(transform_points(_between(sample.context[0], view).float(), in_camera)[None])
        valid.append(((depth > 0) & own.isfinite().all(-1))[None])
        predicted.append(own.nan_to_num()[None])
    if not valid or not any(bool(v.any()) for v in valid):
        return None
    return float(optimal_scale(predicted, true, valid)[0])
