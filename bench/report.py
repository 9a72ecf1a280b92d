"""What was measured, as JSON and as a table."""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.rows import ROWS, Figure, Size

_Found = dict[str, dict[int, list[Figure]]]


def about(size: Size, failed: Sequence[str]) -> dict[str, Any]:
    """Where and how it was measured, and what could not be."""
    return {
        "when": time.strftime("%Y-%m-%d"),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "load_before_and_during": [round(value, 1) for value in os.getloadavg()],
        "size": asdict(size),
        "failed": list(failed),
    }


def write_json(path: Path, about: dict[str, Any], found: _Found) -> None:
    rows = {
        key: {f"{ms} ms": [asdict(one) for one in figures] for ms, figures in by.items()} for key, by in found.items()
    }
    path.write_text(json.dumps({"about": about, "rows": rows}, indent=1) + "\n")


def text(about: dict[str, Any], found: _Found) -> str:
    size = about["size"]
    lines = [
        "# Performance",
        "",
        "Written by `make bench`; bench/README.md says what each row does. Times are medians in milliseconds, of whole",
        "processes from their start to their end, on localmodal. *Bare* is the same done with the SDK alone in the",
        "same run: its calls, and in brackets with the start of Python and the import of the SDK, which mngr's times",
        "hold too.",
        f"At a distance each call, and each new connection to a sandbox, takes 100 ms more. {size['runs']} runs each;",
        f"{about['cores']} cores, Python {about['python']}, load averages at the end "
        f"{', '.join(map(str, about['load_before_and_during']))}.",
    ]
    for row in ROWS:
        if row.key in found:
            lines += [
                "",
                f"## {row.title}",
                "",
                f"Wanted: {row.must}." + (f" At 100 ms: {row.must_far}." if row.must_far else ""),
            ]
            lines += ["", *_table(found[row.key])]
    peak = max((one.peak_mib for by in found.values() for figures in by.values() for one in figures), default=0.0)
    lines += [
        "",
        f"The highest peak of memory of any command was {peak:.0f} MiB (wanted: 80, `list` of 500 hosts 100).",
    ]
    lines += [f"\nNot measured: {one}" for one in about["failed"]]
    return "\n".join(lines) + "\n"


def _table(by: dict[int, list[Figure]]) -> list[str]:
    lines = ["| measured | ms | slowest | CPU ms | bare | at 100 ms | bare | calls, in sequence | MiB |"]
    lines.append("|---|--:|--:|--:|--:|--:|--:|--:|--:|")
    near, far = by.get(0, []), by.get(100, [])
    for index, one in enumerate(near):
        there = far[index] if index < len(far) else None
        counted = there or one
        calls = "" if counted.calls is None else f"{counted.calls}, {counted.sequential}"
        cells = [
            one.name,
            _ms(one.walls),
            f"{max(one.walls) * 1000:.0f}",
            _ms(one.cpus),
            _bare(one),
            _ms(there.walls) if there else "",
            _bare(there) if there else "",
            calls,
            f"{one.peak_mib:.0f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _bare(one: Figure) -> str:
    return f"{_ms(one.bare)} ({_ms(one.bare_whole)})" if one.bare else ""


def _ms(values: Sequence[float]) -> str:
    return f"{statistics.median(values) * 1000:.0f}" if values else ""
