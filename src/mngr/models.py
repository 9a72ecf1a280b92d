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


LIFETIME_OVER = "lifetime of "
"""What the reason of a host begins with that ended only because its time was over."""

IN_WORK = frozenset({HostState.BUILDING, HostState.STARTING, HostState.STOPPING})
"""States that some mngr is about to leave; a record that stays in one was left by a mngr that was killed."""
ENDED = frozenset({HostState.STOPPED, HostState.PAUSED, HostState.CRASHED})
"""States of a host whose sandbox has ended, from which a start brings it back."""


class AgentState(Enum):
    """What an agent is doing: at work, waiting for the user, blocked until the user permits something, ended."""

    RUNNING = "RUNNING"
    WAITING = "WAITING"
    BLOCKED = "BLOCKED"
    DONE = "DONE"
    STOPPED = "STOPPED"
    UNKNOWN = "UNKNOWN"


class SnapshotKind(Enum):
    """Why a snapshot was taken: asked for, left by a sandbox that ended, before the first start, by the clock."""

    MANUAL = "manual"
    EXIT = "exit"
    INITIAL = "initial"
    PERIODIC = "periodic"


class IdleMode(Enum):
    """What counts as activity of a host; `RUN` counts as long as a program of an agent lives, `DISABLED` always."""

    IO = "io"
    USER = "user"
    AGENT = "agent"
    SSH = "ssh"
    CREATE = "create"
    BOOT = "boot"
    START = "start"
    RUN = "run"
    DISABLED = "disabled"


class Agent(msgspec.Struct, frozen=True, kw_only=True):
    """One agent. `command` is a line for the host's shell; `work_dir` a path on the host."""

    id: str
    name: str
    type: str
    command: str
    work_dir: str
    created_at: float
    labels: dict[str, str] = {}


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A file system that a host had. `id` is the provider's; `based_on` the snapshot that its sandbox had started from.

    `expires_at` None is never; `size` is the bytes that were on the host's disk, None when nobody could ask it.
    """

    id: str
    kind: SnapshotKind
    created_at: float
    name: str = ""
    description: str = ""
    tags: dict[str, str] = {}
    based_on: str = ""
    sandbox_id: str = ""
    size: int | None = None
    expires_at: float | None = None


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """When a host ends itself, and what is done then and meanwhile. Times in seconds.

    `snapshot_every_s` 0 takes no snapshots by the clock; of those that the clock took, `keep_snapshots` are kept.
    `sync_every_s` is how often a host volume is committed, `log_max_mb` what one log may have on disk.
    """

    idle_mode: IdleMode = IdleMode.IO
    idle_timeout_s: int = 1800
    agents_gone_s: int = 300
    shutdown_buffer_s: int = 90
    auto_restart: bool = False
    snapshot_every_s: int = 0
    keep_snapshots: int = 10
    sync_every_s: int = 10
    log_max_mb: int = 100


class HostVolume(msgspec.Struct, frozen=True, kw_only=True):
    """Where a host's data directory lies, by the provider's name for it. It outlives what runs of the host."""

    name: str
    version: int = 2


class HostFile(msgspec.Struct, frozen=True):
    """A file or folder of a host: its path, bytes, seconds since 1970. Links, pipes and sockets are not plain."""

    path: str
    is_folder: bool
    size: int
    changed_at: float
    is_plain: bool = True


class HostRecord(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known of a host, as the provider keeps it. Each change is a new revision.

    `options` are the provider's own (resources, network, volumes), in a form that it can start the host with again.
    `sandbox_id` is the present or last sandbox, which began at `started_at` from the snapshot `started_from` (empty:
    from the image). `held_by` names the state folder whose mngr is about to leave a state of `IN_WORK`, since
    `changed_at`. `exit_snapshots` False means that the provider keeps nothing of a sandbox that ends. `volume` None
    means that the host's data directory is part of its file system.
    """

    id: str
    name: str
    provider: str
    revision: int
    state: HostState
    created_at: float
    options: dict[str, Any] = {}
    policy: Policy = Policy()
    reason: str = ""
    sandbox_id: str = ""
    image_id: str = ""
    snapshots: tuple[Snapshot, ...] = ()
    agents: tuple[Agent, ...] = ()
    started_at: float = 0.0
    started_from: str = ""
    changed_at: float = 0.0
    held_by: str = ""
    exit_snapshots: bool = True
    volume: HostVolume | None = None

    @property
    def newest_snapshot(self) -> Snapshot | None:
        """What the host comes back from, None before it has ended or been kept."""
        return max(self.snapshots, key=lambda snapshot: snapshot.created_at, default=None)


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
    out_of_memory: bool = False


# msgspec learns what a struct is made of when that is first needed, and two threads that need it at the same time end
# the interpreter with a segmentation fault (0.22.0). So it is done here, where only one thread runs.
RECORDS: msgspec.json.Decoder[HostRecord] = msgspec.json.Decoder(HostRecord)
