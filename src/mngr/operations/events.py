"""What happened to agents and hosts, in order: the events that are written on the host itself, whoever caused them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from mngr.hosts.host_dir import Where
from mngr.models import Host, HostState
from mngr.operations import following, logs
from mngr.operations.finding import look

_SOURCE = "events"
_LAST_WORDS = ("stopped", "ended")


def events(name: str, since_s: int | None = None) -> tuple[list[dict[str, Any]], str]:
    """The events of an agent or host, oldest first, and how old they are when the host does not run.

    Of a host that ended without a word the last one is what the provider says. Raises as `logs.read`.
    """
    named = look(name, destroyed=True)
    found = logs.read(named, _SOURCE, Where())
    parsed = [event for event in map(_parse, found.data.splitlines()) if event is not None]
    if not found.live:
        parsed += _end_of(named.host, parsed[-1] if parsed else {})
    first = 0.0 if since_s is None else time.time() - since_s
    return [event for event in parsed if event.get("time", 0.0) >= first], found.note


def follow(name: str, since_s: int | None, tell: Callable[[str], None]) -> Iterator[dict[str, Any]]:
    """The events and then each as it happens, across ends and starts of the host. Ends when the agent is destroyed."""
    first = 0.0 if since_s is None else time.time() - since_s
    rest = b""
    for _source, piece in following.follow(name, _SOURCE, Where(), tell).pieces:
        *lines, rest = (rest + piece).split(b"\n")
        for event in map(_parse, lines):
            if event is not None and event.get("time", 0.0) >= first:
                yield event


def _parse(line: bytes) -> dict[str, Any] | None:
    """None for a line that a host which died wrote half."""
    try:
        event = msgspec.json.decode(line)
    except msgspec.DecodeError:
        return None
    return event if isinstance(event, dict) else None


def _end_of(host: Host, last: dict[str, Any]) -> list[dict[str, Any]]:
    if last.get("type") in _LAST_WORDS or host.state in (HostState.STARTING, HostState.STOPPING):
        return []
    reason = host.reason or host.record.reason
    return [{"time": last.get("time", host.record.started_at), "type": "ended", "reason": reason}]
