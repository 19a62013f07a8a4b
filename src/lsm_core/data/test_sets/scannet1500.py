"""The 1500 ScanNet pairs that poses are measured on."""

from __future__ import annotations

from pathlib import Path

from lsm_core.data.formats.scannet1500 import ScanNet1500
from lsm_core.data.test_sets.samples import Choice, ChosenSamples
from lsm_core.errors import FileFormatError


def scannet1500_samples(root: Path) -> ChosenSamples:
    """Return the pairs in the list's order; each sample has two context views and no target.

    Raises:
        FileFormatError: there is no pair list in the folder.
    """
    if not ScanNet1500.recognises(root):
        raise FileFormatError(f"'{root}' has no ScanNet-1500 pair list.", f"Its layout is {ScanNet1500.layout}.")
    dataset = ScanNet1500(root)
    return ChosenSamples(dataset, [Choice(name, (0, 1)) for name in dataset.scenes])
