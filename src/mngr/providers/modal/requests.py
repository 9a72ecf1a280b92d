"""What the client is asked for and what it answers, in plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ImageRequest:
    """An image: `base` from a registry, or what `dockerfile` builds in `context_dir`; then `commands` on top.

    The values of `secrets` are in the build and nowhere else.
    """

    base: str
    commands: tuple[str, ...]
    dockerfile: str = ""
    context_dir: str = ""
    build_args: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SandboxRequest:
    """What a sandbox is made with. `secrets` become its environment and are nowhere else; `stored_secret` names one
    that the account keeps. `cidrs` None lets everything out. `volumes` maps paths to names."""

    name: str
    image_id: str
    command: tuple[str, ...]
    secrets: Mapping[str, str]
    tags: Mapping[str, str]
    timeout_s: int
    cpu: float | tuple[float, float]
    memory_mib: int | tuple[int, int]
    stored_secret: str = ""
    gpu: str = ""
    region: str = ""
    cloud: str = ""
    cidrs: tuple[str, ...] | None = None
    volumes: Mapping[str, str] = field(default_factory=dict)
    exit_snapshot: bool = True


@dataclass(frozen=True, slots=True)
class RouterAccess:
    """What it takes to reach a running sandbox's own server, once: its task, where that server is, and a token."""

    task_id: str
    url: str
    jwt: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Ending:
    """How a sandbox ended: its return code, Modal's word for it in lower case (``timeout``, ``kernel_oom_kill`` …), and
    what Modal says of it."""

    code: int
    status: str
    message: str
