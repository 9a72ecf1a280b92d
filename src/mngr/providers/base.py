"""What every provider of hosts can do. What only some can is a protocol of its own."""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from mngr.models import Host, HostRecord


class Progress(Protocol):
    """Told what is being done, in a few words for a person, and what a build writes."""

    def __call__(self, step: str) -> None: ...

    def log(self, text: str) -> None: ...


class HostPlan(msgspec.Struct, frozen=True):
    """What a host is to be: `options` as its record keeps them, the values of its `env`, which the record does not
    hold, remarks for those who want to know, and lines for the shell that install in its image what its agents need."""

    options: dict[str, Any]
    env: dict[str, str] = {}
    notes: tuple[str, ...] = ()
    install: tuple[str, ...] = ()


class Provider(Protocol):
    """Makes and unmakes hosts, and keeps their records where every machine of the account sees them."""

    name: str

    def plan(self, build_args: tuple[str, ...]) -> HostPlan:
        """What a new host is to be, all checked. Raises `UsageError` with all problems, a line each; makes nothing."""

    def hosts(self) -> list[Host]:
        """All hosts there are a record of. May be a few seconds old. Raises `ProviderUnavailable`."""

    def host(self, host_id: str) -> Host | None:
        """One host as it is now, or None."""

    def save(self, record: HostRecord) -> HostRecord:
        """Writes the next revision of a record; the record with that revision."""

    def prepare(self, record: HostRecord, plan: HostPlan, progress: Progress) -> HostRecord:
        """Makes what a host starts from the first time; the record with it. Raises `ImageBuildFailed`."""

    def build_log(self, record: HostRecord) -> str:
        """What the build of the host's image wrote. Raises `NotFound` when nothing was built for it."""

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
