"""Holds all programs of a container still, so that what is copied is one moment's state: a hard power-off's."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path

# A program that waits for the disk is frozen only afterwards; a slow disk with much to write takes its time.
_FREEZE_LIMIT_S = 30.0
_LOOK_S = 0.001


@contextlib.asynccontextmanager
async def frozen(pid: int) -> AsyncIterator[None]:
    """Stops every program in the control group of `pid` and lets them go on afterwards, also after an error."""
    path, freeze, text, done = control(pid)
    path.write_text(freeze)
    try:
        await _until(path.parent / done[0], done[1])
        yield
    finally:
        # The container may have been ended from outside meanwhile.
        with contextlib.suppress(OSError):
            path.write_text(text)


def thaw(pid: int) -> None:
    """Lets the programs go on that a server held still when it was killed. A second call does nothing."""
    with contextlib.suppress(OSError):
        path, _freeze, text, _done = control(pid)
        path.write_text(text)


def control(pid: int) -> tuple[Path, str, str, tuple[str, str]]:
    """The file that freezes the control group of `pid`, what to write to stop it and to let it go on, and the name of
    the file beside it and the text in that which tell that it has stopped."""
    lines = (Path("/proc") / str(pid) / "cgroup").read_text().splitlines()
    for line in lines:
        _number, controllers, group = line.split(":", 2)
        if controllers == "freezer":
            file = Path(f"/sys/fs/cgroup/freezer{group}/freezer.state")
            return file, "FROZEN", "THAWED", ("freezer.state", "FROZEN")
    group = lines[-1].split(":", 2)[2]
    return Path(f"/sys/fs/cgroup{group}/cgroup.freeze"), "1", "0", ("cgroup.events", "frozen 1")


async def _until(file: Path, text: str) -> None:
    """The kernel freezes in the background and offers no way to wait for it on the first version of control groups; it
    takes microseconds unless a program is deep in the kernel."""
    limit = time.monotonic() + _FREEZE_LIMIT_S
    while text not in file.read_text():
        if time.monotonic() > limit:
            raise OSError(f"the programs of the sandbox could not be held still within {_FREEZE_LIMIT_S:g} s")
        await asyncio.sleep(_LOOK_S)
