"""What must be done for hosts by the clock: snapshots, and agents that go on when the lifetime of a sandbox is over."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass

from mngr.errors import MngrError
from mngr.hosts import agents, known
from mngr.models import LIFETIME_OVER, Host, HostRecord, HostState, SnapshotKind
from mngr.operations.changing import at_work, changing
from mngr.operations.finding import all_hosts
from mngr.operations.lifecycle import StartRequest, start_held
from mngr.operations.snapshots import SnapshotRequest, drop_held, take_held
from mngr.providers.base import Progress, Provider


@dataclass(frozen=True, slots=True)
class Deed:
    """Something that was done for a host, or that failed."""

    host: str
    what: str
    failed: bool = False


def round_(progress: Progress) -> list[Deed]:
    """Looks at every host once and does what is due. A host that gives trouble is told and does not stop the others."""
    deeds = []
    for host in all_hosts():
        try:
            deed = _due(host, progress)
        except MngrError as error:
            deed = Deed(host.record.name, str(error), failed=True)
        if deed is not None:
            deeds.append(deed)
    return deeds


def _due(host: Host, progress: Progress) -> Deed | None:
    record = host.record
    if at_work(record):
        return None
    if wants_to_go_on(host):
        return go_on(host, progress)
    if record.state is HostState.RUNNING and host.state not in (HostState.RUNNING, HostState.STARTING):
        with changing(host, progress) as (_provider, settled):
            return Deed(record.name, f"is {settled.state.value} ({settled.reason}); its work is kept")
    if host.state is HostState.RUNNING and _snapshot_is_due(record):
        with changing(host, progress) as (provider, settled):
            return _periodic(provider, settled, progress)
    return None


def wants_to_go_on(host: Host) -> bool:
    """Whether a host ended only because its lifetime was over, and is to go on in a new sandbox."""
    ended = host.state is HostState.STOPPED and host.reason.startswith(LIFETIME_OVER)
    return ended and host.record.policy.auto_restart and not at_work(host.record)


def let_go_on(hosts: Iterable[Host], progress: Progress) -> bool:
    """Continues those that are to outlive their sandboxes; whether there were any."""
    ended = [host for host in hosts if wants_to_go_on(host)]
    for host in ended:
        go_on(host, progress)
    return bool(ended)


def go_on(host: Host, progress: Progress) -> Deed | None:
    """Continues a host in a new sandbox, unless another mngr has done so meanwhile."""
    with changing(host, progress) as (provider, record):
        if record.state is not HostState.STOPPED or not record.reason.startswith(LIFETIME_OVER):
            return None
        start_held(provider, record, (), progress, StartRequest())
        return Deed(record.name, f"goes on in a new sandbox ({record.reason})")


def _snapshot_is_due(record: HostRecord) -> bool:
    every_s = record.policy.snapshot_every_s
    return every_s > 0 and time.time() - _last_kept(record) >= every_s


def _last_kept(record: HostRecord) -> float:
    """When the host's disk was last the same as a snapshot of it."""
    newest = record.newest_snapshot
    return max(record.started_at, newest.created_at if newest else 0.0)


def _periodic(provider: Provider, record: HostRecord, progress: Progress) -> Deed | None:
    endpoint = provider.endpoint(record)
    if record.state is not HostState.RUNNING or endpoint is None or not _snapshot_is_due(record):
        return None
    if not agents.changed_since(known.target(record, endpoint), _last_kept(record)):
        return None
    record = take_held(provider, record, progress, SnapshotRequest(kind=SnapshotKind.PERIODIC))
    taken = record.snapshots[-1]
    periodic = [one for one in record.snapshots if one.kind is SnapshotKind.PERIODIC]
    old = {one.id for one in periodic[: -record.policy.keep_snapshots]}
    if old:
        drop_held(provider, record, old, progress)
    return Deed(record.name, f"took snapshot {taken.id}" + (f" and removed {len(old)} older ones" if old else ""))
