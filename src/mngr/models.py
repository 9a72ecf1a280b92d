"""The facts that mngr deals in. All are frozen; times are seconds since 1970."""

from __future__ import annotations

from enum import Enum
from typing import Any

import msgspec


class HostState(Enum):
    """What a host is doing. A record says what was intended; together with what runs it says what is."""

    BUILDING = "BUILDING"
    STARTING = "STARTING"
    RUNNING = "RUNNING"
    STOPPING = "STOPPING"
    PAUSED = "PAUSED"
    STOPPED = "STOPPED"
    CRASHED = "CRASHED"
    FAILED = "FAILED"
    DESTROYED = "DESTROYED"


class AgentState(Enum):
    """What an agent is doing: at work, waiting for the user, blocked until the user permits something, ended."""

    RUNNING = "RUNNING"
    WAITING = "WAITING"
    BLOCKED = "BLOCKED"
    DONE = "DONE"
    STOPPED = "STOPPED"
    UNKNOWN = "UNKNOWN"


class Agent(msgspec.Struct, frozen=True, kw_only=True):
    """One agent. `command` is a line for the host's shell; `work_dir` a path on the host."""

    id: str
    name: str
    type: str
    command: str
    work_dir: str
    created_at: float
    labels: dict[str, str] = {}


class HostRecord(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known of a host, as the provider keeps it. Each change is a new revision.

    `options` are the provider's own (resources, network, volumes), in a form that it can start the host with again.
    """

    id: str
    name: str
    provider: str
    revision: int
    state: HostState
    created_at: float
    options: dict[str, Any] = {}
    reason: str = ""
    sandbox_id: str = ""
    image_id: str = ""
    snapshot_ids: tuple[str, ...] = ()
    agents: tuple[Agent, ...] = ()


class Endpoint(msgspec.Struct, frozen=True):
    """Where a host's sshd answers."""

    address: str
    port: int
    user: str = "root"


class Host(msgspec.Struct, frozen=True, kw_only=True):
    """A host as it is now: its record, the state that follows from it and from what runs, and where it answers."""

    record: HostRecord
    state: HostState
    reason: str = ""
    endpoint: Endpoint | None = None


class AgentView(msgspec.Struct, frozen=True, kw_only=True):
    """An agent as it is now, with its host. `idle_s` is how long its screen has shown nothing new."""

    agent: Agent
    state: AgentState
    host: Host
    exit_code: int | None = None
    idle_s: float | None = None
