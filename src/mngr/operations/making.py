"""What every way to make a host shares: room for its name, a record that says so from the start, and its undoing."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec

from mngr import ids, paths
from mngr.errors import HostBusy, NameTaken
from mngr.hosts import locks
from mngr.models import Agent, Endpoint, Host, HostRecord, HostState, Policy
from mngr.operations.changing import at_work, changing
from mngr.operations.finding import is_gone
from mngr.operations.lifecycle import destroy_held
from mngr.providers.base import Progress, Provider, SupportsHostVolume


def make_room(provider: Provider, name: str, progress: Progress, hosts: Sequence[Host] | None = None) -> None:
    """Raises `InvalidName`, and `NameTaken`; what a creation of the same name that failed or was cut off has left, and
    a destruction that was cut off, is removed. `hosts` are looked through, all of the provider without it."""
    ids.check_name(name)
    for host in provider.hosts() if hosts is None else hosts:
        record = host.record
        if is_gone(host) or name not in (record.name, *(agent.name for agent in record.agents)):
            continue
        half = host.state in (HostState.FAILED, HostState.BUILDING, HostState.DESTROYED)
        if not half or at_work(record):
            raise NameTaken(name)
        try:
            with changing(host, progress) as (_provider, settled):
                destroy_held(provider, settled, progress)
        except HostBusy as error:
            raise NameTaken(name) from error


@contextmanager
def begun(
    provider: Provider,
    agent: Agent,
    options: dict[str, Any],
    policy: Policy,
    progress: Progress,
    *,
    has_room: bool = False,
) -> Iterator[HostRecord]:
    """Writes down that a host is being made, after `make_room` unless that was done, and holds its lock. An error or
    interrupt inside ends what runs of it and leaves a record that says why; a race for the name that was lost leaves
    nothing."""
    host_id = ids.new_host_id()
    volume = provider.new_volume(host_id) if isinstance(provider, SupportsHostVolume) else None
    record = HostRecord(
        id=host_id,
        name=agent.name,
        provider=provider.name,
        revision=0,
        state=HostState.BUILDING,
        created_at=agent.created_at,
        changed_at=time.time(),
        held_by=paths.home_id(),
        options=options,
        policy=policy,
        agents=(agent,),
        volume=volume,
    )
    provider.expect_save(record)
    if not has_room:
        make_room(provider, agent.name, progress)
    with locks.held(host_id, lambda: None):
        record = provider.save_ahead(record)
        try:
            yield record
        except NameTaken:
            provider.destroy(record, progress)
            locks.forget(host_id)
            raise
        except BaseException as error:
            provider.abandon(record)
            interrupted = isinstance(error, KeyboardInterrupt)
            reason = "its creation was interrupted" if interrupted else str(error) or type(error).__name__
            newest = provider.record(host_id) or record
            provider.save(msgspec.structs.replace(newest, state=HostState.FAILED, reason=reason, held_by=""))
            raise


def answering(host: Host) -> Endpoint:
    """Where a host that was just started answers."""
    assert host.endpoint is not None  # noqa: S101 (a host that was started answers)
    return host.endpoint
