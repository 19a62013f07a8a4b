"""Contact sheets: titled panels in rows, with captions and colour legends, as one picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from lsm_core.errors import InputError
from lsm_core.io.colormaps import RgbImage
from lsm_core.io.lettering import font

PAPER, INK, FAINT, FRAME = (255, 255, 255), (28, 30, 36), (104, 110, 122), (216, 219, 226)
MARGIN, GAP, LINE = 36, 18, 21


@dataclass(frozen=True)
class Panel:
    """One picture of a sheet.

    Attributes:
        image: [H, W, 3] uint8 RGB.
        title: short, above it.
        caption: below it, wrapped.
        legend: (RGB colour, name) pairs below it.
    """

    image: RgbImage
    title: str = ""
    caption: str = ""
    legend: tuple[tuple[tuple[int, int, int], str], ...] = ()


def compose_sheet(
    title: str, subtitle: str, rows: Sequence[Sequence[Panel]], width: int = 1600, max_row_height: int = 500
) -> RgbImage:
    """Lay panels out in rows that fill the width, all pictures of a row equally high.

    Args:
        title, subtitle: the heading.
        rows: panels, row by row; empty rows are left out.
        width: of the sheet, pixels.
        max_row_height: of the pictures in a row, pixels.

    Returns:
        [H, width, 3] uint8 RGB.

    Raises:
        InputError: there is no panel.
    """
    filled = [list(row) for row in rows if row]
    if not filled:
        raise InputError("A sheet needs at least one panel.")
    heading = _heading(title, subtitle, width)
    strips = [heading, *(_row(row, width, max_row_height) for row in filled)]
    sheet = Image.new("RGB", (width, sum(s.height for s in strips) + MARGIN), PAPER)
    y = 0
    for strip in strips:
        sheet.paste(strip, (0, y))
        y += strip.height
    return np.asarray(sheet, np.uint8)


def _heading(title: str, subtitle: str, width: int) -> Image.Image:
    """Draw title and subtitle."""
    lines = _wrap(subtitle, width - 2 * MARGIN, 17)
    strip = Image.new("RGB", (width, MARGIN + 44 + LINE * len(lines) + 18), PAPER)
    draw = ImageDraw.Draw(strip)
    draw.text((MARGIN, MARGIN - 10), title, fill=INK, font=font(32))
    for i, line in enumerate(lines):
        draw.text((MARGIN, MARGIN + 34 + LINE * i), line, fill=FAINT, font=font(17))
    return strip


def _row(panels: list[Panel], width: int, max_height: int) -> Image.Image:
    """Draw one row of panels."""
    aspects = [p.image.shape[1] / p.image.shape[0] for p in panels]
    available = width - 2 * MARGIN - GAP * (len(panels) - 1)
    height = min(max_height, int(available / sum(aspects)))
    gap = GAP
    widths = [round(height * aspect) for aspect in aspects]
    notes = [_notes(p, w) for p, w in zip(panels, widths, strict=True)]
    strip = Image.new("RGB", (width, 28 + height + max(n.height for n in notes) + 14), PAPER)
    draw = ImageDraw.Draw(strip)
    x = MARGIN
    for panel, panel_width, note in zip(panels, widths, notes, strict=True):
        draw.text((x, 0), _ellipsis(panel.title, panel_width, 17), fill=INK, font=font(17))
        picture = Image.fromarray(panel.image).resize((panel_width, height), Image.Resampling.LANCZOS)
        strip.paste(picture, (x, 28))
        draw.rectangle((x, 28, x + panel_width - 1, 28 + height - 1), outline=FRAME)
        strip.paste(note, (x, 28 + height))
        x += panel_width + gap
    return strip


def _notes(panel: Panel, width: int) -> Image.Image:
    """Draw legend and caption of a panel."""
    legend: list[tuple[int, int, tuple[int, int, int], str]] = []
    x = y = 0
    for colour, name in panel.legend:
        text = _ellipsis(name, width - 26, 15)
        length = 26 + int(font(15).getlength(text)) + 14
        if x > 0 and x + length > width:
            x, y = 0, y + LINE
        legend.append((x, y, colour, text))
        x += length
    below = y + LINE if legend else 0
    lines = _wrap(panel.caption, width, 15) if panel.caption else []
    note = Image.new("RGB", (width, 6 + below + LINE * len(lines) + 2), PAPER)
    draw = ImageDraw.Draw(note)
    for lx, ly, colour, text in legend:
        draw.rounded_rectangle((lx, ly + 9, lx + 16, ly + 23), 3, fill=colour)
        draw.text((lx + 22, ly + 7), text, fill=INK, font=font(15))
    for i, line in enumerate(lines):
        draw.text((0, 6 + below + LINE * i), line, fill=FAINT, font=font(15))
    return note


def _wrap(text: str, width: int, size: int) -> list[str]:
    """Break a text at spaces so that each line fits; newlines stay."""
    lines: list[str] = []
    for paragraph in text.splitlines():
        line = ""
        for word in paragraph.split():
            longer = f"{line} {word}".strip()
            if line and font(size).getlength(longer) > width:
                lines.append(line)
                longer = word
            line = longer
        lines.append(line)
    return lines


def _ellipsis(text: str, width: int, size: int) -> str:
    """Cut a text that is too long for a width."""
    if font(size).getlength(text) <= width:
        return text
    while text and font(size).getlength(text + "…") > width:
        text = text[:-1]
    return text + "…"
