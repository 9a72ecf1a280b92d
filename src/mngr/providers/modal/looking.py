"""All hosts as they are now, in two calls at the same time: the records' names and the list of running sandboxes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from mngr.hosts import known
from mngr.models import Endpoint, Host, HostRecord, HostState
from mngr.providers.modal import endings, sandbox_wire
from mngr.providers.modal.wire import Gone

if TYPE_CHECKING:
    from mngr.providers.modal.requests import Ending
    from mngr.providers.modal.sandbox_wire import Listed
    from mngr.providers.modal.wire import Wire

# Sandboxes that the newest page of the list does not have are asked one by one, up to so many.
_SINGLY = 16


def hosts(wire: Wire, read: Callable[[], Sequence[HostRecord]]) -> list[Host]:
    """The hosts of the records that `read` gives. Raises `WireFailed`."""
    first = wire.begin(sandbox_wire.page(wire))
    records = read()
    listed = {one.id: one for one in first.result()}
    ends = {record.id: known.end(record) for record in records if record.state is HostState.RUNNING}
    missing = {record.sandbox_id for record in records if record.id in ends and not ends[record.id]} - listed.keys()
    if len(missing) > _SINGLY and listed:
        listed = wire.begin(sandbox_wire.running(wire, listed.keys() | missing)).result()
        missing -= listed.keys()
    # The list may be old, so that a sandbox is missing from it proves nothing.
    asked = {sandbox_id: wire.begin(_state(wire, sandbox_id)) for sandbox_id in missing}
    found = []
    for record in records:
        end = ends.get(record.id)
        if end:
            found.append(Host(record=record, state=end[0], reason=end[1]))
        elif record.id in ends and record.sandbox_id in asked:
            found.append(_ended_or_not(record, asked[record.sandbox_id].result()))
        else:
            found.append(_view(record, listed))
    return found


async def _state(wire: Wire, sandbox_id: str) -> tuple[bool, Ending | None, Endpoint | None]:
    """Whether there is such a sandbox, how it ended, and where it answers when it has not."""
    try:
        ending = await sandbox_wire.ending(wire, sandbox_id)
        return True, ending, await sandbox_wire.tunnel(wire, sandbox_id) if ending is None else None
    except Gone:
        return False, None, None


def _view(record: HostRecord, listed: dict[str, Listed]) -> Host:
    if record.state is not HostState.RUNNING:
        return Host(record=record, state=record.state, reason=record.reason)
    return _running(record, listed[record.sandbox_id].endpoint)


def _running(record: HostRecord, endpoint: Endpoint | None) -> Host:
    if endpoint is None:
        # One that runs and has no tunnel is about to begin or to end.
        return Host(record=record, state=HostState.STARTING)
    if known.endpoint(record) != endpoint:
        known.remember(record, endpoint)
    return Host(record=record, state=HostState.RUNNING, reason=record.reason, endpoint=endpoint)


def _ended_or_not(record: HostRecord, state: tuple[bool, Ending | None, Endpoint | None]) -> Host:
    there, ending, endpoint = state
    if there and ending is None:
        return _running(record, endpoint)
    known.forget(record)
    if ending is None:
        return Host(record=record, state=HostState.CRASHED, reason="the sandbox is gone")
    verdict, reason = endings.verdict(record, ending)
    known.remember_end(record, verdict, reason)
    return Host(record=record, state=verdict, reason=reason)
