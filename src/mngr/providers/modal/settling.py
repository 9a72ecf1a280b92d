"""Brings a record into line with what really happened to its sandbox."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from mngr.errors import NoExitSnapshot, ProviderNotFound, ProviderRefused
from mngr.hosts import known
from mngr.models import HostRecord, HostState, Snapshot, SnapshotKind
from mngr.providers.modal import endings
from mngr.providers.modal.sandboxes import TAG

if TYPE_CHECKING:
    from mngr.providers.modal.machines import Machines


def settle(machines: Machines, record: HostRecord) -> HostRecord:
    """See `Provider.settle`. Called again after it was cut off, it comes to the same record."""
    if record.state is HostState.BUILDING:
        return _cut_off_creation(machines, record)
    if record.state is HostState.STARTING:
        return _cut_off_start(machines, record)
    if record.state is HostState.STOPPING:
        return _settled(machines, msgspec.structs.replace(record, state=HostState.RUNNING, held_by=""))
    if record.state is HostState.RUNNING:
        return _settled(machines, record)
    return record


def _settled(machines: Machines, record: HostRecord) -> HostRecord:
    """A record that says RUNNING, as it is or with the end of its sandbox in it."""
    try:
        ending = machines.ending(record.sandbox_id)
    except ProviderNotFound:
        known.forget(record)
        return msgspec.structs.replace(record, state=HostState.CRASHED, reason=f"the sandbox is gone{_rest(record)}")
    if ending is None:
        return record
    known.forget(record)
    state, reason = endings.verdict(record, ending)
    return with_exit_snapshot(machines, msgspec.structs.replace(record, state=state, reason=reason))


def with_exit_snapshot(
    machines: Machines,
    record: HostRecord,
    size: int | None = None,
    *,
    ahead: Callable[[HostRecord], None] = lambda _record: None,
) -> HostRecord:
    """The record of a host whose sandbox has ended with what it left, once. Where it left nothing the reason says what
    there is instead. `ahead` is told the record as soon as it is known what it will be."""
    if any(snapshot.sandbox_id == record.sandbox_id for snapshot in record.snapshots if _is_exit(snapshot)):
        return record
    if not record.exit_snapshots:
        return msgspec.structs.replace(record, reason=f"{record.reason}; no exit snapshot was to be had{_rest(record)}")
    try:
        image_id = machines.exit_snapshot(record.sandbox_id)
    except (NoExitSnapshot, ProviderNotFound, ProviderRefused) as error:
        reason = f"{record.reason}; its exit snapshot failed: {error}{_rest(record)}"
        return msgspec.structs.replace(record, state=HostState.CRASHED, reason=reason)
    snapshot = Snapshot(
        id=image_id,
        kind=SnapshotKind.EXIT,
        created_at=time.time(),
        based_on=record.started_from,
        sandbox_id=record.sandbox_id,
        size=size,
    )
    kept = msgspec.structs.replace(record, snapshots=(*record.snapshots, snapshot))
    ahead(kept)
    # Modal does not say how long it keeps an exit snapshot; one with a name is kept as an image of the account.
    with contextlib.suppress(ProviderRefused):
        machines.name_image(image_id, f"mngr-{record.id}:{image_id}")
    return kept


def _is_exit(snapshot: Snapshot) -> bool:
    return snapshot.kind is SnapshotKind.EXIT


def _rest(record: HostRecord) -> str:
    newest = record.newest_snapshot
    return f"; it can come back from snapshot {newest.id}" if newest else "; nothing of its work is left"


def _cut_off_creation(machines: Machines, record: HostRecord) -> HostRecord:
    sandbox_id = machines.sandbox_named(record.name, {TAG: record.id})
    if sandbox_id:
        machines.terminate(sandbox_id)
    known.forget(record)
    return msgspec.structs.replace(
        record, state=HostState.FAILED, reason="its creation was cut off", sandbox_id="", held_by=""
    )


def _cut_off_start(machines: Machines, record: HostRecord) -> HostRecord:
    """Its sandbox is found by its name, running or ended; there may be none, or still only the one before."""
    sandbox_id = machines.sandbox_named(record.name, {TAG: record.id}, ended=True)
    if sandbox_id and sandbox_id != record.sandbox_id:
        begun = msgspec.structs.replace(
            record, state=HostState.RUNNING, sandbox_id=sandbox_id, started_at=record.changed_at, held_by="", reason=""
        )
        return _settled(machines, begun)
    return msgspec.structs.replace(
        record, state=HostState.STOPPED, reason="its start was cut off", started_from="", held_by=""
    )
