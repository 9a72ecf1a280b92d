"""What this machine remembers of hosts between commands: where each answered last, and the keys to it."""

from __future__ import annotations

from pathlib import Path

from mngr import paths
from mngr.errors import NotFound
from mngr.hosts.ssh import Target
from mngr.models import Endpoint, HostRecord


def target(record: HostRecord, endpoint: Endpoint) -> Target:
    """How to reach a host. Raises `NotFound` when this machine does not have its keys."""
    folder = paths.host_folder(record.id)
    if not (folder / "id").exists():
        raise NotFound(f"this machine does not have the SSH keys of host {record.name}: it was made on another one")
    return Target(record.id, endpoint, folder)


def endpoint(record: HostRecord) -> Endpoint | None:
    """Where the host's present sandbox answered last, or None. It may be wrong by now; a host's key tells."""
    try:
        sandbox_id, address, port = (_folder() / record.id).read_text().split()
    except (FileNotFoundError, ValueError):
        return None
    return Endpoint(address, int(port)) if sandbox_id == record.sandbox_id else None


def remember(record: HostRecord, found: Endpoint) -> None:
    """Notes where the host answers now."""
    text = f"{record.sandbox_id} {found.address} {found.port}"
    paths.write_private(_folder() / record.id, text.encode())


def forget(record: HostRecord) -> None:
    """Drops what was noted. A second call does nothing."""
    (_folder() / record.id).unlink(missing_ok=True)


def forget_keys(record: HostRecord) -> None:
    """Removes the keys of a host that is no more. A second call does nothing."""
    import shutil

    shutil.rmtree(paths.host_folder(record.id), ignore_errors=True)


def _folder() -> Path:
    return paths.cache_folder("endpoints")
