"""Reads logs and events: over SSH while a host runs, from its volume when it does not."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from mngr import durations
from mngr.errors import AgentNotFound, HostUnreachable, NotFound, UsageError
from mngr.hosts import host_dir
from mngr.hosts.host_dir import Where
from mngr.models import Agent
from mngr.operations import offline
from mngr.operations.finding import Found, look, provider_of

_HOST_LOGS = ("supervisor", "watch", "sync", "sshd", "provision")
AGENT_SOURCES = ("output", "events", *_HOST_LOGS, "build")
HOST_SOURCES = ("events", *_HOST_LOGS, "build")
_LOOK_AGAIN_S = 1.0


@dataclass(frozen=True, slots=True)
class Read:
    """What was read: from which byte of all that was ever written, and when a host that does not run wrote it."""

    source: str
    data: bytes
    place: int
    live: bool
    as_of: float | None = None
    note: str = ""


def sources(found: Found) -> tuple[str, ...]:
    """What can be read of an agent, or of a host that was named itself, the most interesting first."""
    return AGENT_SOURCES if found.agent else HOST_SOURCES


def read(found: Found, source: str, where: Where) -> Read:
    """Raises `NotFound` when the host does not run and has no volume, or nothing was built for it."""
    if source == "build":
        return _build(found, where)
    path = _path(found.agent, source)
    if found.target is not None:
        with host_dir.reading(found.target, path, where) as stream:
            return Read(source, b"".join(stream.pieces), stream.place, live=True)
    files = offline.files_of(found.host)
    with ThreadPoolExecutor(1) as pool:
        pending = pool.submit(files.status)
        kept = files.log(path, where)
        data = b"".join(kept.pieces)
        status = pending.result()
    return Read(source, data, kept.place, live=False, as_of=status.time if status else None, note=age(found, status))


def age(found: Found, status: offline.Status | None) -> str:
    """How old it is what is read of a host that does not run."""
    host = found.host
    about = f"{host.record.name} is {host.state.value}"
    if status is None:
        return f"{about}; it never committed its volume"
    ago = durations.ago(time.time() - status.time)
    if status.ended:
        return f"{about}; this is all that it wrote until its end {ago} ago"
    ended = provider_of(host).ended_at(host.record)
    if ended is not None and ended >= status.time:
        return f"{about}; this is as of {ended - status.time:.0f} s before it ended, {ago} ago"
    return f"{about} and ended without a word; this is as of its last commit, {ago} ago"


def _build(found: Found, where: Where) -> Read:
    text = provider_of(found.host).build_log(found.host.record).encode()
    lines = text.splitlines(keepends=True)
    data = b"".join(lines[len(lines) - where.tail :] if where.tail is not None and where.tail < len(lines) else lines)
    return Read("build", data, len(text) - len(data), live=False)


def _path(agent: Agent | None, source: str) -> str:
    if source == "output":
        if agent is None:
            raise UsageError("--source output: a host has no output of its own; name one of its agents")
        return f"agents/{agent.id}/output.log"
    if source == "events":
        return f"agents/{agent.id}/events.jsonl" if agent else "events.jsonl"
    return f"logs/{source}.log"


@dataclass
class _Reached:
    """How far a log was followed: the next place, and the boot that it was reached in."""

    where: Where
    told: str = ""
    seen: tuple[int, str] = (-1, "")

    def at(self, boot: str, place: int) -> None:
        self.where = Where(boot=boot, place=place)


def follow(name: str, source: str, where: Where, tell: Callable[[str], None]) -> Iterator[bytes]:
    """The log as it grows, across ends and starts of its host; each byte once, though what a host that died had not
    committed is written anew. Ends when the agent is destroyed. `tell` is told what happens to the host.

    Raises `AgentNotFound` when there is no such agent at first.
    """
    if source == "build":
        yield read(look(name), source, where).data
        return
    reached = _Reached(where)
    found = look(name)
    while True:
        path = _path(found.agent, source)
        if found.target is not None:
            reached.told = ""
            with contextlib.suppress(HostUnreachable):
                yield from _live(found, path, reached)
        else:
            yield from _rest(found, path, reached, tell)
        time.sleep(_LOOK_AGAIN_S)
        try:
            found = look(name)
        except AgentNotFound:
            tell(f"{name} is destroyed")
            return


def _live(found: Found, path: str, reached: _Reached) -> Iterator[bytes]:
    assert found.target is not None  # noqa: S101 (the caller looked)
    with host_dir.reading(found.target, path, reached.where, follow=True) as stream:
        place = stream.place
        reached.at(stream.boot, place)
        for piece in stream.pieces:
            place += len(piece)
            reached.at(stream.boot, place)
            yield piece


def _rest(found: Found, path: str, reached: _Reached, tell: Callable[[str], None]) -> Iterator[bytes]:
    """What the host committed at its end and was not seen before; looked at again only when the host changes."""
    host = found.host
    seen = (host.record.revision, host.state.value)
    if seen == reached.seen:
        return
    reached.seen = seen
    text = (
        f"{host.record.name} is {host.state.value}{f' ({host.reason})' if host.reason else ''}; waiting for its start"
    )
    if text != reached.told:
        tell(text)
        reached.told = text
    try:
        files = offline.files_of(host)
    except NotFound:
        return
    stream = files.log(path, reached.where)
    before, place = reached.where, stream.place
    for piece in stream.pieces:
        place += len(piece)
        yield piece
    if before.place is None or place > before.place:
        status = files.status()
        reached.at(status.boot if status else before.boot, place)
