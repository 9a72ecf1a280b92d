"""What every provider of hosts can do. What only some can is a protocol of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from mngr.models import Host, HostRecord

Progress = Callable[[str], None]
"""Told what is being done, in a few words for a person."""


class Provider(Protocol):
    """Makes and unmakes hosts, and keeps their records where every machine of the account sees them."""

    name: str

    def plan(self, build_args: tuple[str, ...]) -> dict[str, Any]:
        """The options of a new host, all checked. Raises `UsageError`; makes nothing."""

    def hosts(self) -> list[Host]:
        """All hosts there are a record of. May be a few seconds old. Raises `ProviderUnavailable`."""

    def host(self, host_id: str) -> Host | None:
        """One host as it is now, or None."""

    def save(self, record: HostRecord) -> HostRecord:
        """Writes the next revision of a record; the record with that revision."""

    def start(self, record: HostRecord, progress: Progress) -> Host:
        """Runs a host, from its newest snapshot where it has one. It answers over SSH when this returns.

        Raises `ImageBuildFailed`, `ProviderRefused`, `HostUnreachable`; then nothing is left running.
        """

    def stop(self, record: HostRecord, progress: Progress) -> HostRecord:
        """Ends a host and keeps its file system; the record with the snapshot, which is not saved yet. Of a host that
        has ended already only the snapshot is looked up. Raises `NoExitSnapshot`."""

    def abandon(self, record: HostRecord) -> None:
        """Ends what runs of a host whose creation failed. A second call does nothing."""

    def destroy(self, record: HostRecord, progress: Progress) -> None:
        """Removes a host and all that it has, the record last. What is gone already is no error."""
