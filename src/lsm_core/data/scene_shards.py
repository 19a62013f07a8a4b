"""From recordings with depth and metric poses to the shards that lsm-tiny is trained from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lsm_core.data.formats.scene import Scene
from lsm_core.data.scene_pairs import PairRules, moving_frames, pairs_by_overlap
from lsm_core.data.shards import FrameShard, save_shard
from lsm_core.data.views import PosedView
from lsm_core.errors import FileFormatError

COVER = (288, 256)  # (width, height): pictures are scaled down until they just cover the largest training grids
FRAMES_PER_SHARD = 100
MIN_WITH_DEPTH = 0.2  # of a picture's pixels; pictures with less are left out
HELD_OUT = 0.1  # share of the frames, at the end of each recording, kept for validation
MIN_FRAMES = 40  # of a recording, from which on some are held out

Labeller = Callable[[FrameShard], NDArray[np.uint8]]
Report = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Recorded:
    """What was taken from one recording; goes into the card of the weights that are trained on it."""

    name: str
    format: str
    frames: int
    pairs: int
    held_out_pairs: int
    path_m: float

    def card(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {**vars(self), "path_m": round(self.path_m, 1)}


class SceneSharder:
    """Writes the pairs of recordings below one folder: ``train/shard_*.npz``, of long ones ``val/`` too.

    Args:
        folder: made where missing.
        rules: which frames and pairs.
        label: names the pixels of a shard; without it they are void.
        report: called with the scene's name, pictures read and pictures to read.
    """

    def __init__(
        self,
        folder: Path,
        rules: PairRules | None = None,
        label: Labeller | None = None,
        report: Report | None = None,
    ) -> None:
        self.folder, self.rules, self.label, self.report = folder, rules or PairRules(), label, report
        self._recordings = 0

    def add(self, scene: Scene, format: str) -> Recorded:
        """Write one recording; its number is the `room` of its frames.

        Args:
            scene: with poses and depth in metres.
            format: what it was read as, for the card.

        Raises:
            FileFormatError: no depth, no metric poses, or no pair to learn from.
        """
        require_depth(scene)
        chosen = moving_frames(scene, self.rules)
        split = len(chosen) - (round(HELD_OUT * len(chosen)) if len(chosen) >= MIN_FRAMES else 0)
        train = self._write(scene, chosen, range(split), "train")
        held_out = self._write(scene, chosen, range(split, len(chosen)), "val")
        self._recordings += 1
        if not train:
            raise FileFormatError(
                f"'{scene.name}' has no pair to learn from: {len(scene)} pictures, {len(chosen)} of them usable "
                f"and apart; pictures count where {MIN_WITH_DEPTH:.0%} of their pixels have depth.",
                "Drive or carry the camera through the place, with depth recorded and poses that move.",
            )
        shards = [*train, *held_out]
        pairs, held_out_pairs = (sum(len(s.pairs) for s in part) for part in (train, held_out))
        places = np.concatenate([s.T_world_cam[:, :3, 3] for s in shards])
        path_m = float(np.linalg.norm(np.diff(places, axis=0), axis=1).sum())
        return Recorded(scene.name, format, len(places), pairs, held_out_pairs, path_m)

    def _write(self, scene: Scene, chosen: list[int], part: range, name: str) -> list[FrameShard]:
        """Write one part of a recording; return its shards, pictures left out."""
        written = []
        for number, start in enumerate(range(part.start, part.stop, FRAMES_PER_SHARD)):
            views = self._views(scene, chosen, range(start, min(part.stop, start + FRAMES_PER_SHARD)))
            shard = _stacked(views, self._recordings, self.rules)
            if shard is None:
                continue
            shard = shard if self.label is None else replace(shard, label=self.label(shard))
            (self.folder / name).mkdir(parents=True, exist_ok=True)
            save_shard(shard, self.folder / name / f"shard_{self._recordings:03d}{number:03d}.npz")
            written.append(replace(shard, rgb=shard.rgb[:0], depth=shard.depth[:0], label=shard.label[:0]))
        return written

    def _views(self, scene: Scene, chosen: list[int], places: range) -> list[PosedView]:
        """Read some of the chosen frames, those with enough depth."""
        views = []
        for place in places:
            if self.report is not None:
                self.report(scene.name, place, len(chosen))
            view = shrunk(scene.view(chosen[place]))
            if view.depth is not None and float((view.depth > 0).mean()) >= MIN_WITH_DEPTH:
                views.append(view)
        return views


def require_depth(scene: Scene) -> None:
    """Refuse recordings that lsm-tiny cannot learn from.

    Raises:
        FileFormatError: see there; depth decides matches, visibility, pose and points, so nothing but the focal
            length could be learned without it.
    """
    lacks = [w for w, has in (("poses", scene.has_poses), ("depth images", scene.has_depth)) if not has]
    if scene.unit != "metric":
        lacks.append("a metric unit")
    if lacks:
        raise FileFormatError(
            f"'{scene.name}' cannot train lsm-tiny: it lacks {' and '.join(lacks)}.",
            "What teaches it geometry is depth on the picture's pixels and poses in metres: record a depth topic "
            "(16UC1 or 32FC1, best aligned to colour) beside images, camera_info, odometry and /tf_static.",
        )


def shrunk(view: PosedView) -> PosedView:
    """Scale a view down until it just covers the training grids; smaller ones stay as they are."""
    height, width = view.size
    scale = max(COVER[0] / width, COVER[1] / height)
    if scale >= 1:
        return view
    size = (round(width * scale), round(height * scale))
    sx, sy = size[0] / width, size[1] / height
    S = np.array([[sx, 0, 0.5 * sx - 0.5], [0, sy, 0.5 * sy - 0.5], [0, 0, 1]])
    depth = None if view.depth is None else cv2.resize(view.depth, size, interpolation=cv2.INTER_NEAREST)
    image = np.asarray(cv2.resize(view.image, size, interpolation=cv2.INTER_AREA), np.uint8)
    K = (S @ view.K).astype(np.float32)
    return PosedView(
        image, K, view.T_world_cam, None if depth is None else np.asarray(depth, np.float32), name=view.name
    )


def _stacked(views: Sequence[PosedView], number: int, rules: PairRules) -> FrameShard | None:
    """Return the shard of some views, or None where they make no pair."""
    other = next((v for v in views if v.size != views[0].size), None)
    if other is not None:
        raise FileFormatError(
            f"'{other.name}' has another size than '{views[0].name}'.", "One recording must have one picture size."
        )
    found = pairs_by_overlap(views, rules)
    if not len(found):
        return None
    return FrameShard(
        rgb=np.stack([v.image for v in views]),
        depth=np.stack([np.asarray(v.depth, np.float16) for v in views]),
        label=np.zeros((len(views), *views[0].size), np.uint8),
        K=np.stack([v.K for v in views]),
        T_world_cam=np.stack([v.T_world_cam for v in views]).astype(np.float32),
        room=np.full(len(views), number, np.int32),
        pairs=found.pairs,
        overlap=found.overlap,
    )
