"""What a data set holds and what is missing: a few scenes are read, frames and pairs counted, faults named."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from lsm_core.data.formats.scene import Dataset, Scene
from lsm_core.data.scene_pairs import PairRules, moving_frames, pairs_by_motion, pairs_by_overlap
from lsm_core.data.views import PosedView
from lsm_core.errors import FileFormatError
from lsm_core.types import Unit

PROBLEMS_SHOWN = 5
READ_FRAMES = 24  # pictures decoded per scene
LEARNABLE_DEPTH = 0.2

Rule = Literal["overlap", "camera motion", "none"]


@dataclass(frozen=True, eq=False)
class SceneReport:
    """What one scene holds.

    Attributes:
        name: of the scene.
        frames: in it.
        usable: of them, those whose files are there and whose pose is sound.
        moving: of those, where the camera moved or turned since the last one.
        read: of those, how many pictures were decoded (the first ones), all without an error.
        pairs: among those read.
        rule: how pairs were chosen; "none" without poses.
        size: (width, height) of the pictures read.
        depth_share: mean share of their pixels with depth, or None.
        path_m: length of the camera's way, metres; None without metric poses.
        problems: of frames that cannot be used, the first few; `unusable` counts all.
        views: those read, for a contact sheet.
    """

    name: str
    unit: Unit = "metric"
    frames: int = 0
    usable: int = 0
    moving: int = 0
    read: int = 0
    pairs: int = 0
    rule: Rule = "none"
    size: tuple[int, int] | None = None
    depth_share: float | None = None
    path_m: float | None = None
    has_poses: bool = False
    has_depth: bool = False
    has_labels: bool = False
    problems: tuple[str, ...] = ()
    views: tuple[PosedView, ...] = field(default=(), repr=False)

    @property
    def unusable(self) -> int:
        """Frames that cannot be used."""
        return self.frames - self.usable

    @property
    def trains_tiny(self) -> bool:
        """Whether `lsm train tiny --bags` can learn from it."""
        enough = (self.depth_share or 0) >= LEARNABLE_DEPTH
        return self.unit == "metric" and self.rule == "overlap" and self.pairs > 0 and enough


def inspect_scene(scene: Scene, rules: PairRules, most: int = READ_FRAMES) -> SceneReport:
    """Look at one scene; faulty frames are reported, not raised."""
    found = [scene.problem(i) for i in range(len(scene))]
    problems = [p for p in found if p is not None]
    chosen = moving_frames(scene, rules) if scene.has_poses else scene.usable()
    views: list[PosedView] = []
    read: list[int] = []
    for index in chosen[:most]:
        try:
            views.append(scene.view(index))
            read.append(index)
        except FileFormatError as error:
            problems.append(str(error))
    shares = [float(np.mean(v.depth > 0)) for v in views if v.depth is not None]
    rule: Rule = "none" if not scene.has_poses else "overlap" if len(shares) > 1 else "camera motion"
    if rule == "overlap":
        pairs = len(pairs_by_overlap(views, rules))
    else:
        poses = [v.T_world_cam for v in views]
        pairs = len(pairs_by_motion(poses, scene.unit == "metric", rules)) if rule == "camera motion" else 0
    path = np.array([scene.pose(i)[:3, 3] for i in chosen]).reshape(-1, 3)
    metric = scene.has_poses and scene.unit == "metric"
    return SceneReport(
        name=scene.name,
        unit=scene.unit,
        frames=len(scene),
        usable=sum(p is None for p in found),
        moving=len(chosen),
        read=len(read),
        pairs=pairs,
        rule=rule,
        size=views[0].size[::-1] if views else None,
        depth_share=float(np.mean(shares)) if shares else None,
        path_m=float(np.linalg.norm(np.diff(path, axis=0), axis=1).sum()) if metric else None,
        has_poses=scene.has_poses,
        has_depth=scene.has_depth,
        has_labels=scene.has_labels,
        problems=tuple(dict.fromkeys(problems))[:PROBLEMS_SHOWN],
        views=tuple(views),
    )


def inspect_dataset(dataset: Dataset, most_scenes: int, most_frames: int = READ_FRAMES) -> list[SceneReport]:
    """Look at the first scenes of a data set; a scene that cannot be opened is reported by its error."""
    reports = []
    for name in dataset.scenes[:most_scenes]:
        try:
            reports.append(inspect_scene(dataset.scene(name), PairRules(), most_frames))
        except FileFormatError as error:
            reports.append(SceneReport(name, problems=(str(error),)))
    return reports
