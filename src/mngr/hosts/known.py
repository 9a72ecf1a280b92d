"""What this machine remembers of hosts between commands: where each answered last, and the keys to it."""

from __future__ import annotations

from pathlib import Path

from mngr import paths
from mngr.errors import NotFound
from mngr.hosts.ssh import Target
from mngr.models import Endpoint, HostRecord, HostState


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


def reachable() -> set[str]:
    """The ids of the hosts whose address was noted."""
    return {path.name for path in _folder().iterdir()}


def remember(record: HostRecord, found: Endpoint) -> None:
    """Notes where the host answers now."""
    text = f"{record.sandbox_id} {found.address} {found.port}"
    paths.write_private(_folder() / record.id, text.encode())


def forget(record: HostRecord) -> None:
    """Drops what was noted. A second call does nothing."""
    (_folder() / record.id).unlink(missing_ok=True)
    (paths.cache_folder("ends") / record.id).unlink(missing_ok=True)


def end(record: HostRecord) -> tuple[HostState, str] | None:
    """How the host's present sandbox ended, when that was seen before; it never changes."""
    try:
        sandbox_id, state, reason = (paths.cache_folder("ends") / record.id).read_text().split(" ", 2)
        return (HostState(state), reason) if sandbox_id == record.sandbox_id else None
    except (FileNotFoundError, ValueError):
        return None


def remember_end(record: HostRecord, state: HostState, reason: str) -> None:
    """Notes how the host's sandbox ended, until the record says so itself."""
    text = f"{record.sandbox_id} {state.value} {reason}"
    paths.write_private(paths.cache_folder("ends") / record.id, text.encode())


def forget_keys(record: HostRecord) -> None:
    """Removes the keys of a host that is no more. A second call does nothing."""
    import shutil

    shutil.rmtree(paths.host_folder(record.id), ignore_errors=True)


def _folder() -> Path:
    return paths.cache_folder("endpoints")
