"""The server's end of `spawn`: starts that process and asks it for programs inside containers."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from localmodal.engine import spawn
from localmodal.errors import Internal


@dataclass(frozen=True, slots=True)
class Program:
    """What to run in a container. `env` is the whole environment; `terminal` is rows and columns, or None."""

    argv: Sequence[str]
    env: Mapping[str, str]
    workdir: str
    timeout_s: float | None = None
    terminal: tuple[int, int] | None = None
    ends_container: bool = False


class Spawner:
    """One `spawn` process. Requests are answered in the order in which they are made."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._socket: socket.socket | None = None
        self._lock = asyncio.Lock()

    async def start(self) -> None:
        """Starts the process. It ends by itself when this one does."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, spawn.MAX_REQUEST * 2)
        ours.setblocking(False)
        script = Path(spawn.__file__)
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-I", "-S", str(script), str(theirs.fileno())),
            pass_fds=[theirs.fileno()],
            stdin=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
        theirs.close()
        self._socket = ours

    async def run(self, init_pid: int, program: Program, *, files: tuple[int, int, int, int]) -> int:
        """Starts `program` beside the process `init_pid`; the process id of its runner.

        `files` are open for standard input, output, error and the exit status; they stay the caller's to close.
        Raises `Internal` when nothing could be forked. That a program could not be executed is told as a shell does:
        exit status 127 and a line on its standard error.
        """
        request = {
            "init_pid": init_pid,
            "argv": list(program.argv),
            "env": dict(program.env),
            "workdir": program.workdir,
            "timeout_s": program.timeout_s,
            "terminal": program.terminal,
            "ends_container": program.ends_container,
        }
        message = json.dumps(request).encode()
        if len(message) > spawn.MAX_REQUEST:
            raise Internal(f"arguments and environment are {len(message)} bytes, more than {spawn.MAX_REQUEST}")
        connection = self._socket
        if connection is None:
            raise Internal("the spawner is not running")
        loop = asyncio.get_running_loop()
        async with self._lock:
            socket.send_fds(connection, [message], list(files))
            reply = json.loads(await loop.sock_recv(connection, 65536) or b'{"error": "the spawner ended"}')
        if "error" in reply:
            raise Internal(f"a program could not be started: {reply['error']}")
        return int(reply["pid"])

    async def stop(self) -> None:
        """Ends the process; programs that it started go on."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._process is not None:
            await self._process.wait()
            self._process = None


def alive(pid: int) -> bool:
    """Whether a process of this id exists."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
