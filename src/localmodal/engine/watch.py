"""Wakes those who wait for a file to change, through the kernel's inotify."""

from __future__ import annotations

import asyncio
import ctypes
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_IN_MODIFY = 0x2
_IN_MOVED_TO = 0x80
_IN_CREATE = 0x100
_IN_IGNORED = 0x8000
_HEADER = struct.Struct("iIII")
_libc = ctypes.CDLL(None, use_errno=True)


class Watcher:
    """One inotify instance for the whole server, on its event loop."""

    def __init__(self) -> None:
        self._fd: int = _libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "inotify_init1")
        self._events: dict[int, set[asyncio.Event]] = {}
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._fd, self._read)

    @contextmanager
    def changes(self, folder: Path) -> Iterator[asyncio.Event]:
        """An event that is set whenever a file in `folder` is written; whoever waits clears it."""
        mask = _IN_MODIFY | _IN_CREATE | _IN_MOVED_TO
        watch: int = _libc.inotify_add_watch(self._fd, os.fsencode(folder), mask)
        if watch < 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), str(folder))
        event = asyncio.Event()
        self._events.setdefault(watch, set()).add(event)
        try:
            yield event
        finally:
            waiting = self._events.get(watch, set())
            waiting.discard(event)
            if not waiting:
                self._events.pop(watch, None)
                _libc.inotify_rm_watch(self._fd, watch)

    def _read(self) -> None:
        data = os.read(self._fd, 65536)
        at = 0
        while at < len(data):
            watch, mask, _cookie, length = _HEADER.unpack_from(data, at)
            at += _HEADER.size + length
            if not mask & _IN_IGNORED:
                for event in self._events.get(watch, ()):
                    event.set()

    def close(self) -> None:
        self._loop.remove_reader(self._fd)
        os.close(self._fd)
