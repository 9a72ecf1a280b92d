"""Tells when `sync` was run anywhere on this machine, from the kernel's own trace of calls.

On Modal ``sync <mount point>`` in a sandbox commits a volume. Nothing in the file system says that it was run, but
the kernel's tracing does, and before the program has ended. Which sandbox it was cannot be known once the program is
gone; so every sync counts for all.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from pathlib import Path

_CALLS = ("fsync", "fdatasync", "syncfs", "sync")
_BUFFER_KIB = 64


class Syncs:
    """One instance of the kernel's tracing, with nothing in it but calls of programs named ``sync``."""

    def __init__(self, mounts: Path, tag: str) -> None:
        """`mounts` is where the kernel's tracing may be mounted; `tag` keeps the instance apart from others'."""
        self._root = mounts / "tracing" / "root"
        self._instance = self._root / "instances" / f"localmodal-{tag}"
        self._pipe = -1

    @property
    def available(self) -> bool:
        """Whether syncs are noticed; not where the kernel has no tracing of calls."""
        return self._pipe >= 0

    def start(self) -> None:
        """Begins to notice syncs. Does nothing where the kernel can not tell."""
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self._root.is_mount():
            mounted = subprocess.run(["mount", "-t", "tracefs", "tracefs", str(self._root)], capture_output=True)
            if mounted.returncode:
                return
        try:
            self._instance.mkdir(exist_ok=True)
            (self._instance / "buffer_size_kb").write_text(f"{_BUFFER_KIB}")
            for call in _CALLS:
                event = self._instance / "events" / "syscalls" / f"sys_enter_{call}"
                (event / "filter").write_text('comm == "sync"')
                (event / "enable").write_text("1")
            self._pipe = os.open(self._instance / "trace_pipe", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            self.stop()

    def take(self) -> bool:
        """Whether there was a sync since the last call of this. One that has returned is always known."""
        heard = False
        if self._pipe >= 0:
            with contextlib.suppress(BlockingIOError):
                while os.read(self._pipe, 65536):
                    heard = True
        return heard

    def stop(self) -> None:
        """Ends the tracing. A second call does nothing."""
        if self._pipe >= 0:
            os.close(self._pipe)
            self._pipe = -1
        with contextlib.suppress(OSError):
            self._instance.rmdir()
        if self._root.is_mount():
            subprocess.run(["umount", str(self._root)], capture_output=True)
