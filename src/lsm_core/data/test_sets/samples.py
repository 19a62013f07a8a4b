"""Samples chosen once, read one by one: what a test set is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import overload

from lsm_core.data.formats.scene import Dataset, Scene
from lsm_core.data.views import ViewSample
from lsm_core.errors import FileFormatError

KEPT_SCENES = 4


@dataclass(frozen=True)
class Choice:
    """Which frames of a scene make one sample, by index.

    Attributes:
        scene: name in the data set.
        context: frames that a model sees, in its order.
        targets: frames that it has to draw.
        overlap: of the context views, where the list tells it.
    """

    scene: str
    context: tuple[int, ...]
    targets: tuple[int, ...] = ()
    overlap: float | None = None


class ChosenSamples(Sequence[ViewSample]):
    """The samples of a list, in its order; a picture is read when its sample is asked for.

    Args:
        dataset: where the scenes are.
        choices: of the list.
        missing: scenes that the list names and the data do not have (left out of the choices).
    """

    def __init__(self, dataset: Dataset, choices: Sequence[Choice], missing: Sequence[str] = ()) -> None:
        self.dataset, self.choices, self.missing = dataset, tuple(choices), tuple(missing)
        self._scene = lru_cache(maxsize=KEPT_SCENES)(dataset.scene)

    def __len__(self) -> int:
        return len(self.choices)

    @overload
    def __getitem__(self, index: int) -> ViewSample: ...
    @overload
    def __getitem__(self, index: slice) -> ChosenSamples: ...
    def __getitem__(self, index: int | slice) -> ViewSample | ChosenSamples:
        """Read one sample; a slice reads nothing.

        Raises:
            FileFormatError: a frame is missing or damaged.
        """
        if isinstance(index, slice):
            return ChosenSamples(self.dataset, self.choices[index], self.missing)
        choice = self.choices[index]
        scene = self._scene(choice.scene)
        _check_range(scene, choice)
        context, targets = ([scene.view(i) for i in chosen] for chosen in (choice.context, choice.targets))
        return ViewSample(choice.scene, tuple(context), tuple(targets), scene.unit, choice.overlap)


def _check_range(scene: Scene, choice: Choice) -> None:
    """Refuse frames that the scene does not have."""
    outside = [i for i in (*choice.context, *choice.targets) if not 0 <= i < len(scene)]
    if outside:
        raise FileFormatError(
            f"Scene '{scene.name}' has {len(scene)} frames, but the list asks for frame {outside[0]}.",
            "List and data must be of the same release.",
        )
