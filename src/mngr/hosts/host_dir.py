"""The data directory of a host that runs: its logs and events, read and added to over SSH."""

from __future__ import annotations

import contextlib
import os
import shlex
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from mngr.errors import HostUnreachable
from mngr.hosts import ssh
from mngr.hosts.agents import HOST_DIR, SCRIPTS
from mngr.hosts.ssh import Target

CHUNK = 65_536


@dataclass(frozen=True, slots=True)
class Where:
    """From where on a log is read: the last `tail` lines, what was written in the last `since_s` seconds (about), or
    from a `place` that was reached in `boot`; from its beginning without any. A place counts all bytes ever written.
    """

    tail: int | None = None
    since_s: int | None = None
    boot: str = ""
    place: int | None = None

    def word(self) -> str:
        """As read-log.sh takes it."""
        if self.place is not None:
            return f"at:{self.boot}:{self.place}"
        if self.tail is not None:
            return f"tail:{self.tail}"
        return "all" if self.since_s is None else f"since:{self.since_s}"


@dataclass(frozen=True, slots=True)
class LogStream:
    """What a log holds from `place` on, as far as it was written in `boot` or before: in pieces, or as they come from
    `descriptor`."""

    boot: str
    place: int
    pieces: Iterator[bytes]
    descriptor: int


def keep(target: Target) -> None:
    """Commits the host volume and copies to the host's disk what its snapshots must hold to start agents from."""
    ssh.run(target, f"sh {SCRIPTS}/sync.sh once", what="committing the host volume")


def note(target: Target, kind: str, about: Mapping[str, str], *, agent_id: str = "-") -> None:
    """Adds an event to the stream of an agent, or of the host and all of its agents."""
    words = [agent_id, kind, *(word for pair in about.items() for word in pair)]
    ssh.run(target, f"sh {SCRIPTS}/event.sh {shlex.join(words)}", what="writing an event")


@contextmanager
def reading(target: Target, path: str, where: Where, *, follow: bool = False) -> Iterator[LogStream]:
    """Reads a log of the host, by its path from the data directory. With `follow` the pieces end only with the
    connection. Raises `HostUnreachable` before the first piece."""
    words = [f"{SCRIPTS}/read-log.sh", f"{HOST_DIR}/{path}", where.word(), *(["follow"] if follow else [])]
    process = subprocess.Popen(
        ssh.argv(target, remote=f"exec sh {shlex.join(words)}"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdout is not None and process.stdin is not None  # noqa: S101 (both are pipes)
    try:
        # As it is read byte by byte, no piece is lost in a buffer.
        head = bytearray()
        descriptor = process.stdout.fileno()
        while not head.endswith(b"\n"):
            byte = os.read(descriptor, 1)
            if not byte:
                raise HostUnreachable(target.name, f"its log {path} could not be read")
            head += byte
        boot, place, end = head.split()
        pieces = iter(lambda: os.read(descriptor, CHUNK), b"")
        # What was written since the place was found does not belong to the last lines that were asked for.
        bounded = pieces if follow else _first(pieces, int(end) - int(place))
        yield LogStream(boot.decode(), int(place), bounded, descriptor)
    finally:
        # The end of its input ends the reader on the host.
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        process.terminate()
        process.wait()
        process.stdout.close()


def _first(pieces: Iterator[bytes], count: int) -> Iterator[bytes]:
    """The first `count` bytes of all."""
    for piece in pieces:
        yield piece[:count]
        count -= len(piece)
        if count <= 0:
            return
