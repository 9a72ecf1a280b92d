"""Reads logs and events: over SSH while a host runs, from its volume when it does not."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from mngr import durations
from mngr.errors import UsageError
from mngr.hosts import host_dir
from mngr.hosts.host_dir import Where
from mngr.models import Agent
from mngr.operations import offline
from mngr.operations.finding import Found, provider_of

_HOST_LOGS = ("supervisor", "watch", "sync", "sshd", "provision")
AGENT_SOURCES = ("output", "events", *_HOST_LOGS, "build")
HOST_SOURCES = ("events", *_HOST_LOGS, "build")
ALL = "all"


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


def chosen(found: Found, wanted: str | None) -> tuple[str, ...]:
    """The sources that are meant by one, by ``all``, or by none: the output of an agent, all of a host."""
    known = sources(found)
    wanted = wanted or ("output" if "output" in known else ALL)
    return known if wanted == ALL else (wanted,)


def read(found: Found, source: str, where: Where) -> Read:
    """Raises `NotFound` when the host does not run and has no volume, or nothing was built for it."""
    if source == "build":
        return build(found, where)
    path = path_of(found.agent, source)
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


def build(found: Found, where: Where) -> Read:
    """The log of the image's build, which has no times. Raises `NotFound` when nothing was built."""
    text = provider_of(found.host).build_log(found.host.record).encode()
    lines = text.splitlines(keepends=True)
    data = b"".join(lines[len(lines) - where.tail :] if where.tail is not None and where.tail < len(lines) else lines)
    return Read("build", data, len(text) - len(data), live=False)


def path_of(agent: Agent | None, source: str) -> str:
    """Where a log lies in the data directory. Raises `UsageError` for the output of a host."""
    if source == "output":
        if agent is None:
            raise UsageError("--source output: a host has no output of its own; name one of its agents")
        return f"agents/{agent.id}/output.log"
    if source == "events":
        return f"agents/{agent.id}/events.jsonl" if agent else "events.jsonl"
    return f"logs/{source}.log"
