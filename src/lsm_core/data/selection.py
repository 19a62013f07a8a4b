"""Which frames of a scene make a training sample: context views, and target views to draw."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from lsm_core.data.overlap import seen_share
from lsm_core.data.views import PosedView, ViewSample
from lsm_core.errors import FileFormatError, InputError
from lsm_core.types import Unit

_log = logging.getLogger(__name__)
Rng = np.random.Generator
TRIES = 20


class FrameScene(Protocol):
    """Frames of one place in the order they were taken, read when asked for."""

    name: str
    unit: Unit

    def __len__(self) -> int: ...

    def usable(self) -> list[int]:
        """Return the frames that have a pose, in order."""
        ...

    def view(self, index: int) -> PosedView:
        """Read one frame."""
        ...


@dataclass(frozen=True)
class Selection:
    """How frames are chosen.

    Attributes:
        targets: views to draw.
        gap: smallest and largest distance in frames between first and last context view when training starts.
        final_gap: the same after `gap_steps` steps, reached linearly; None keeps `gap`.
        gap_steps: how long the gap grows, rounded towards its start as the released samplers do.
        multiple: the gap is a multiple of this.
        place: where targets lie: the "middle" frame between two context views, frames drawn "between" them (ends
            included), or drawn within a gap "around" them.
        min_overlap: a second context view that sees less of the first one is drawn again, twenty times at most;
            above 0 this needs depth.
        swap: half of the samples have the later frame first.
    """

    targets: int = 1
    gap: tuple[int, int] = (1, 4)
    final_gap: tuple[int, int] | None = None
    gap_steps: int = 0
    multiple: int = 1
    place: Literal["middle", "between", "around"] = "between"
    min_overlap: float = 0.0
    swap: bool = False

    def gap_at(self, step: int) -> tuple[int, int]:
        """Return the smallest and largest gap at a step."""
        if self.final_gap is None:
            return self.gap
        share = min(step / self.gap_steps, 1.0) if self.gap_steps else 1.0
        low, high = (a + int(share * (b - a)) for a, b in zip(self.gap, self.final_gap, strict=True))
        return low, high


class SceneSource:
    """Draws samples from scenes, each scene equally often; see `lsm_core.data.views.SampleSource`.

    Args:
        scenes: at least one with enough frames; further ones are opened when they are drawn.
        selection: which frames.

    Raises:
        InputError: no scene has as many usable frames as the smallest gap needs.
    """

    def __init__(self, scenes: Sequence[FrameScene], selection: Selection) -> None:
        self.scenes, self.selection = scenes, selection
        self._needed = max(min(selection.gap[0], (selection.final_gap or selection.gap)[0]) + 1, 2)
        self._frames: dict[int, list[int]] = {}
        if not any(self._long_enough(number) for number in range(len(scenes))):
            raise InputError(
                f"None of {len(scenes)} scenes has {self._needed} frames with poses.",
                "Bring longer scenes, or choose a smaller gap (selection: {gap: [1, 4]} in the --config file).",
            )

    def draw(self, rng: Rng, step: int) -> ViewSample:
        """Draw one sample."""
        best: tuple[float, ViewSample] | None = None
        for _ in range(TRIES):
            scene, frames = self._scene(rng)
            first, last = self._context(rng, step, len(frames))
            context = tuple(scene.view(frames[k]) for k in (first, last))
            overlap = _overlap(*context) if self.selection.min_overlap > 0 else None
            places = self._targets(rng, first, last, len(frames))
            if overlap is None:
                return self._sample(scene, frames, context, places, None)
            if best is None or overlap > best[0]:
                best = (overlap, self._sample(scene, frames, context, places, overlap))
            if overlap >= self.selection.min_overlap:
                break
        assert best is not None
        return best[1]

    def _scene(self, rng: Rng) -> tuple[FrameScene, list[int]]:
        """Draw a scene that is long enough, and its frames."""
        number = int(rng.integers(len(self.scenes)))
        while not self._long_enough(number):
            number = int(rng.integers(len(self.scenes)))
        return self.scenes[number], self._frames[number]

    def _long_enough(self, number: int) -> bool:
        """Whether a scene has enough frames; it is looked into once, one that cannot be opened has none."""
        if number not in self._frames:
            try:
                self._frames[number] = self.scenes[number].usable()
            except FileFormatError as error:
                _log.warning("%s (this scene is left out)", error)
                self._frames[number] = []
        return len(self._frames[number]) >= self._needed

    def _context(self, rng: Rng, step: int, count: int) -> tuple[int, int]:
        """Return the places of the two context views in the list of frames."""
        low, high = self.selection.gap_at(step)
        multiple = self.selection.multiple
        gap = multiple * int(rng.integers(-(-low // multiple), high // multiple + 1))
        gap = max(1, min(gap, count - 1))
        first = int(rng.integers(count - gap))
        if self.selection.swap and rng.random() < 0.5:
            return first + gap, first
        return first, first + gap

    def _targets(self, rng: Rng, first: int, last: int, count: int) -> list[int]:
        low, high, place = min(first, last), max(first, last), self.selection.place
        if place == "middle":
            return [(low + high) // 2] * self.selection.targets
        if place == "around":
            low, high = max(0, low - (high - low)), min(count - 1, high + (high - low))
        return [int(rng.integers(low, high + 1)) for _ in range(self.selection.targets)]

    def _sample(
        self,
        scene: FrameScene,
        frames: list[int],
        context: tuple[PosedView, ...],
        places: list[int],
        overlap: float | None,
    ) -> ViewSample:
        targets = tuple(scene.view(frames[k]) for k in places)
        return ViewSample(scene.name, context, targets, scene.unit, overlap)


def _overlap(first: PosedView, second: PosedView) -> float:
    """Return the share of the first view's pixels that the second sees.

    Raises:
        InputError: a view has no depth.
    """
    if first.depth is None or second.depth is None:
        raise InputError(
            f"View '{first.name if first.depth is None else second.name}' has no depth, which an overlap needs.",
            "Set selection: {min_overlap: 0} in the --config file, or bring data with depth.",
        )
    return seen_share(first.depth, first.K, first.T_world_cam, second.depth, second.K, second.T_world_cam)
