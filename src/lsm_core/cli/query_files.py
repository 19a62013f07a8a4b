"""What `lsm query` leaves in its folder beside masks: contact sheets, and a recording's map and objects."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lsm_core.cli.console import finite
from lsm_core.cli.pair_files import file_cloud
from lsm_core.cli.pair_sheet import legend
from lsm_core.io import write_png, write_point_cloud, write_text
from lsm_core.io.cloud_views import draw_cloud
from lsm_core.io.colormaps import RgbImage, palette
from lsm_core.io.file_words import file_word
from lsm_core.io.overlays import overlay_labels
from lsm_core.io.sheets import Panel, compose_sheet
from lsm_core.mapping import NO_LABEL
from lsm_core.types import QueryResult

if TYPE_CHECKING:
    from lsm_core.cli.bag_map import Segment
    from lsm_core.cli.query_bag import BagQuery, Thing

COLUMNS = 3


def images_sheet(found: QueryResult, images: Sequence[NDArray[np.uint8]], names: Sequence[str]) -> RgbImage:
    """Show what was found in each image."""
    panels = [
        Panel(overlay_labels(image, labels, len(found.texts)), name, legend=legend(found.texts))
        for image, labels, name in zip(images, found.labels, names, strict=True)
    ]
    text = " · ".join(f"{t} {p:.2f}" for t, p in zip(found.texts, found.presence, strict=True))
    return compose_sheet("What was asked for", f"presence, 0 to 1: {text}", [panels])


def write_bag_query(
    folder: Path, asked: BagQuery, segments: Sequence[Segment], things: Sequence[Thing], source: Path
) -> list[str]:
    """Write the best picture and mask per text, the labelled map, the objects and a contact sheet.

    Returns:
        The names of the files.
    """
    from lsm_core.cli.query_bag import thing_record

    names = []
    for text, best in zip(asked.texts, asked.best, strict=True):
        if best is not None:
            word = file_word(text)
            names += [f"mask_{word}.png", f"overlay_{word}.png"]
            write_png(folder / names[-2], best.mask)
            write_png(folder / names[-1], _overlay(asked, text))
    if segments:
        names.append("map.ply")
        write_point_cloud(folder / "map.ply", file_cloud(segments[0].cloud, asked.texts))
    records = [thing_record(thing) for thing in things]
    write_text(
        folder / "objects.json", json.dumps(finite({"objects": records}), indent=2, ensure_ascii=False) + "\n"
    )
    names.append("objects.json")
    if any(asked.best):
        names.append("sheet.png")
        write_png(folder / "sheet.png", _bag_sheet(asked, segments, things, source))
    return names


def _overlay(asked: BagQuery, text: str) -> RgbImage:
    """Return the best picture of a text with its mask in the text's colour."""
    index = asked.texts.index(text)
    best = asked.best[index]
    assert best is not None
    return overlay_labels(best.image, np.where(best.mask, index, -1), len(asked.texts))


def _bag_sheet(asked: BagQuery, segments: Sequence[Segment], things: Sequence[Thing], source: Path) -> RgbImage:
    """Show per text the keyframe that shows it best, then the largest segment with what was found in it."""
    panels = []
    for index, (text, best) in enumerate(zip(asked.texts, asked.best, strict=True)):
        if best is not None:
            objects = sum(thing.text == text for thing in things)
            at = (best.stamp_ns - asked.start_ns) * 1e-9
            caption = (
                f"{at:.1f} s; in view in {asked.seen_in[index]} of {asked.keyframes} keyframes; {objects} object(s)"
            )
            panels.append(Panel(_overlay(asked, text), f"{text}: presence {best.presence:.2f}", caption))
    rows: list[Sequence[Panel]] = [panels[i : i + COLUMNS] for i in range(0, len(panels), COLUMNS)]
    if segments and len(segments[0].cloud):
        rows.append(_map_panels(segments[0], asked.texts))
    return compose_sheet(f"Asked of {source.name}", f"{asked.keyframes} keyframes", rows)


def _map_panels(segment: Segment, texts: Sequence[str]) -> list[Panel]:
    """Draw the map with its labelled points in the colours of the texts."""
    cloud: Any = segment.cloud
    rgb = (0.5 * cloud.rgb + 90).astype(np.uint8)
    labelled = cloud.label != NO_LABEL
    rgb[labelled] = np.asarray(palette(len(texts)), np.uint8)[cloud.label[labelled]]
    centres = segment.trajectory.poses[:, :3, 3]
    size = (760, 520)
    return [
        Panel(draw_cloud(cloud.points, rgb, "oblique", size, centres), "Map", legend=legend(texts)),
        Panel(draw_cloud(cloud.points, rgb, "top", size, centres), "From above", "red: the camera's path"),
    ]
