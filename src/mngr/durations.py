"""Lengths of time as people write and read them."""

from __future__ import annotations

import re

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]?)")


def parse(text: str | float) -> int:
    """Whole seconds of ``90``, ``30m``, ``1.5h``, ``7d``. Raises `ValueError` saying what would be right."""
    match = _DURATION.fullmatch(f"{text}".strip().lower())
    if match is None or match[2] not in _UNITS:
        raise ValueError("must be a time, such as 90, 30m, 2h or 7d")
    return round(float(match[1]) * _UNITS[match[2]])


def show(seconds: float) -> str:
    """The shortest exact form: ``30m``, ``2h``, ``95s``."""
    whole = round(seconds)
    for unit in ("d", "h", "m"):
        if whole and whole % _UNITS[unit] == 0:
            return f"{whole // _UNITS[unit]}{unit}"
    return f"{whole}s"


def ago(seconds: float) -> str:
    """About how long: ``3d``, ``5h``, ``12m``, ``7s``."""
    for unit in ("d", "h", "m"):
        if seconds >= _UNITS[unit]:
            return f"{int(seconds // _UNITS[unit])}{unit}"
    return f"{max(0, int(seconds))}s"
