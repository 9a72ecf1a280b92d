"""`python -m bench`: measures and writes bench/results/ and docs/performance.md."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

from bench import plots, report, world
from bench.rows import NEAR_ONLY, PLOTS, ROWS, Figure, Size

FAR_MS = 100
_RESULTS = Path(__file__).parent / "results"


def main() -> int:
    """0 when everything could be measured; nothing is judged."""
    parser = argparse.ArgumentParser(prog="bench", description="Measures mngr beside the SDK alone, on localmodal.")
    parser.add_argument("--only", action="append", metavar="ROW", choices=[row.key for row in ROWS], help="Repeatable.")
    parser.add_argument("--runs", type=int, default=5, help="Runs of each; the table has the median.")
    parser.add_argument("--running", type=int, default=100, help="Running hosts in the row list-many.")
    parser.add_argument("--stopped", type=int, default=400, help="Stopped hosts in the row list-many.")
    parser.add_argument("--many", type=int, default=20, help="Hosts made at once in the row many.")
    parser.add_argument("--most", type=int, default=1000, help="The most stopped hosts in the row growth.")
    parser.add_argument("--near", action="store_true", help="Not at a distance.")
    parser.add_argument("--write", action="store_true", help="Write docs/performance.md; with --only it never is.")
    asked = parser.parse_args()
    size = Size(asked.runs, asked.running, asked.stopped, asked.many, asked.most)
    found: dict[str, dict[int, list[Figure]]] = {}
    failed: list[str] = []
    with world.made() as here:
        for row in ROWS:
            if asked.only and row.key not in asked.only:
                continue
            for latency_ms in (0,) if asked.near or row.key in NEAR_ONLY else (0, FAR_MS):
                begun = time.monotonic()
                here.at(latency_ms)
                try:
                    found.setdefault(row.key, {})[latency_ms] = row.measure(here, size)
                except (world.Failed, OSError, LookupError, ValueError, subprocess.CalledProcessError) as error:
                    failed.append(f"{row.key} at {latency_ms} ms: {error}")
                print(f"{row.key} at {latency_ms} ms: {time.monotonic() - begun:.0f} s", file=sys.stderr)
        _RESULTS.mkdir(exist_ok=True)
        about = report.about(size, failed)
        report.write_json(_RESULTS / "results.json", about, found)
        text = report.text(about, found)
        (_RESULTS / "table.md").write_text(text)
        for key, unit in PLOTS.items():
            if 0 in found.get(key, {}):
                plots.draw(_RESULTS / f"{key}.png", unit, found[key][0])
        if asked.write and not asked.only:
            Path("docs/performance.md").write_text(text)
        print(text)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
