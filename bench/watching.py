"""What `mngr list --watch` costs while it goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

from bench.world import BIN, World

_SETTLE_S = 15
_TICKS = os.sysconf("SC_CLK_TCK")


def share(world: World, seconds: float) -> float:
    """Seconds of processor time in each second, of the command and of the SSH sessions that it keeps, once it has begun
    with all hosts."""
    command = [str(BIN / "mngr"), "list", "--watch", "--format", "json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=world.project, env=world.env) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(_SETTLE_S)
        begun, before = time.monotonic(), _used(process.pid)
        time.sleep(seconds)
        used = (_used(process.pid) - before) / (time.monotonic() - begun)
        process.send_signal(signal.SIGINT)
    return used


def _used(root: int) -> float:
    total = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = stat.read_text()
        except OSError:
            continue
        fields = text.rsplit(")", 1)[1].split()
        if root in (int(text.split()[0]), int(fields[1])):
            total += int(fields[11]) + int(fields[12])
    return total / _TICKS
