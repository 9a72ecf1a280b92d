"""What a sandbox is made with, checked and in one unit each. Kept with the host's record."""

from __future__ import annotations

import msgspec


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """Cores, GiB, seconds. `dockerfile` and `context_dir` are absolute paths on the machine that created the host;
    `secrets` are names of environment variables, `env` names of those whose values the provider keeps."""

    cpu: float = 1.0
    memory: float = 1.0
    timeout: int = 900
    image: str = ""
    gpu: str = ""
    cpu_limit: float | None = None
    memory_limit: float | None = None
    region: str = ""
    cloud: str = ""
    offline: bool = False
    cidr_allowlist: tuple[str, ...] = ()
    dockerfile: str = ""
    context_dir: str = ""
    docker_build_args: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    env: tuple[str, ...] = ()


class Plan(msgspec.Struct, frozen=True):
    """Checked options, the values of `env` that are not kept with them, and remarks for those who want to know."""

    options: Options
    env: dict[str, str] = {}
    notes: tuple[str, ...] = ()


# Several hosts are started at the same time; see `models.RECORDS`.
msgspec.json.Decoder(Options)
