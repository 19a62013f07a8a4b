"""LSM's test protocol on ScanNet: a frame between two others, eight per scene."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from lsm_core.data.formats.scannet_lsm_test import ScanNetLsmTest
from lsm_core.data.formats.scene import Dataset
from lsm_core.data.test_sets.samples import Choice, ChosenSamples
from lsm_core.errors import FileFormatError

EVERY, TESTED = 8, (1, 4)  # frames whose number modulo 8 is 1 or 4
Roles = Literal["between", "released"]


def lsm_scannet_samples(root: Path, roles: Roles = "between") -> ChosenSamples:
    """Return the samples of LSM's test set.

    Args:
        root: the unpacked `scannet_test.tar`.
        roles: "between" gives t-1 and t+1 and asks for t, as paper and documentation say; "released" gives t-1 and
            t and asks for t+1, as the released loader hands them out (spec_lsm section 0.10). Neighbours beyond the
            ends are the end frames.

    Raises:
        FileFormatError: it is no such folder.
    """
    if not ScanNetLsmTest.recognises(root):
        raise FileFormatError(f"'{root}' is not LSM's test set.", f"Its layout is {ScanNetLsmTest.layout}.")
    dataset = ScanNetLsmTest(root)
    return ChosenSamples(dataset, [c for scene in dataset.scenes for c in scene_choices(dataset, scene, roles)])


def scene_choices(dataset: Dataset, scene: str, roles: Roles) -> list[Choice]:
    """Return the choices of one scene, in frame order."""
    count = len(dataset.scene(scene))
    choices = []
    for t in (t for t in range(count) if t % EVERY in TESTED):
        before, after = max(t - 1, 0), min(t + 1, count - 1)
        context, target = ((before, after), t) if roles == "between" else ((before, t), after)
        choices.append(Choice(scene, context, (target,)))
    return choices
