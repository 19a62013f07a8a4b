"""Draw the figures of docs/frames_and_scale.md: `python tools/draw_frames.py docs/images`.

Names, states and limits come from the code, so a change there changes the figures;
`tests/ros/test_frames_and_scale_page.py` compares the committed files with what this prints.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from lsm_perception.frames import FrameTree, frame_names

from lsm_core.mapping import ScaleConfig, ScaleState
from lsm_core.mapping.scale import MIN_FITTED

ROBOT, UNSCALED, METRIC, NOTE = "#5b6470", "#a85b00", "#14713d", "#3b4350"
FILLS = {ROBOT: "#eef1f4", UNSCALED: "#fff3e0", METRIC: "#e5f5ea"}
WIDTH, BOX_W, BOX_H, STEP = 960, 190, 30, 62
NAMES = frame_names("", "", "odom")
ROBOT_FRAMES = ("map", NAMES.odom, "base_link", "camera_link", "camera_optical_frame")


@dataclass
class Drawing:
    """Lines of an SVG file that grows."""

    height: int
    lines: list[str] = field(default_factory=list)

    def text(self, x: float, y: float, words: str, colour: str = NOTE, size: int = 13, **style: str) -> None:
        """Write words, by default centred on x."""
        style = {"text-anchor": "middle"} | {key.replace("_", "-"): value for key, value in style.items()}
        attributes = " ".join(f'{key}="{value}"' for key, value in style.items())
        safe = words.replace("&", "&amp;").replace("<", "&lt;")
        self.lines.append(
            f'<text x="{x:g}" y="{y:g}" font-size="{size}" fill="{colour}" {attributes}>{safe}</text>'
        )

    def box(self, x: float, y: float, name: str, colour: str, width: float = BOX_W, height: float = BOX_H) -> None:
        """Draw a named box whose middle is x, y."""
        self.lines.append(
            f'<rect x="{x - width / 2:g}" y="{y - height / 2:g}" width="{width:g}" height="{height:g}" rx="6" '
            f'fill="{FILLS[colour]}" stroke="{colour}" stroke-width="1.6"/>'
        )
        self.text(x, y + 4.5, name, colour, font_family="monospace")

    def path(self, d: str, colour: str, dash: str = "", arrow: bool = True) -> None:
        """Draw a line along an SVG path, with a head at its end unless told otherwise."""
        extra = f' stroke-dasharray="{dash}"' if dash else ""
        extra += f' marker-end="url(#head{colour[1:]})"' if arrow else ""
        self.lines.append(f'<path d="{d}" fill="none" stroke="{colour}" stroke-width="1.6"{extra}/>')

    def svg(self, title: str) -> str:
        """Return the file."""
        heads = "".join(
            f'<marker id="head{c[1:]}" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" '
            f'orient="auto-start-reverse"><path d="M0 0L10 5L0 10z" fill="{c}"/></marker>'
            for c in (ROBOT, UNSCALED, METRIC, NOTE)
        )
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {self.height}" '
            f'font-family="sans-serif" role="img"><title>{title}</title><defs>{heads}</defs>'
            f'<rect width="{WIDTH}" height="{self.height}" fill="white"/>'
        )
        return "\n".join([head, *self.lines, "</svg>"]) + "\n"


def chain(drawing: Drawing, x: float, y: float, names: Iterable[str], colour: str) -> None:
    """Draw frames below each other, each the parent of the next; the first one's middle is x, y."""
    for index, name in enumerate(names):
        drawing.box(x, y + index * STEP, name, colour)
        if index:
            top = y + (index - 1) * STEP + BOX_H / 2
            drawing.path(f"M{x:g} {top:g}V{top + STEP - BOX_H:g}", colour)


def tree_names(tree: FrameTree) -> tuple[str, str, str]:
    """Return map, keyframe and camera."""
    return tree.map, tree.keyframe, tree.camera


def frames_figure() -> str:
    """Return the picture of the two trees and of the axes."""
    drawing = Drawing(540)
    left, right, top = 250, 720, 86
    for x, words, colour in ((left, "no metres (UNKNOWN, DEGRADED)", UNSCALED), (right, "METRIC", METRIC)):
        drawing.text(x, 34, words, colour, 17, font_weight="bold")
    drawing.path("M480 16V400", "#c9ced6", arrow=False)
    for x in (left - 115, right - 115):
        chain(drawing, x, top, ROBOT_FRAMES, ROBOT)
        drawing.text(x, top - 24, "your robot's tree (REP-105)", ROBOT, 12)
    unscaled, metric = left + 110, right + 110
    chain(drawing, unscaled, top + STEP * 2, tree_names(NAMES.unscaled), UNSCALED)
    drawing.text(unscaled, top + STEP * 2 - 40, "a tree of its own:", UNSCALED, 12)
    drawing.text(unscaled, top + STEP * 2 - 25, "no lookup leads from one to the other", UNSCALED, 12)
    chain(drawing, metric, top + STEP * 2, tree_names(NAMES.metric), METRIC)
    drawing.path(f"M{right - 20} {top + STEP}H{metric}V{top + STEP * 2 - BOX_H / 2:g}", METRIC)
    drawing.text(metric - 8, top + STEP - 10, "odometry says where", METRIC, 12)
    drawing.path(f"M{metric - 95} {top + STEP * 4}H{right - 18}", NOTE, "3 4", arrow=False)
    drawing.text(right, top + STEP * 4 + 36, "the same place at the image's stamp, and never joined:", NOTE, 12)
    drawing.text(right, top + STEP * 4 + 52, "a frame has one parent", NOTE, 12)
    drawing.text(left, top + STEP * 4 + 36, "keyframe, camera: older and newer image of the last", NOTE, 12)
    drawing.text(left, top + STEP * 4 + 52, "accepted pair; map: where the segment began", NOTE, 12)
    axes(drawing, 250, 492, "body frames (REP-103): base_link, camera_link", BODY)
    axes(drawing, 720, 462, "optical frames: camera_optical_frame and every lsm_ frame", OPTICAL)
    return drawing.svg("The frames of lsm_perception on tf, without and with metres, and their axes")


# Where an axis points on paper, the robot looking to the right: forward, up, and to its left (into the paper).
FORWARD, UP, LEFTWARD = (78, 0), (0, -52), (40, -30)
BODY = {"x forward": FORWARD, "y left": LEFTWARD, "z up": UP}
OPTICAL = {"z forward": FORWARD, "x right": (-40, 30), "y down": (0, 52)}


def axes(drawing: Drawing, x: float, y: float, words: str, of: dict[str, tuple[int, int]]) -> None:
    """Draw three named axes from x, y."""
    drawing.text(x, 424, words, NOTE, 13)
    colours = {"x": "#c62828", "y": "#2e7d32", "z": "#1565c0"}
    for name, (dx, dy) in of.items():
        colour = colours[name[0]]
        drawing.lines.append(f'<path d="M{x} {y}l{dx} {dy}" stroke="{colour}" stroke-width="2.6"/>')
        drawing.lines.append(f'<circle cx="{x + dx}" cy="{y + dy}" r="3.6" fill="{colour}"/>')
        side = "end" if dx < 0 or (dx == 0 and name[0] == "z") else "start"
        shift = -9 if side == "end" else 9
        drawing.text(x + dx + shift, y + dy + 5, name, colour, 13, text_anchor=side)


def states_figure() -> str:
    """Return the picture of the states of ~/scale."""
    config, drawing = ScaleConfig(), Drawing(430)
    places = {ScaleState.UNKNOWN: (150, 215), ScaleState.METRIC: (760, 100), ScaleState.DEGRADED: (760, 330)}
    colours = {ScaleState.UNKNOWN: ROBOT, ScaleState.METRIC: METRIC, ScaleState.DEGRADED: UNSCALED}
    said = {
        ScaleState.UNKNOWN: "unscaled frames",
        ScaleState.METRIC: "metric frames, depth, detections",
        ScaleState.DEGRADED: "unscaled frames; figures kept",
    }
    for state, (x, y) in places.items():
        drawing.box(x, y, "", colours[state], 250, 64)
        drawing.text(x, y - 4, state.name, colours[state], 17, font_weight="bold")
        drawing.text(x, y + 18, said[state], colours[state], 12)
    contested = round(100 * (1 - MIN_FITTED))
    drawing.path("M200 181C270 90 420 70 629 84", METRIC)
    limits = f"spread at most {config.max_spread:g}, error of the median {config.max_error:g}"
    drawing.text(400, 46, f"{config.min_samples} samples of one source that agree", METRIC)
    drawing.text(400, 63, limits, METRIC, 12)
    drawing.path("M629 114C470 112 330 140 275 194", NOTE)
    drawing.text(500, 168, "the chain breaks, ~/reset: epoch + 1", NOTE)
    drawing.path("M200 249C270 350 420 362 629 346", UNSCALED)
    drawing.text(400, 384, "a claim: the model's own (scale.allow_model),", UNSCALED)
    drawing.text(400, 401, "or that of a loaded map (epoch + 1)", UNSCALED)
    drawing.path("M629 316C470 306 330 284 277 238", NOTE)
    drawing.text(500, 264, "the chain breaks, ~/reset: epoch + 1", NOTE)
    drawing.path("M716 134V296", UNSCALED)
    drawing.text(706, 196, f"more than {contested} % set aside,", UNSCALED, 12, text_anchor="end")
    drawing.text(706, 212, "samples scatter, or none", UNSCALED, 12, text_anchor="end")
    drawing.text(706, 228, f"for {config.stale_pairs} pairs", UNSCALED, 12, text_anchor="end")
    drawing.path("M800 296V134", METRIC)
    drawing.text(810, 212, "they fit again", METRIC, 12, text_anchor="start")
    drawing.path("M848 67C856 8 930 30 888 82", METRIC)
    drawing.text(838, 34, f"a jump ({config.jump_samples} samples agree", METRIC, 12, text_anchor="end")
    drawing.text(838, 50, "elsewhere): epoch + 1", METRIC, 12, text_anchor="end")
    return drawing.svg("The states of the scale, and what leads from one to the other")


FIGURES = {"frames_tree.svg": frames_figure, "frames_states.svg": states_figure}


def main() -> int:
    """Write the figures into the folder named."""
    if len(sys.argv) != 2:
        print("Usage: python tools/draw_frames.py FOLDER", file=sys.stderr)
        return 2
    for name, draw in FIGURES.items():
        (Path(sys.argv[1]) / name).write_text(draw(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
