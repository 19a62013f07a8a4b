"""Pictures of one scene from any camera: colour, depth, normals, features, masks, relevancy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from lsm_core.backends.base import Backend
from lsm_core.errors import InputError, UnsupportedError
from lsm_core.io.colormaps import NOTHING, RgbImage, color_share
from lsm_core.io.file_words import file_word
from lsm_core.io.overlays import labels_of_masks, overlay_labels
from lsm_core.io.scale_bars import DepthScale, beside, legend_bar, score_bar
from lsm_core.query.drawn_features import feature_camera, gaussian_feature_width, render_features
from lsm_core.query.text_scorer import TextScorer
from lsm_core.query.text_to_mask import QueryConfig
from lsm_core.render import render
from lsm_core.render.surface_depth import surface_depth
from lsm_core.types import Camera, RenderResult
from lsm_core.views.field_colors import FieldPalette
from lsm_core.views.framing import render_small
from lsm_core.views.normal_maps import color_normals, scene_normals
from lsm_core.views.scene import Scene

BACKGROUND = (0.094, 0.102, 0.118)
_NOTHING = np.array(NOTHING, np.uint8)


class Kind(StrEnum):
    """What a picture shows."""

    RGB = "rgb"
    DEPTH = "depth"
    NORMALS = "normals"
    FEATURES = "features"
    MASKS = "masks"
    RELEVANCY = "relevancy"


@dataclass(frozen=True)
class Question:
    """Texts to look for, and the backend that made the scene's features."""

    backend: Backend
    texts: Sequence[str]
    config: QueryConfig = field(default_factory=QueryConfig)


class Painter:
    """Draws the wanted kinds; what must not change along a path (depth scale, feature colours) is fixed here.

    Args:
        scene: what is drawn.
        kinds: what is wanted.
        cameras: of the whole path; the depth scale is taken from some of them.
        question: for masks and relevancy.

    Raises:
        UnsupportedError: features are wanted and the scene has none, or the backend did not make them.
        InputError: masks or relevancy without a question.
    """

    def __init__(
        self, scene: Scene, kinds: Sequence[Kind], cameras: Sequence[Camera], question: Question | None = None
    ) -> None:
        self.scene, self.kinds = scene, tuple(dict.fromkeys(kinds))
        asked = {Kind.MASKS, Kind.RELEVANCY} & set(self.kinds)
        if asked and question is None:
            raise InputError(f"Pictures of {' and '.join(sorted(asked))} need words.", "Add --query WORD.")
        if Kind.FEATURES in self.kinds and scene.gaussians.features is None:
            raise UnsupportedError(
                "The scene has no language features, so there are none to show.",
                "Use a backend that makes them (lsm-tiny, lsm), or leave 'features' out.",
            )
        self.depth_scale = depth_scale(scene, cameras) if Kind.DEPTH in self.kinds else None
        self._palette = FieldPalette.of(scene.gaussians) if Kind.FEATURES in self.kinds else None
        self._config = question.config if question else QueryConfig()
        self._scorer: TextScorer | None = None
        if asked and question is not None:
            width = gaussian_feature_width(question.backend, scene.gaussians)
            self._scorer = TextScorer(question.backend, question.texts, width, self._config)
        self._bare = replace(scene.gaussians, features=None)

    def paint(self, camera: Camera) -> dict[str, RgbImage]:
        """Draw every kind wanted, by name ("rgb", ..., "relevancy_chair"), each with its bar or legend."""
        seen = render(self._bare, camera, background=BACKGROUND)
        rgb, surface = _bytes(seen.rgb), _surface(seen)
        pictures: dict[str, RgbImage] = {}
        if Kind.RGB in self.kinds:
            pictures["rgb"] = rgb
        if self.depth_scale is not None:
            pictures["depth"] = beside(self.depth_scale.color(surface), self.depth_scale.bar(camera.height))
        if Kind.NORMALS in self.kinds:
            normals = color_normals(scene_normals(self._bare, seen, camera))
            pictures["normals"] = np.where(surface[..., None] > 0, normals, _NOTHING)
        if self._palette is not None or self._scorer is not None:
            small = render_features(self.scene.gaussians, feature_camera(camera, self._config))
            pictures |= self._paint_features(small, rgb, surface > 0)
        return pictures

    def _paint_features(
        self, small: RenderResult, rgb: RgbImage, covered: NDArray[np.bool_]
    ) -> dict[str, RgbImage]:
        """Draw what needs language features, drawn on the smaller grid `small`."""
        size = (rgb.shape[1], rgb.shape[0])
        pictures: dict[str, RgbImage] = {}
        if self._palette is not None:
            assert small.features is not None
            colours = cv2.resize(self._palette.color(small.features), size, interpolation=cv2.INTER_CUBIC)
            pictures["features"] = np.where(covered[..., None], colours, _NOTHING)
        if self._scorer is None:
            return pictures
        scores = cv2.resize(self._scorer.rendered(small).numpy(), size, interpolation=cv2.INTER_LINEAR)
        per_text = list(scores.reshape(*covered.shape, -1).transpose(2, 0, 1))
        texts = self._scorer.texts
        if Kind.MASKS in self.kinds:
            masks = [(score >= self._config.threshold) & covered for score in per_text]
            tinted = overlay_labels(rgb, labels_of_masks(masks, per_text), len(texts))
            pictures["masks"] = np.vstack([tinted, legend_bar(texts, *size)])
        if Kind.RELEVANCY in self.kinds:
            for name, score in zip(_unlike([file_word(text) for text in texts]), per_text, strict=True):
                pictures[f"relevancy_{name}"] = beside(paint_relevancy(rgb, score), score_bar(size[1]))
        return pictures


def depth_scale(scene: Scene, cameras: Sequence[Camera], count: int = 7) -> DepthScale:
    """Return a depth scale that fits a whole path: the 2nd to 98th percentile over some of its views."""
    found = []
    for index in np.unique(np.linspace(0, len(cameras) - 1, count).round().astype(int)):
        seen = render_small(scene.gaussians, cameras[index])
        surface = _surface(seen)
        found.append(surface[surface > 0])
    depths = np.concatenate(found)
    near, far = np.percentile(depths, (2, 98)) if len(depths) else (1.0, 2.0)
    return DepthScale(float(near), max(float(far), 1.05 * float(near)), scene.unit == "metric")


def paint_relevancy(rgb: RgbImage, score: NDArray[np.float32]) -> RgbImage:
    """Lay the heat of a score [H, W] over the greyed picture: the higher, the less of the picture is left."""
    grey = cv2.cvtColor(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB).astype(np.float32)
    share = (0.25 + 0.6 * np.clip(score, 0, 1))[..., None]
    return np.clip((1 - share) * 0.8 * grey + share * color_share(score), 0, 255).astype(np.uint8)


def parse_kinds(words: Sequence[str]) -> list[Kind]:
    """Read kinds from words such as "rgb,depth"; "all" is every kind.

    Raises:
        InputError: an unknown word.
    """
    parts = [part.strip().lower() for word in words for part in word.split(",") if part.strip()]
    known = {kind.value: kind for kind in Kind}
    for part in parts:
        if part != "all" and part not in known:
            raise InputError(f"There is no picture of '{part}'.", f"Known: {', '.join(known)}, all.")
    return list(Kind) if "all" in parts else [known[part] for part in parts]


def _unlike(names: Sequence[str]) -> list[str]:
    """Number names that occurred before, so that no two are the same."""
    return [name if name not in names[:i] else f"{name}_{i}" for i, name in enumerate(names)]


def _bytes(rgb: torch.Tensor) -> RgbImage:
    return np.ascontiguousarray((255 * rgb.detach().cpu().numpy()).round(), np.uint8)


def _surface(seen: RenderResult) -> NDArray[np.float32]:
    """Return the depth [H, W] of the surface seen, 0 where there is none."""
    return surface_depth(seen).cpu().float().numpy()
