"""What a protocol is: samples, how they are cropped, every switch, and the rows a paper reports."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lsm_core.data.views import ViewSample
from lsm_core.evaluation.prepared import Crop
from lsm_core.evaluation.switches import Switches

# (data, list of samples or None) -> samples
OpenSamples = Callable[[Path, Path | None], Sequence[ViewSample]]


@dataclass(frozen=True)
class PaperRow:
    """A row of a published table.

    Attributes:
        label: method, and what the row is of where there are several.
        figures: by the names of `Protocol.figures`.
        source: publication and table.
        checked: whether the figures were compared with the publication itself; if not, they were taken from
            somebody's transcription.
        group: of samples that the row is of; empty for all.
        data: name of the list of samples that it is of, where a protocol has several; empty for any.
    """

    label: str
    figures: Mapping[str, float]
    source: str
    checked: bool = False
    group: str = ""
    data: str = ""


@dataclass(frozen=True)
class Figure:
    """A column: name of the figure, heading, format."""

    name: str
    heading: str
    spec: str = ".3f"


@dataclass(frozen=True)
class Protocol:
    """One way to measure, from data to table.

    Attributes:
        name: on the command line.
        title: for tables.
        backend: that the paper's rows are of; any other can be measured, too.
        samples: opens the test set.
        crop, side: bring pictures to the size that models see and images are compared at.
        switches: how predictions are compared.
        more_images: further ways to score the drawn images: name -> switches.
        figures: columns.
        rows: of the paper.
        data: what to pass as --data and --list, for messages and docs.
        texts: classes asked for, in the order of the data's labels from 1; empty for none.
        groups: overlap -> group that samples are also summed up in; None for no groups.
        left_out: groups whose samples are not measured.
        refine_pose: poses are made to fit the images first: "adam" or empty.
        needs_list: whether the samples need a list beside the data.
    """

    name: str
    title: str
    backend: str
    samples: OpenSamples
    crop: Crop
    side: int
    switches: Switches
    figures: tuple[Figure, ...]
    rows: tuple[PaperRow, ...]
    data: str
    more_images: Mapping[str, Switches] = field(default_factory=dict)
    texts: tuple[str, ...] = ()
    groups: Callable[[float], str] | None = None
    left_out: tuple[str, ...] = ()
    refine_pose: str = ""
    needs_list: bool = False


PSNR = Figure("psnr", "PSNR dB", ".2f")
SSIM = Figure("ssim", "SSIM")
LPIPS = Figure("lpips", "LPIPS")
AUC = tuple(Figure(f"auc_{t}", f"AUC@{t}") for t in (5, 10, 20))
