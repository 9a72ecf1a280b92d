"""This machine's copies of host records: enough to reach a host without asking its provider."""

from __future__ import annotations

from pathlib import Path

from mngr import paths
from mngr.models import RECORDS, HostRecord


def folder(provider: str) -> Path:
    """Where the copies of one provider's records are: a file each, named by host, revision and digest."""
    return paths.cache_folder(f"records-{provider}")


def read(provider: str) -> list[HostRecord]:
    """The newest copy of each record. Others may have written newer records meanwhile."""
    newest: dict[str, Path] = {}
    for path in sorted(folder(provider).glob("*.json")):
        newest[path.name.split(".")[0]] = path
    return [RECORDS.decode(path.read_bytes()) for path in newest.values()]
