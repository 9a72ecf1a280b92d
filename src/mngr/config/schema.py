"""What can be set. A field's comment in `DESCRIPTIONS` is what the help shows."""

from __future__ import annotations

from typing import Literal

import msgspec

DEFAULT_PROVIDER = "modal"


class ModalSettings(msgspec.Struct, frozen=True, kw_only=True):
    """``[providers.NAME]`` with ``backend = "modal"``: which server and app, and what a sandbox gets when nothing else
    is said. The ``default_`` fields take what the build arguments of the same name take."""

    backend: Literal["modal"] = "modal"
    server: Literal["auto", "modal", "local"] = "auto"
    app: str = "mngr"
    environment: str = ""
    state_volume: str = "mngr-state"
    default_gpu: str = ""
    default_cpu: float | str = 1.0
    default_cpu_limit: float | str = ""
    default_memory: float | str = 1.0
    default_memory_limit: float | str = ""
    default_image: str = "debian:bookworm-slim"
    default_dockerfile: str = ""
    default_context_dir: str = ""
    default_timeout: int | str = 900
    default_region: str = ""
    default_cloud: str = ""
    default_offline: bool = False
    default_cidr_allowlist: list[str] = []
    default_secret: list[str] = []
    default_docker_build_arg: list[str] = []
    default_volume: list[str] = []
    default_env: list[str] = []
    default_idle_mode: str = "io"
    default_idle_timeout: int | str = "30m"
    agents_gone_grace: int | str = "5m"
    shutdown_buffer: int | str = 90
    auto_restart: bool = False
    snapshot_every: int | str = ""
    keep_snapshots: int = 10
    snapshot_ttl: int | str = ""
    is_host_volume_created: bool = True
    host_volume_version: Literal[1, 2] = 2
    volume_sync_interval: int | str = "10s"
    log_max_mb: int = 100


class AgentTypeSettings(msgspec.Struct, frozen=True, kw_only=True):
    """``[agent_types.NAME]``: a type made of another, or what is different in one that is built in.

    `args` come before those of the command line; `command` replaces the parent's program and what is installed for it;
    `install` is a line for the shell that goes into the image; `version` that of the program; `forward` names variables
    of yours that the agent gets when they are set.
    """

    parent: str = ""
    args: list[str] = []
    env: dict[str, str] = {}
    install: str = ""
    command: str = ""
    version: str = ""
    forward: list[str] = []


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """All settings. `providers` always has ``modal``, and whatever else is configured."""

    providers: dict[str, ModalSettings] = {}
    default_provider: str = DEFAULT_PROVIDER
    default_agent_type: str = "claude"
    agent_types: dict[str, AgentTypeSettings] = {}
