"""This machine's copies of host records: enough to reach a host without asking its provider."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from mngr import paths
from mngr.models import RECORDS, HostRecord


def folder(provider: str) -> Path:
    """Where the copies of one provider's records are: a file each, named by host, revision and digest."""
    return paths.cache_folder(f"records-{provider}")


def read(provider: str, only: Collection[str] | None = None) -> list[HostRecord]:
    """The newest copy of each record, or of those hosts' records. Others may have written newer ones meanwhile."""
    newest: dict[str, Path] = {}
    for path in sorted(folder(provider).glob("*.json")):
        host_id = path.name.split(".")[0]
        if only is None or host_id in only:
            newest[host_id] = path
    found = (_read(host_id, path) for host_id, path in newest.items())
    return [record for record in found if record is not None]


def _read(host_id: str, path: Path) -> HostRecord | None:
    """A copy, or the one that has taken its place meanwhile; None when none has."""
    while True:
        try:
            return RECORDS.decode(path.read_bytes())
        except FileNotFoundError:
            after = sorted(path.parent.glob(f"{host_id}.*.json"))
            if not after or after[-1] == path:
                return None
            path = after[-1]
