"""Whether programs of a sandbox have files of a volume open: Modal reloads none then, and neither do we."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path

from localmodal.errors import FailedPrecondition


def check_closed(init_pid: int, targets: Sequence[str]) -> None:
    """Raises `FailedPrecondition` when a program has a file below one of the mount points open, or works there."""
    mounts = {target: _mount_id(init_pid, target) for target in targets}
    for pid in _programs(init_pid):
        ids = _open_mounts(pid)
        place = _workdir(pid)
        for target, mount_id in mounts.items():
            if mount_id in ids:
                raise FailedPrecondition(f"there are open files preventing the operation: process {pid} in {target}")
            if place == target or place.startswith(f"{target.rstrip('/')}/"):
                raise FailedPrecondition(f"cwd of process {pid} is inside volume {target}")


def _programs(init_pid: int) -> list[int]:
    """The processes in the container of `init_pid`."""
    namespace = (Path("/proc") / str(init_pid) / "ns" / "pid").readlink()
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdecimal():
            with contextlib.suppress(OSError):
                if (process / "ns" / "pid").readlink() == namespace:
                    found.append(int(process.name))
    return found


def _mount_id(pid: int, target: str) -> str:
    """The kernel's number of the mount that is on top at `target`; the last line for a place is the topmost."""
    number = ""
    for line in (Path("/proc") / str(pid) / "mountinfo").read_text().splitlines():
        words = line.split(" ")
        # Spaces, tabs, newlines and backslashes are written in octal there.
        if words[4].encode().decode("unicode_escape").encode("latin-1") == os.fsencode(target.rstrip("/")):
            number = words[0]
    return number


def _open_mounts(pid: int) -> set[str]:
    """The numbers of the mounts of which a process has files open."""
    numbers = set()
    with contextlib.suppress(OSError):
        for entry in (Path("/proc") / str(pid) / "fdinfo").iterdir():
            with contextlib.suppress(OSError):
                for line in entry.read_text().splitlines():
                    if line.startswith("mnt_id:"):
                        numbers.add(line.split()[1])
    return numbers


def _workdir(pid: int) -> str:
    try:
        return str((Path("/proc") / str(pid) / "cwd").readlink())
    except OSError:
        return ""
