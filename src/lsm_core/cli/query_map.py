"""`lsm query MAP "chair"`: words on a saved map, without a robot and without a forward pass."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from lsm_core.cli.console import err, finite, out, print_json
from lsm_core.errors import UnsupportedError

if TYPE_CHECKING:
    from lsm_core.cli.loading import ModelChoice
    from lsm_core.io.sheets import Panel
    from lsm_core.query.map_query import MapAnswer, Sighting

SHOWN = 6  # keyframes in the picture
PER_ROW = 3


@dataclass(frozen=True)
class MapQuestion:
    """What is asked.

    Attributes:
        path: of the map.
        texts: to look for.
        threshold: smallest score of a masked pixel, None for the default.
        choice: the model, its device and weights.
        any_model: take the model that made the map instead of `choice.name`.
    """

    path: Path
    texts: tuple[str, ...]
    threshold: float | None
    choice: ModelChoice
    any_model: bool

    def model(self, made_with: str) -> ModelChoice:
        """Return the model to load, for a map of "NAME" or "NAME+WORDS"."""
        if not self.any_model:
            return self.choice
        name, _, words = made_with.partition("+")
        return replace(self.choice, name=name, semantics=self.choice.semantics or words or None)


def query_saved_map(question: MapQuestion, output: Path, as_json: bool) -> None:
    """Answer texts on a map and draw the keyframes that show them best.

    Args:
        question: what is asked of which map.
        output: a .png file, or a folder that gets found.png.
        as_json: print one object instead of a table.

    Raises:
        LsmError: what reading, loading and asking raises.
    """
    from lsm_core.cli.loading import load_model
    from lsm_core.io import write_png
    from lsm_core.mapping import read_map
    from lsm_core.query.map_query import query_map

    path = question.path
    saved = read_map(path)
    model = load_model(question.model(saved.backend), question.texts)
    with err.status("Looking ..."):
        answer = query_map(model, saved, question.texts, question.threshold)
    picture = output if output.suffix.lower() == ".png" else output / "found.png"
    write_png(picture, draw(answer, path.name))
    if as_json:
        print_json(
            {"ok": True, "backend": model.name, "map": str(path), "files": [str(picture)], "found": records(answer)}
        )
        return
    table = Table(
        "text", "presence", "keyframes", "things", "nearest to the map's origin", box=None, pad_edge=False
    )
    for record in records(answer):
        things = record["things"]
        first = min(things, key=lambda t: sum(v * v for v in t["centroid"]), default=None)
        where = "" if first is None else " ".join(f"{v:.2f}" for v in first["centroid"]) + f" {first['unit']}"
        table.add_row(
            record["text"], f"{record['presence']:.2f}", str(len(record["keyframes"])), str(len(things)), where
        )
    out.print(table)
    out.print(f"{len(answer.sightings)} keyframes of {path.name}. Picture: {picture}")


def records(answer: MapAnswer) -> list[dict[str, Any]]:
    """Return the answer as JSON values: per text presence, keyframes with a mask, things in space."""
    found = []
    for t, text in enumerate(answer.texts):
        seen = [
            {
                "id": s.keyframe.id,
                "stamp_ns": s.keyframe.stamp_ns,
                "camera": s.camera,
                "presence": float(s.found.presence[t]),
                "pixels": int(s.found.masks[0][t].sum()),
            }
            for s in answer.sightings
            if s.found.masks[0][t].any()
        ]
        things = [
            {
                "camera": thing.camera,
                "score": thing.instance.score,
                "points": thing.instance.points,
                "centroid": thing.instance.centroid.tolist(),
                "size": thing.instance.size.tolist(),
                "unit": "m" if thing.metric else "map units",
            }
            for thing in answer.things
            if thing.instance.label == t
        ]
        found.append({"text": text, "presence": answer.presence[t], "keyframes": seen, "things": things})
    checked: list[dict[str, Any]] = finite(found)
    return checked


def draw(answer: MapAnswer, title: str) -> Any:
    """Return the sheet [H, W, 3] uint8 of the keyframes that show the texts best, oldest first."""
    from lsm_core.io.sheets import compose_sheet

    if not answer.sightings:
        raise UnsupportedError(
            "The map has no keyframe with language features.", "Save a map of a robot that moved."
        )
    best = sorted(answer.sightings, key=lambda s: -sum(s.found.presence))[:SHOWN]
    panels = [panel(s) for s in sorted(best, key=lambda s: s.keyframe.id)]
    rows = [panels[i : i + PER_ROW] for i in range(0, len(panels), PER_ROW)]
    words = ", ".join(f"{text} {p:.2f}" for text, p in zip(answer.texts, answer.presence, strict=True))
    return compose_sheet(title, f"Presence: {words}", rows)


def panel(sighting: Sighting) -> Panel:
    """Return one keyframe's thumbnail with its masks."""
    import cv2
    import numpy as np

    from lsm_core.io.colormaps import palette
    from lsm_core.io.overlays import overlay_labels
    from lsm_core.io.sheets import Panel

    found, picture = sighting.found, sighting.keyframe.picture()
    size = (picture.shape[1], picture.shape[0])
    labels = cv2.resize(found.labels[0].astype(np.float32), size, interpolation=cv2.INTER_NEAREST).astype(np.int32)
    colours = palette(len(found.texts))
    legend = tuple(
        ((int(r), int(g), int(b)), f"{text} {presence:.2f}")
        for (r, g, b), text, presence in zip(colours, found.texts, found.presence, strict=True)
    )
    name = f"keyframe {sighting.keyframe.id}" + (f", {sighting.camera}" if sighting.camera else "")
    return Panel(overlay_labels(picture, labels, len(found.texts)), name, legend=legend)
