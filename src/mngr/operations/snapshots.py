"""Takes, lists and destroys snapshots of hosts."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from mngr.errors import NotRunning, SnapshotNotFound, UsageError
from mngr.hosts import locks
from mngr.models import Host, HostRecord, HostState, Snapshot, SnapshotKind
from mngr.operations.changing import Outcome, changing, changing_target, for_each, to_change, warm_up
from mngr.operations.finding import Target, all_hosts, targets
from mngr.providers.base import Progress, Provider, SupportsSnapshots


@dataclass(frozen=True, slots=True)
class SnapshotRequest:
    name: str = ""
    description: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    kind: SnapshotKind = SnapshotKind.MANUAL


@dataclass(frozen=True, slots=True)
class HostSnapshot:
    """A snapshot and the host that it is of."""

    host: Host
    snapshot: Snapshot


@dataclass(frozen=True, slots=True)
class Selection:
    """Which snapshots to destroy: those of the ids or names, or all but the newest `keep` and those that are not
    `older_than_s`."""

    wanted: tuple[str, ...] = ()
    everything: bool = False
    older_than_s: int | None = None
    keep: int = 0


def create(
    names: Sequence[str], progress: Progress, request: SnapshotRequest, *, go_on: bool = True
) -> list[Outcome[HostSnapshot]]:
    """Takes one snapshot of each host that the names are about. Raises `AgentNotFound`, `NotRunning`, `UsageError`."""

    def one(target: Target) -> HostSnapshot:
        with changing_target(target, progress, _expect) as (provider, record, target):
            record = take_held(provider, record, progress, request)
            host = msgspec.structs.replace(target.host, record=record, state=record.state)
            return HostSnapshot(host, record.snapshots[-1])

    warm_up()
    return for_each(to_change(names), one, go_on=go_on)


def _expect(provider: Provider, record: HostRecord) -> None:
    snapshotting(provider).expect_snapshot(record)


def take_held(provider: Provider, record: HostRecord, progress: Progress, request: SnapshotRequest) -> HostRecord:
    """Takes a snapshot of a host whose lock the caller holds; the saved record, with it as the last."""
    if record.state is not HostState.RUNNING:
        raise NotRunning(record.name, record.state.value)
    if request.name and request.name in [snapshot.name for snapshot in record.snapshots]:
        raise UsageError(f"--name {request.name!r}: host {record.name} has a snapshot of that name already")
    progress(f"keeping the file system of {record.name}")
    wanted = Snapshot(
        id="",
        kind=request.kind,
        created_at=0.0,
        name=request.name,
        description=request.description,
        tags=request.tags,
    )
    taken = snapshotting(provider).snapshot(record, wanted)
    return provider.save(msgspec.structs.replace(record, snapshots=(*record.snapshots, taken)))


def snapshotting(provider: Provider) -> SupportsSnapshots:
    """The provider as one that can take snapshots. Raises `UsageError` when it can not."""
    if not isinstance(provider, SupportsSnapshots):
        raise UsageError(f"provider {provider.name} has no snapshots")
    return provider


def listed(names: Sequence[str]) -> list[HostSnapshot]:
    """The snapshots of hosts, of all without names, also of stopped and destroyed ones; the oldest first.

    Raises `AgentNotFound`.
    """
    hosts = all_hosts()
    if names:
        hosts = [target.host for target in targets(names, hosts=hosts, destroyed=True)]
    found = [HostSnapshot(host, snapshot) for host in hosts for snapshot in host.record.snapshots]
    return sorted(found, key=lambda one: one.snapshot.created_at)


def of(record: HostRecord, wanted: str) -> Snapshot:
    """The snapshot of an id or name. Raises `SnapshotNotFound`."""
    for snapshot in record.snapshots:
        if wanted in (snapshot.id, snapshot.name):
            return snapshot
    raise SnapshotNotFound(wanted, record.name, [snapshot.name or snapshot.id for snapshot in record.snapshots])


def find(wanted: str) -> HostSnapshot:
    """The snapshot of an id, or of a name that only one host has. Raises `SnapshotNotFound`, `UsageError`."""
    found = [one for one in listed(()) if wanted in (one.snapshot.id, one.snapshot.name)]
    if not found:
        raise SnapshotNotFound(wanted, "of any name", [])
    if len(found) > 1:
        ids = ", ".join(f"{one.snapshot.id} ({one.host.record.name})" for one in found)
        raise UsageError(f"--snapshot {wanted}: several hosts have one of that name; give an id: {ids}")
    return found[0]


def select(names: Sequence[str], selection: Selection) -> list[HostSnapshot]:
    """What `destroy` would destroy. Raises `AgentNotFound`, `SnapshotNotFound`."""
    chosen = []
    now = time.time()
    for target in targets(names, destroyed=True):
        record = target.host.record
        if selection.everything:
            mine = sorted(record.snapshots, key=lambda snapshot: snapshot.created_at)
            mine = mine[: len(mine) - selection.keep] if selection.keep else mine
            old = selection.older_than_s
            mine = [one for one in mine if old is None or now - one.created_at > old]
        else:
            mine = [of(record, wanted) for wanted in dict.fromkeys(selection.wanted)]
        chosen += [HostSnapshot(target.host, snapshot) for snapshot in mine]
    return chosen


def check_destroy(chosen: Sequence[HostSnapshot]) -> None:
    """Raises `UsageError` when a host that does not run could not come back afterwards."""
    for host_id, (host, gone) in _by_host(chosen).items():
        rest = [snapshot for snapshot in host.record.snapshots if snapshot.id not in gone]
        if not rest and host.state not in (HostState.RUNNING, HostState.DESTROYED):
            raise UsageError(
                f"host {host.record.name} ({host_id}) is {host.state.value} and has nothing else to come back from; "
                "add --force to lose its work"
            )


def _by_host(chosen: Sequence[HostSnapshot]) -> dict[str, tuple[Host, set[str]]]:
    grouped: dict[str, tuple[Host, set[str]]] = {}
    for one in chosen:
        grouped.setdefault(one.host.record.id, (one.host, set()))[1].add(one.snapshot.id)
    return grouped


def destroy(chosen: Sequence[HostSnapshot], progress: Progress) -> None:
    """Removes snapshots at the provider and from the records. The record of a destroyed host goes with its last one."""
    for host, gone in _by_host(chosen).values():
        with changing(host, progress) as (provider, record):
            drop_held(provider, record, gone, progress)


def drop_held(provider: Provider, record: HostRecord, gone: set[str], progress: Progress) -> HostRecord:
    """Removes snapshots of a host whose lock the caller holds. The record first: it never names what is gone."""
    progress(f"removing snapshots of {record.name}")
    rest = tuple(snapshot for snapshot in record.snapshots if snapshot.id not in gone)
    record = provider.save(msgspec.structs.replace(record, snapshots=rest))
    for snapshot_id in gone:
        snapshotting(provider).delete_snapshot(snapshot_id)
    if record.state is HostState.DESTROYED and not rest and record.volume is None:
        provider.destroy(record, progress)
        locks.forget(record.id)
    return record
