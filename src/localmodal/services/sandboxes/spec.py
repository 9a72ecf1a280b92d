"""What a sandbox is asked to be, and what is known of it."""

from __future__ import annotations

from enum import Enum

import msgspec

from localmodal.engine.network import Egress
from localmodal.services.images.table import Image


class Status(Enum):
    """Why a sandbox ended; the values are the names of Modal's own statuses."""

    SUCCESS = "GENERIC_STATUS_SUCCESS"
    FAILURE = "GENERIC_STATUS_FAILURE"
    TERMINATED = "GENERIC_STATUS_TERMINATED"
    TIMEOUT = "GENERIC_STATUS_TIMEOUT"
    IDLE_TIMEOUT = "GENERIC_STATUS_IDLE_TIMEOUT"
    INIT_FAILURE = "GENERIC_STATUS_INIT_FAILURE"
    OUT_OF_MEMORY = "GENERIC_STATUS_KERNEL_OOM_KILL"


class VolumeMount(msgspec.Struct, frozen=True):
    volume_id: str
    path: str
    read_only: bool = False
    sub_path: str = ""


class Probe(msgspec.Struct, frozen=True):
    """When a sandbox counts as ready: a TCP port answers, or a command ends with 0."""

    interval_s: float
    tcp_port: int | None = None
    command: tuple[str, ...] = ()


class SandboxSpec(msgspec.Struct, frozen=True, kw_only=True):
    """The definition of a sandbox without its secrets. `cpus`, `memory_mib` are requests, the `_limit`s are hard."""

    args: tuple[str, ...] = ()
    image_id: str = ""
    workdir: str = ""
    timeout_s: int
    idle_timeout_s: int | None = None
    milli_cpu: int = 0
    milli_cpu_limit: int = 0
    memory_mib: int = 0
    memory_mib_limit: int = 0
    ports: tuple[int, ...] = ()
    unencrypted_ports: tuple[int, ...] = ()
    egress: Egress = Egress()
    volumes: tuple[VolumeMount, ...] = ()
    mount_ids: tuple[str, ...] = ()
    probe: Probe | None = None
    regions: tuple[str, ...] = ()
    cloud: str = ""
    terminal: tuple[int, int] | None = None
    exit_snapshot: bool = False


class Sandbox(msgspec.Struct, frozen=True, kw_only=True):
    """One sandbox as the database has it. Times are seconds since 1970.

    `image` is what it was made from, kept whole: a sandbox outlives the deletion of its image. `exit_layer` is the
    layer that its exit snapshot is made of.
    """

    id: str
    task_id: str
    v2: bool
    app_id: str
    environment: str
    name: str
    spec: SandboxSpec
    image: Image
    tags: dict[str, str]
    created_at: float
    host_ports: dict[int, int]
    init_pid: int = 0
    init_started: int = 0
    started_at: float | None = None
    ready_at: float | None = None
    ended_at: float | None = None
    status: Status | None = None
    exit_code: int = 0
    message: str = ""
    exit_layer: str = ""
    exit_image_id: str = ""
    exit_image_error: str = ""

    @property
    def running(self) -> bool:
        return self.ended_at is None
