"""Scale bars beside pictures whose colours mean numbers, and legends below those whose colours mean names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from lsm_core.io.colormaps import RgbImage, color_depth, color_share, palette
from lsm_core.io.lettering import font

_PAPER, _INK = (24, 26, 30), (232, 234, 238)
_ROUND = (1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0)
_LINE = 20 / 360  # height of a line of text, as a share of the picture's
_SMALLEST_LINE = 12  # pixels


@dataclass(frozen=True)
class Tick:
    """A mark on a bar: its value, its pixel row in the strip, and what is written."""

    value: float
    row: int
    label: str


@dataclass(frozen=True)
class DepthScale:
    """Colours for depth that stay the same along a path: near red, far blue, even steps of inverse depth.

    Attributes:
        nearest, farthest: ends of the scale, scene units, 0 < nearest < farthest.
        metric: whether a scene unit is a metre.
    """

    nearest: float
    farthest: float
    metric: bool

    def color(self, depth: NDArray[Any]) -> RgbImage:
        """Return [H, W, 3] uint8; depth beyond the ends gets their colour, no depth is dark."""
        return color_depth(depth, self.nearest, self.farthest)

    def ticks(self, height: int) -> list[Tick]:
        """Return round depths and their rows in a strip of a height, nearest lowest."""
        layout = _Layout.of(height)
        near, far = 1.0 / self.nearest, 1.0 / self.farthest
        ticks: list[Tick] = []
        for value in _round_values(self.nearest, self.farthest):
            row = layout.row((1.0 / value - far) / (near - far))
            if not ticks or ticks[-1].row - row >= 1.2 * layout.line:
                ticks.append(Tick(value, row, f"{value:g} m" if self.metric else f"{value:g}"))
        return ticks

    def bar(self, height: int) -> RgbImage:
        """Return the strip [height, `bar_width(height)`, 3] to stand at the right of a picture."""
        share = np.linspace(0, 1, _Layout.of(height).rows)
        depth = 1.0 / (1.0 / self.farthest + share * (1.0 / self.nearest - 1.0 / self.farthest))
        title = ("depth", "metres") if self.metric else ("depth", "no unit")
        return _strip(self.color(depth[:, None]), title, self.ticks(height), height)


@dataclass(frozen=True)
class _Layout:
    """Where things are in a strip, pixels.

    Attributes:
        line: height of a line of text; everything else goes by it.
        top, bottom: first and last row of the ramp.
    """

    line: int
    top: int
    bottom: int

    @staticmethod
    def of(height: int) -> _Layout:
        line = max(_SMALLEST_LINE, round(_LINE * height))
        top = 3 * line
        return _Layout(line, top, max(height - 1 - line, top + 1))

    @property
    def rows(self) -> int:
        return self.bottom - self.top + 1

    def row(self, share: float) -> int:
        """Return the row at a share of the ramp, 0 at its top."""
        return round(self.top + share * (self.bottom - self.top))


def bar_width(height: int) -> int:
    """Return the width of a strip beside a picture of a height; even, as video needs it."""
    return 2 * round(2.4 * _Layout.of(height).line)


def score_bar(height: int) -> RgbImage:
    """Return a strip [height, `bar_width(height)`, 3] for scores from 0 to 1."""
    layout = _Layout.of(height)
    ramp = color_share(np.linspace(1, 0, layout.rows)[:, None])
    ticks = [Tick(v, layout.row(1 - v), f"{v:g}") for v in (0.0, 0.25, 0.5, 0.75, 1.0)]
    return _strip(ramp, ("score", "0.5: a draw"), ticks, height)


def legend_bar(names: Sequence[str], width: int, height: int) -> RgbImage:
    """Return a strip with the names in the colours of `overlay_labels`, to stand below a picture.

    Args:
        names: of the labels.
        width, height: of the picture, pixels.

    Returns:
        [rows, width, 3] uint8, rows even.
    """
    line = _Layout.of(height).line
    strip = Image.new("RGB", (width, 2 * round(0.85 * line)), _PAPER)
    draw = ImageDraw.Draw(strip)
    middle, box, x = strip.height / 2, 0.32 * line, 0.5 * line
    for colour, name in zip(palette(len(names)), names, strict=True):
        fill = (int(colour[0]), int(colour[1]), int(colour[2]))
        draw.rounded_rectangle((x, middle - box, x + 2 * box, middle + box), 3, fill=fill)
        draw.text((x + 0.95 * line, middle), name, fill=_INK, font=font(_letters(line)), anchor="lm")
        x += 1.7 * line + font(_letters(line)).getlength(name)
    return np.asarray(strip, np.uint8)


def beside(image: RgbImage, bar: RgbImage) -> RgbImage:
    """Put a strip at the right of a picture of the same height."""
    return np.ascontiguousarray(np.hstack([image, bar]))


def _strip(ramp: RgbImage, title: tuple[str, str], ticks: Sequence[Tick], height: int) -> RgbImage:
    """Draw a ramp [rows, 1, 3] with its title and ticks."""
    layout = _Layout.of(height)
    line, margin, thick = layout.line, round(0.6 * layout.line), round(1.1 * layout.line)
    strip = Image.new("RGB", (bar_width(height), max(height, layout.bottom + 1)), _PAPER)
    strip.paste(Image.fromarray(np.repeat(ramp, thick, 1)), (margin, layout.top))
    draw = ImageDraw.Draw(strip)
    draw.text((margin, 0.4 * line), title[0], fill=_INK, font=font(_letters(line)))
    draw.text((margin, 1.4 * line), title[1], fill=_INK, font=font(round(0.6 * line)))
    for tick in ticks:
        x = margin + thick
        draw.line((x, tick.row, x + 0.25 * line, tick.row), fill=_INK)
        draw.text((x + 0.45 * line, tick.row), tick.label, fill=_INK, font=font(_letters(line)), anchor="lm")
    return np.asarray(strip, np.uint8)[:height]


def _letters(line: int) -> int:
    """Return the size of the letters in a line."""
    return round(0.72 * line)


def _round_values(low: float, high: float) -> list[float]:
    """Return round numbers between two positive ones, ascending: at least three."""
    first, last = int(np.floor(np.log10(low))), int(np.ceil(np.log10(high)))
    values = [round(m * 10.0**e, 9) for e in range(first, last + 1) for m in _ROUND]
    inside = [v for v in values if low <= v <= high]
    step = 10.0 ** np.ceil(np.log10((high - low) / 3))
    while len(inside) < 3:  # a narrow range: even steps of 1, 0.5, 0.2, 0.1 ... of a power of ten
        inside = [float(f"{k * step:.6g}") for k in range(int(np.ceil(low / step)), int(high / step) + 1)]
        step = step / 2 if f"{step:.0e}"[0] == "1" else step / 2.5 if f"{step:.0e}"[0] == "5" else step / 2
    return inside
