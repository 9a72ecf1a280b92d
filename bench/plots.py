"""One line in a box: how a time grows."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from bench.rows import Figure

_WIDTH, _HEIGHT = 720, 420
_LEFT, _TOP, _RIGHT, _BOTTOM = 80, 50, 30, 60
_INK, _LINE, _GRID = "#222222", "#2060c0", "#dddddd"


def draw(path: Path, unit: str, figures: Sequence[Figure]) -> None:
    """Writes a PNG: medians over what the names of the figures count, on a logarithmic scale, with all runs as dots."""
    points = [(float(re.findall(r"\d+", one.name)[0]), one) for one in figures]
    image = Image.new("RGB", (_WIDTH, _HEIGHT), "white")
    canvas = ImageDraw.Draw(image)
    font = ImageFont.load_default(14)
    top_s = _round_up(max(max(one.walls) for _count, one in points))
    lowest, highest = math.log10(points[0][0]), math.log10(points[-1][0])

    def x(count: float) -> float:
        share = (math.log10(count) - lowest) / ((highest - lowest) or 1)
        return _LEFT + 20 + share * (_WIDTH - _LEFT - _RIGHT - 40)

    def y(value: float) -> float:
        return _HEIGHT - _BOTTOM - value / top_s * (_HEIGHT - _TOP - _BOTTOM)

    for step in range(6):
        value = top_s * step / 5
        canvas.line([(_LEFT, y(value)), (_WIDTH - _RIGHT, y(value))], fill=_GRID)
        canvas.text((_LEFT - 8, y(value)), f"{value * 1000:.0f}", fill=_INK, font=font, anchor="rm")
    for count, one in points:
        canvas.text((x(count), _HEIGHT - _BOTTOM + 8), f"{count:g}", fill=_INK, font=font, anchor="mt")
        for wall in one.walls:
            canvas.ellipse([x(count) - 2, y(wall) - 2, x(count) + 2, y(wall) + 2], outline=_LINE)
    canvas.line([(x(count), y(one.median)) for count, one in points], fill=_LINE, width=3)
    title = figures[0].name.split(",")[0]
    canvas.text((_WIDTH / 2, 20), f"{title}: milliseconds by {unit}", fill=_INK, font=font, anchor="mm")
    canvas.text((_WIDTH / 2, _HEIGHT - 20), unit, fill=_INK, font=font, anchor="mm")
    image.save(path)


def _round_up(value: float) -> float:
    """To 1, 2 or 5 times a power of ten."""
    power = 10 ** math.floor(math.log10(value))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= value)
