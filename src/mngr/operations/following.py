"""Follows logs as they grow, across ends and starts of their host."""

from __future__ import annotations

import contextlib
import os
import selectors
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from mngr.errors import AgentNotFound, HostUnreachable, NotFound
from mngr.hosts import host_dir
from mngr.hosts.host_dir import Where
from mngr.operations import logs, offline
from mngr.operations.finding import Found, look

_LOOK_AGAIN_S = 1.0
Piece = tuple[str, bytes]
"""A source, and what was written to it next."""


@dataclass(frozen=True, slots=True)
class Followed:
    """Which logs are followed, and what is written to them, as it comes."""

    sources: tuple[str, ...]
    pieces: Iterator[Piece]


@dataclass
class _Reached:
    """How far a log was followed: the next place, the boot that it was reached in, and the host as it was then."""

    where: Where
    seen: tuple[int, str] = (-1, "")

    def at(self, boot: str, place: int) -> None:
        self.where = Where(boot=boot, place=place)


@dataclass
class _Teller:
    """Says what happens to the host, once."""

    tell: Callable[[str], None]
    told: str = ""

    def waits(self, found: Found) -> None:
        host = found.host
        reason = f" ({host.reason})" if host.reason else ""
        text = f"{host.record.name} is {host.state.value}{reason}; waiting for its start"
        if text != self.told:
            self.tell(text)
            self.told = text


def follow(name: str, wanted: str | None, where: Where, tell: Callable[[str], None]) -> Followed:
    """The logs that `logs.chosen` says, from `where` on; each byte once, though what a host that died had not committed
    is written anew. Ends when the agent is destroyed. `tell` is told what happens to the host.

    Raises `AgentNotFound`, `UsageError`.
    """
    found = look(name)
    sources = logs.chosen(found, wanted)
    for source in sources:
        logs.path_of(found.agent, source)
    return Followed(sources, _follow(name, found, sources, where, _Teller(tell)))


def _follow(name: str, found: Found, sources: Sequence[str], where: Where, teller: _Teller) -> Iterator[Piece]:
    if "build" in sources:
        # It is complete before there is a host.
        try:
            yield "build", logs.build(found, where).data
        except NotFound:
            if len(sources) == 1:
                raise
    reached = {source: _Reached(where) for source in sources if source != "build"}
    while reached:
        if found.target is not None:
            teller.told = ""
            with contextlib.suppress(HostUnreachable):
                yield from _live(found, reached)
        else:
            teller.waits(found)
            for source, one in reached.items():
                yield from _rest(found, source, one)
        time.sleep(_LOOK_AGAIN_S)
        try:
            found = look(name)
        except AgentNotFound:
            teller.tell(f"{name} is destroyed")
            return


def _live(found: Found, reached: dict[str, _Reached]) -> Iterator[Piece]:
    """Until one of them ends; then all are read again from where they were."""
    assert found.target is not None  # noqa: S101 (the caller looked)
    with contextlib.ExitStack() as stack:
        selector = stack.enter_context(selectors.DefaultSelector())
        for source, one in reached.items():
            path = logs.path_of(found.agent, source)
            stream = stack.enter_context(host_dir.reading(found.target, path, one.where, follow=True))
            one.at(stream.boot, stream.place)
            selector.register(stream.descriptor, selectors.EVENT_READ, (source, one))
        while True:
            for key, _events in selector.select():
                source, one = key.data
                piece = os.read(key.fd, host_dir.CHUNK)
                if not piece:
                    return
                one.at(one.where.boot, (one.where.place or 0) + len(piece))
                yield source, piece


def _rest(found: Found, source: str, reached: _Reached) -> Iterator[Piece]:
    """What the host committed at its end and was not seen before; looked at again only when the host changes."""
    host = found.host
    seen = (host.record.revision, host.state.value)
    if seen == reached.seen:
        return
    reached.seen = seen
    try:
        files = offline.files_of(host)
    except NotFound:
        return
    stream = files.log(logs.path_of(found.agent, source), reached.where)
    before, place = reached.where, stream.place
    for piece in stream.pieces:
        place += len(piece)
        yield source, piece
    if before.place is None or place > before.place:
        reached.at(stream.boot() or before.boot, place)
