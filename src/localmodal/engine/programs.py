"""Programs that run in sandboxes, their output and how they ended: a folder each, so that all survives a restart.

``out`` and ``err`` hold what the program wrote, byte for byte; ``exit`` its status once it has ended (``137 oom`` for
one that the kernel killed for want of memory); ``runner`` the process that waits for it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from localmodal.engine.containers import Process
from localmodal.engine.spawner import Program, Spawner
from localmodal.engine.watch import Watcher
from localmodal.errors import FailedPrecondition, InvalidArgument

CHUNK_BYTES = 1 << 20
EXIT_KILLED = 137
Stream = Literal["out", "err"]


@dataclass(frozen=True, slots=True)
class Ending:
    """How a program ended: 128+n for signal n, as a shell has it."""

    code: int
    out_of_memory: bool = False


class RunningProgram:
    """One program, running or ended."""

    def __init__(self, folder: Path, watcher: Watcher) -> None:
        self._folder = folder
        self._watcher = watcher
        self._stdin = -1
        self._stdin_bytes = 0
        self._stdin_lock = asyncio.Lock()

    async def start(self, spawner: Spawner, init_pid: int, program: Program) -> None:
        """Starts it. Raises `Internal` when nothing could be forked."""
        self._folder.mkdir(mode=0o700, parents=True)
        stdin, self._stdin = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self._stdin, False)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        files = [stdin, *(os.open(self._folder / name, flags, 0o600) for name in ("out", "err", "exit"))]
        try:
            runner = await spawner.run(init_pid, program, files=(files[0], files[1], files[2], files[3]))
        finally:
            for fd in files:
                os.close(fd)
        known = Process.of(runner)
        if known is not None:
            (self._folder / "runner").write_text(f"{known.pid} {known.started}")

    @property
    def begun(self) -> bool:
        """Whether it was started, as far as the disk tells."""
        return (self._folder / "runner").exists()

    def ending(self) -> Ending | None:
        """How it ended, or None while it runs."""
        try:
            words = (self._folder / "exit").read_text().split()
        except FileNotFoundError:
            return Ending(EXIT_KILLED)
        if words:
            return Ending(int(words[0]), "oom" in words)
        return None if self._runner_lives() else Ending(EXIT_KILLED)

    def _runner_lives(self) -> bool:
        try:
            pid, started = (self._folder / "runner").read_text().split()
        except (FileNotFoundError, ValueError):
            return True  # between the start and the note of it
        if Process(int(pid), int(started)).alive():
            return True
        # It may have written the status between the two looks.
        return bool((self._folder / "exit").read_text())

    async def wait(self) -> Ending:
        """Waits until it has ended."""
        with self._watcher.changes(self._folder) as changed:
            while True:
                changed.clear()
                ending = self.ending()
                if ending is not None:
                    return ending
                await changed.wait()

    async def read(self, stream: Stream, offset: int) -> AsyncIterator[bytes]:
        """What it writes from byte `offset` on, until it has ended and all is read. Never an empty piece."""
        path = self._folder / stream
        with self._watcher.changes(self._folder) as changed:
            while True:
                changed.clear()
                ended = self.ending() is not None
                while data := _read_piece(path, offset):
                    offset += len(data)
                    yield data
                if ended:
                    return
                await changed.wait()

    @property
    def stdin_bytes(self) -> int:
        """How many bytes of standard input have been taken."""
        return self._stdin_bytes

    @property
    def stdin_closed(self) -> bool:
        return self._stdin < 0

    async def write_stdin(self, offset: int, data: bytes, *, eof: bool) -> None:
        """Writes `data`, of which byte 0 is byte `offset` of the whole; what was taken before is passed over.

        Raises `InvalidArgument` for a gap, `FailedPrecondition` when the program no longer reads.
        """
        async with self._stdin_lock:
            if offset > self._stdin_bytes:
                raise InvalidArgument(f"standard input is at byte {self._stdin_bytes}, not {offset}")
            rest = memoryview(data)[self._stdin_bytes - offset :]
            if rest and self._stdin < 0:
                raise FailedPrecondition("standard input is closed")
            try:
                while rest:
                    rest = rest[await self._write_some(rest) :]
            except BrokenPipeError as error:
                self.close_stdin()
                raise FailedPrecondition("the program does not read its standard input any more") from error
            if eof:
                self.close_stdin()

    async def _write_some(self, data: memoryview) -> int:
        while True:
            try:
                written = os.write(self._stdin, data)
            except BlockingIOError:
                await self._writable()
                continue
            self._stdin_bytes += written
            return written

    async def _writable(self) -> None:
        loop = asyncio.get_running_loop()
        ready = asyncio.Event()
        loop.add_writer(self._stdin, ready.set)
        try:
            await ready.wait()
        finally:
            loop.remove_writer(self._stdin)

    def close_stdin(self) -> None:
        """Ends its standard input. A second call does nothing."""
        if self._stdin >= 0:
            os.close(self._stdin)
            self._stdin = -1


def _read_piece(path: Path, offset: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(offset)
            return file.read(CHUNK_BYTES)
    except FileNotFoundError:
        return b""
