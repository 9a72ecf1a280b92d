"""Talks to agents: messages, answers, waiting for them, what was said."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from mngr import config
from mngr.agents import registry, transcripts
from mngr.agents.transcripts import Entry
from mngr.agents.types import AgentType
from mngr.errors import (
    AgentBlocked,
    AgentEnded,
    AgentNotFound,
    HostUnreachable,
    MngrError,
    NotFound,
    NotReady,
    NotRunning,
    TimedOut,
    UsageError,
)
from mngr.hosts import ssh, terminal
from mngr.hosts.agents import AgentProbe
from mngr.hosts.host_dir import Where
from mngr.models import ENDED, Agent, AgentState, AgentView, Host, HostState
from mngr.operations import finding, offline
from mngr.operations.execution import reach
from mngr.operations.listing import listing, state_of
from mngr.providers.base import Progress

T = TypeVar("T")
_AT_ONCE = 16
_READY_S = 120
# How long one look on the host may take before the provider is asked whether the host is there still.
_CHUNK_S = 300
_RETRY_S = 0.5
_END_OF_PASTE = b"\x1b[201~"
_ACTIVITIES = {
    AgentState.WAITING: ("waiting", "blocked", "done"),
    AgentState.BLOCKED: ("blocked", "done"),
    AgentState.DONE: ("done",),
    AgentState.STOPPED: ("done",),
}


@dataclass(frozen=True, slots=True)
class Said(Generic[T]):
    """What became of one of several agents: a value or an error."""

    name: str
    value: T | None = None
    error: MngrError | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """An agent that was told something, and its state when that was waited for, else None."""

    agent: Agent
    state: AgentState | None


def for_agents(names: Iterable[str], function: Callable[[str], T]) -> list[Said[T]]:
    """Calls `function` for several agents at the same time. The error of a single one is raised."""
    wanted = list(dict.fromkeys(names))
    if len(wanted) == 1:
        return [Said(wanted[0], function(wanted[0]))]

    def guarded(name: str) -> Said[T]:
        try:
            return Said(name, function(name))
        except MngrError as error:
            return Said(name, error=error)

    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(guarded, wanted))


def everybody() -> list[str]:
    """The ids of all agents that can be talked to."""
    alive = (AgentState.RUNNING, AgentState.WAITING, AgentState.BLOCKED)
    return [found.agent.id for found in listing().agents if found.state in alive]


def message(name: str, text: bytes, progress: Progress, *, wait_s: float | None = None) -> Told:
    """Types `text` into an agent's terminal and submits it once, also while it works.

    With `wait_s` returns when it waits again. Raises `UsageError` for a text that can not be typed, `AgentBlocked`
    rather than answer a permission by chance, `NotRunning`, `TimedOut`.
    """
    if not text.strip():
        raise UsageError("the message is empty")
    if _END_OF_PASTE in text:
        raise UsageError("the message has the terminal's own mark for the end of a paste in it and can not be typed")
    target, agent = reach(name, progress)
    _must_listen(agent, terminal.send(target, agent, text), blocked_too=False)
    return Told(agent, None if wait_s is None else wait(name, AgentState.WAITING, progress, timeout_s=wait_s))


def answer(name: str, keys: bytes, progress: Progress, *, wait_s: float | None = None) -> Told:
    """Types keys as they are, for a question that takes a key; empty is Enter. Otherwise as `message`."""
    target, agent = reach(name, progress)
    _must_listen(agent, terminal.press(target, agent, keys), blocked_too=True)
    return Told(agent, None if wait_s is None else wait(name, AgentState.WAITING, progress, timeout_s=wait_s))


def _must_listen(agent: Agent, probe: AgentProbe, *, blocked_too: bool) -> None:
    """Raises what says why an agent was told nothing."""
    if not probe.running:
        raise NotRunning(agent.name, AgentState.STOPPED.value if probe.exit_code is None else AgentState.DONE.value)
    if probe.activity == "blocked" and not blocked_too:
        raise AgentBlocked(agent.name)


def wait(name: str, wanted: AgentState, progress: Progress, *, timeout_s: float | None = None) -> AgentState:
    """Waits until an agent is in a state.

    Raises `TimedOut`; `AgentBlocked` when it is blocked and somebody waits for it to wait; `AgentEnded` when it has
    ended in another way than was waited for.
    """
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    while True:
        left = _CHUNK_S if deadline is None else deadline - time.monotonic()
        try:
            found, agent_name = _wait_on_host(name, wanted, progress, max(0, min(left, _CHUNK_S)))
        except HostUnreachable:
            # The host has ended or the line has dropped; the next look asks the provider which.
            found, agent_name = None, name
        if found is wanted:
            return wanted
        if found is AgentState.BLOCKED and wanted is AgentState.WAITING:
            raise AgentBlocked(agent_name)
        if found in (AgentState.DONE, AgentState.STOPPED) and not (wanted, found) == (
            AgentState.STOPPED,
            AgentState.DONE,
        ):
            raise AgentEnded(agent_name, found.value, wanted.value)
        if deadline is not None and time.monotonic() >= deadline:
            raise TimedOut(agent_name, wanted.value, timeout_s or 0, found.value if found else "UNKNOWN")
        if found is None or found is AgentState.DONE:
            time.sleep(_RETRY_S)


def _wait_on_host(name: str, wanted: AgentState, progress: Progress, left_s: float) -> tuple[AgentState | None, str]:
    """The state after a wait on the host, None for a host that is on its way somewhere, and the agent's name."""
    try:
        target, agent = reach(name, progress)
    except NotRunning:
        host, agent = finding.find(name)
        return (AgentState.STOPPED if _has_ended(host) else None), agent.name
    try:
        probe = terminal.wait(target, agent, _ACTIVITIES[wanted], timeout_s=int(left_s))
    except HostUnreachable:
        ssh.close(target)
        raise
    return state_of(probe), agent.name


def _has_ended(host: Host) -> bool:
    return host.state in (*ENDED, HostState.FAILED, HostState.DESTROYED)


def first_message(made: AgentView, text: bytes, progress: Progress) -> AgentView:
    """Tells a new agent its task as soon as it is ready. Raises `NotReady` when it does not get so; it runs on then."""
    kind = registry.agent_type(made.agent.type, config.load())
    if kind.screen.busy or kind.reports:
        progress("waiting until the agent is ready")
        with contextlib.suppress(TimedOut):
            wait(made.agent.id, AgentState.WAITING, progress, timeout_s=_READY_S)
            message(made.agent.id, text, progress)
            return made
        raise NotReady(made.agent.name, _READY_S)
    message(made.agent.id, text, progress)
    return made


def reuse(name: str, progress: Progress) -> AgentView | None:
    """The agent of a name, started when it is stopped, or None when there is none or its creation failed."""
    try:
        host, _agent = finding.find(name)
    except AgentNotFound:
        return None
    if host.state is HostState.FAILED:
        return None
    from mngr.operations.lifecycle import StartRequest, start

    views: Sequence[AgentView] = start([name], progress, StartRequest())[0].value or ()
    return next(view for view in views if name in (view.agent.name, view.agent.id))


def screen(name: str, progress: Progress, *, ansi: bool = False, history: bool = False) -> str:
    """What an agent's screen shows now, as `terminal.capture`."""
    target, agent = reach(name, progress)
    return terminal.capture(target, agent, ansi=ansi, history=history)


def raw_transcript(name: str, progress: Progress) -> tuple[str, bytes]:
    """An agent's record of its conversation as it is, and its form; of one that keeps none what its screen has shown,
    in the form that is empty. Of an agent whose host does not run, what its volume has.

    Raises `NotRunning` when there is nothing of it.
    """
    try:
        target, agent = reach(name, progress)
    except NotRunning:
        host, agent = finding.find(name)
        kept = _kept_transcript(host, agent)
        if not kept:
            raise
        return _type_of(agent).transcript, kept
    kind = _type_of(agent)
    data = terminal.transcript(target, agent, kind.transcripts) if kind.transcript else b""
    if data:
        return kind.transcript, data
    return "", terminal.capture(target, agent, history=True).encode()


def _type_of(agent: Agent) -> AgentType:
    return registry.known_type(agent.type, config.load())


def _kept_transcript(host: Host, agent: Agent) -> bytes:
    try:
        kept = offline.files_of(host).log(f"agents/{agent.id}/transcript.jsonl", Where())
    except NotFound:
        return b""
    return b"".join(kept.pieces)


def transcript(name: str, progress: Progress) -> list[Entry]:
    """What was said and done, oldest first."""
    return transcripts.read(*raw_transcript(name, progress))
