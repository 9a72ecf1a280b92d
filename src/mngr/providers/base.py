"""What every provider of hosts can do. What only some can is a protocol of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import msgspec

from mngr.models import Endpoint, Host, HostFile, HostRecord, HostVolume, Policy, Snapshot


class Progress(Protocol):
    """Told what is being done, in a few words for a person, and what a build writes."""

    def __call__(self, step: str) -> None: ...

    def log(self, text: str) -> None: ...

    def warn(self, text: str) -> None:
        """Something that a person must know though nothing failed."""


class HostPlan(msgspec.Struct, frozen=True):
    """What a host is to be: `options` as its record keeps them, the values of its `env`, which the record does not
    hold, remarks for those who want to know, and lines for the shell that install in its image what its agents need."""

    options: dict[str, Any]
    env: dict[str, str] = {}
    notes: tuple[str, ...] = ()
    install: tuple[str, ...] = ()


class Stray(msgspec.Struct, frozen=True):
    """Something of ours at the provider that no record accounts for."""

    kind: str
    id: str
    why: str


class Provider(Protocol):
    """Makes and unmakes hosts, and keeps their records where every machine of the account sees them."""

    name: str

    def plan(self, build_args: tuple[str, ...]) -> HostPlan:
        """What a new host is to be, all checked. Raises `UsageError` with all problems, a line each; makes nothing."""

    def policy(self) -> Policy:
        """When a new host ends itself, as the settings say. Raises `UsageError`."""

    def hosts(self) -> list[Host]:
        """All hosts there are a record of, destroyed ones with kept snapshots too. May be a few seconds old.

        Raises `ProviderUnavailable`.
        """

    def record(self, host_id: str) -> HostRecord | None:
        """The newest record of one host, or None."""

    def endpoint(self, record: HostRecord) -> Endpoint | None:
        """Where a host answers, None when its sandbox has ended. What this machine remembers may be wrong by now."""

    def save(self, record: HostRecord) -> HostRecord:
        """Writes the next revision of a record; the record with that revision."""

    def warm_up(self) -> None:
        """Begins to load what making and starting hosts and taking snapshots need, while others are waited for. Need
        not be called; a second call does nothing. Raises `ProviderUnavailable`."""

    def expect(self, record: HostRecord) -> None:
        """Begins to ask what `settle` will need to know. Need not be called."""

    def expect_save(self, record: HostRecord) -> None:
        """Begins to bring a record to where it will be written, which is as good as certain to be the next that `save`
        is called with, but for the time of its change. Need not be called; nobody sees a record that was not saved."""

    def expect_start(self, record: HostRecord) -> None:
        """Begins to make ready what a host is started with beside its image. The record that says so is written, or
        `save_ahead` was called; what goes wrong is raised by `start`."""

    def save_ahead(self, record: HostRecord) -> HostRecord:
        """As `save`, but returns before it is written. Nothing that has to be written down first is done before that:
        `start` and all that writes wait for it, and raise what went wrong."""

    def settle(self, record: HostRecord, progress: Progress) -> HostRecord:
        """The record as it must be after what really happened: a sandbox that ended leaves its snapshot and its reason,
        a change that was cut off is finished or taken back. Not saved; the same object when nothing is to be changed.

        The caller holds the host's lock.
        """

    def prepare(self, record: HostRecord, plan: HostPlan, progress: Progress) -> HostRecord:
        """Makes what a host starts from the first time; the record with it. Raises `ImageBuildFailed`."""

    def adopt(self, record: HostRecord, source: HostRecord) -> HostRecord:
        """Makes what a host needs that starts from a snapshot of `source`: the record with keys and options of its
        own."""

    def ended_at(self, record: HostRecord) -> float | None:
        """When the host's last sandbox ended, None when the provider does not say."""

    def build_log(self, record: HostRecord) -> str:
        """What the build of the host's image wrote. Raises `NotFound` when nothing was built for it."""

    def start(
        self, record: HostRecord, progress: Progress, *, snapshot: Snapshot | None = None, run_agents: bool = True
    ) -> Host:
        """Runs a host, from `snapshot` or from its image. It answers over SSH when this returns, and its agents that
        are to run do so when `agents` is set. The record is not saved.

        Raises `ImageBuildFailed`, `ProviderRefused`, `HostUnreachable`; then nothing is left running.
        """

    def stop(self, record: HostRecord, progress: Progress, *, keep: bool = True) -> HostRecord:
        """Ends a host and keeps its file system unless `keep` is False; the record with the snapshot, not saved.

        Raises `NoExitSnapshot`.
        """

    def abandon(self, record: HostRecord) -> None:
        """Ends what runs of a host whose creation failed. A second call does nothing."""

    def destroy(
        self, record: HostRecord, progress: Progress, *, keep_snapshots: bool = False, keep_volume: bool = False
    ) -> None:
        """Removes a host and all that it has, the record last; with `keep_snapshots`, of a host that has ended, these
        and a record of them stay, and so does its volume with `keep_volume`. What is gone already is no error, so that
        it can be done again."""

    def strays(self, hosts: Sequence[Host]) -> list[Stray]:
        """What runs or is kept at the provider for hosts that are not among `hosts`."""

    def remove_stray(self, stray: Stray) -> None:
        """What is gone already is no error."""


@runtime_checkable
class SupportsSnapshots(Protocol):
    """A provider that can keep the file system of a running host."""

    def expect_snapshot(self, record: HostRecord) -> None:
        """Begins to ask what `snapshot` will need to know. Need not be called."""

    def snapshot(self, record: HostRecord, snapshot: Snapshot) -> Snapshot:
        """Takes it: `snapshot` with its id, size and expiry. Raises `ProviderRefused`."""

    def delete_snapshot(self, snapshot_id: str) -> None:
        """What is gone already is no error."""


@runtime_checkable
class SupportsHostVolume(Protocol):
    """A provider that keeps the data directory of a host where it can be read when nothing of the host runs. What is
    read is what was committed last."""

    def new_volume(self, host_id: str) -> HostVolume | None:
        """The volume that a new host is to have, None when the settings say none. Makes nothing."""

    def volumes(self) -> list[tuple[str, HostVolume]]:
        """The host volumes that there are, each with the id of its host."""

    def volume_files(self, volume: HostVolume, folder: str, *, recursive: bool = False) -> list[HostFile]:
        """What is in a folder, nothing when it or the volume is not there."""

    def read_volume(self, volume: HostVolume, path: str, start: int = 0, length: int | None = None) -> bytes:
        """The bytes of a file from `start` on, `length` at most. Raises `ProviderNotFound`."""

    def delete_volume(self, volume: HostVolume) -> None:
        """What is gone already is no error."""
