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
    return [RECORDS.decode(path.read_bytes()) for path in newest.values()]
