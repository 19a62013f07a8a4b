"""Readers of real data sets, one format per file; `open_dataset` finds the right one by looking."""

from __future__ import annotations

from pathlib import Path

from lsm_core.data.formats.nyuv2 import NyuV2
from lsm_core.data.formats.posed_folder import PosedFolder
from lsm_core.data.formats.ros_bag import RosBags
from lsm_core.data.formats.scannet1500 import ScanNet1500
from lsm_core.data.formats.scannet_export import ScanNetExport
from lsm_core.data.formats.scannet_lsm import ScanNetLsm
from lsm_core.data.formats.scannet_lsm_test import ScanNetLsmTest
from lsm_core.data.formats.scannetpp_lsm import ScanNetppLsm
from lsm_core.data.formats.scannetpp_splatt3r import ScanNetppSplatt3r
from lsm_core.data.formats.scene import Dataset, Scene
from lsm_core.data.formats.seven_scenes import SevenScenes
from lsm_core.data.formats.torch_chunks import TorchChunks
from lsm_core.data.formats.tum_rgbd import TumRgbd
from lsm_core.errors import FileFormatError, InputError

# In the order in which they are tried: those with a mark of their own first.
FORMATS: tuple[type[Dataset], ...] = (
    RosBags,
    TorchChunks,
    ScanNetLsmTest,
    ScanNet1500,
    ScanNetLsm,
    ScanNetExport,
    ScanNetppLsm,
    ScanNetppSplatt3r,
    SevenScenes,
    TumRgbd,
    NyuV2,
    PosedFolder,
)


def open_dataset(root: str | Path, format: str | None = None) -> Dataset:
    """Open a data set; no picture is read.

    Args:
        root: its folder or file.
        format: name of the format; None to find it out.

    Raises:
        FileFormatError: nothing is there, or it is of no known format.
        InputError: no format of that name.
    """
    path = Path(root)
    if not path.exists():
        raise FileFormatError(f"There is no '{path}'.", "Pass the folder of a data set, or a bag.")
    if format is not None:
        named = next((kind for kind in FORMATS if kind.format == format), None)
        if named is None:
            raise InputError(f"There is no format '{format}'.", f"Known: {', '.join(k.format for k in FORMATS)}.")
        if not named.recognises(path):
            raise FileFormatError(f"'{path}' does not look like {format}.", f"Its layout is {named.layout}.")
        return named(path)
    for kind in FORMATS:
        if kind.recognises(path):
            return kind(path)
    raise FileFormatError(
        f"'{path}' is of no known layout.",
        "docs/data.md shows the layouts; the folder to pass is the one above the scenes, or a scene.",
    )


__all__ = ["FORMATS", "Dataset", "Scene", "open_dataset"]
