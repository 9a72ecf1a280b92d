"""Writes an ssh config in which agents have names: `ssh my-agent.mngr`, for ssh, scp, git and editors alike."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from mngr import config, paths
from mngr.errors import MngrError
from mngr.hosts import known, ssh
from mngr.models import Agent, HostRecord, HostState
from mngr.providers import copies

_HEAD = "# Written by mngr, which keeps it up to date. To use it: mngr ssh-config --install\n"
SUFFIX = ".mngr"


def path() -> Path:
    return paths.home() / "ssh_config"


def refresh(*, create: bool = False) -> list[str]:
    """Writes the file anew from what this machine knows of hosts; the names in it, as ``my-agent.mngr``.

    Does nothing unless the file is there or `create` is set: nobody asked for it then. Asks no provider.
    """
    if not create and not path().exists():
        return []
    with (paths.private_folder(paths.home() / "locks") / "ssh_config").open("w") as lock:
        # Whoever writes last has read last.
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = {
            agent.name: (record, agent)
            for provider in config.load().providers
            for record in copies.read(provider)
            if record.state is not HostState.DESTROYED
            for agent in record.agents
        }
        blocks = [_block(*found[name]) for name in sorted(found)]
        paths.write_private(path(), "\n".join([_HEAD, *blocks]).encode())
    return [f"{name}{SUFFIX}" for name in sorted(found)]


def _block(record: HostRecord, agent: Agent) -> str:
    endpoint = known.endpoint(record) if record.state is HostState.RUNNING else None
    lines = [f"Host {agent.name}{SUFFIX}"]
    try:
        target = known.target(record, endpoint) if endpoint is not None else None
    except MngrError:
        lines.append(_refusing(f"this machine does not have the SSH keys of {agent.name}"))
        target = None
    else:
        if target is None:
            lines.append(_refusing(f"agent {agent.name} does not run; start it with: mngr start {agent.name}"))
    if target is not None:
        values = ssh.settings(target) | {
            "HostName": target.endpoint.address,
            "Port": str(target.endpoint.port),
            "User": target.endpoint.user,
        }
        lines += [f"{name} {value}" for name, value in values.items()]
    return "\n    ".join(lines) + "\n"


def _refusing(reason: str) -> str:
    """What makes ssh say why it can not connect; the words are names and ours, safe in quotes."""
    return f"ProxyCommand sh -c 'echo \"mngr: {reason}\" >&2; exit 1'"


def install(config_file: Path) -> bool:
    """Puts one line at the top of a user's ssh config that includes ours; False when it is there already.

    It must be at the top: behind a ``Host`` line it would count for that host only.
    """
    line = f'Include "{path()}"'
    text = config_file.read_text(errors="surrogateescape") if config_file.exists() else ""
    if line in text.splitlines():
        return False
    _write(config_file, f"# mngr\n{line}\n\n{text}" if text else f"# mngr\n{line}\n")
    return True


def uninstall(config_file: Path) -> bool:
    """Takes that line out again; False when it was not there."""
    line = f'Include "{path()}"'
    text = config_file.read_text(errors="surrogateescape") if config_file.exists() else ""
    if line not in text.splitlines():
        return False
    for form in (f"# mngr\n{line}\n\n", f"# mngr\n{line}\n", f"{line}\n"):
        if form in text:
            _write(config_file, text.replace(form, "", 1))
            break
    return True


def _write(file: Path, text: str) -> None:
    """Replaces a file at once; a link stays a link, and permissions stay."""
    file = file.resolve()
    mode = file.stat().st_mode & 0o777 if file.exists() else 0o600
    if not file.parent.exists():
        file.parent.mkdir(mode=0o700, parents=True)
    partial = file.with_name(f"{file.name}.{os.getpid()}.mngr")
    partial.write_text(text, errors="surrogateescape")
    partial.chmod(mode)
    partial.replace(file)
