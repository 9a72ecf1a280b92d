"""Brings records and reality together again, in both directions, after whatever was killed or ended by itself."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mngr import config, paths
from mngr.errors import HostBusy, NotFound
from mngr.hosts import known, locks
from mngr.models import IN_WORK, Host, HostRecord, HostState
from mngr.operations.changing import at_work, changing
from mngr.operations.lifecycle import destroy_held, kept_by_intent
from mngr.operations.snapshots import drop_held
from mngr.providers import registry
from mngr.providers.base import Progress, Provider

_FAILED_KEPT_S = 7 * 86_400


@dataclass(frozen=True, slots=True)
class Action:
    """One thing that was found wrong and, unless only looked for, put right."""

    kind: str
    id: str
    what: str


def collect(progress: Progress, *, dry_run: bool) -> list[Action]:
    """Settles records that say what is not so, finishes or takes back what was cut off, ends sandboxes without a
    record, drops expired snapshots, and removes keys and cache of hosts that are no more. A second call finds nothing.
    """
    settings = config.load()
    actions: list[Action] = []
    host_ids: set[str] = set()
    for name in settings.providers:
        provider = registry.provider(name, settings)
        for host in provider.hosts():
            host_ids.add(host.record.id)
            actions += _host(host, progress, dry_run=dry_run)
        for stray in provider.strays(provider.hosts()):
            actions.append(Action(stray.kind, stray.id, f"ended: {stray.why}"))
            if not dry_run:
                provider.remove_stray(stray)
    actions += _local(host_ids, dry_run=dry_run)
    return actions


def _host(host: Host, progress: Progress, *, dry_run: bool) -> Iterator[Action]:
    problem = _problem(host)
    if problem is None:
        return
    if dry_run:
        yield Action("host", host.record.id, f"{host.record.name}: {problem}")
        return
    try:
        with changing(host, progress) as (provider, record):
            yield from _put_right(provider, record, host, progress, problem)
    except (NotFound, HostBusy):
        # Another mngr was faster, or is at it.
        return


def _problem(host: Host) -> str | None:
    record = host.record
    if at_work(record):
        return None
    if record.state is HostState.DESTROYED and record.held_by:
        return "its destruction was cut off"
    if record.state in IN_WORK:
        return f"it is {record.state.value}, and the mngr that was to change that is gone"
    if record.state is HostState.RUNNING and host.state not in (HostState.RUNNING, HostState.STARTING):
        return f"its record says RUNNING, and it is {host.state.value} ({host.reason})"
    if record.state is HostState.FAILED and time.time() - record.created_at > _FAILED_KEPT_S:
        return "its creation failed more than a week ago"
    if _expired(record):
        return "it has snapshots that have expired"
    return None


def _expired(record: HostRecord) -> set[str]:
    now = time.time()
    return {one.id for one in record.snapshots if one.expires_at is not None and one.expires_at < now}


def _put_right(
    provider: Provider, record: HostRecord, host: Host, progress: Progress, problem: str
) -> Iterator[Action]:
    """The lock is held, and `record` is settled already."""
    if record.state is HostState.DESTROYED and record.held_by:
        destroy_held(provider, record, progress, kept_by_intent(record))
        yield Action("host", record.id, f"{record.name}: {problem}; finished it")
    elif record.state is HostState.FAILED and time.time() - record.created_at > _FAILED_KEPT_S:
        destroy_held(provider, record, progress)
        yield Action("host", record.id, f"{record.name}: {problem}; removed it")
    elif record.state is not host.record.state:
        reason = f" ({record.reason})" if record.reason else ""
        yield Action("host", record.id, f"{record.name}: {problem}; it is {record.state.value}{reason}")
    expired = _expired(record)
    if expired and record.state is not HostState.DESTROYED:
        drop_held(provider, record, expired, progress)
        yield Action("host", record.id, f"{record.name}: removed {len(expired)} expired snapshots")


def _local(host_ids: set[str], *, dry_run: bool) -> list[Action]:
    """What this machine still has of hosts that no provider knows."""
    actions = []
    for host_id in sorted(_remembered() - host_ids):
        if locks.is_held(host_id):
            continue
        actions.append(Action("local", host_id, "removed keys and cache of a host that is no more"))
        if not dry_run:
            gone = HostRecord(id=host_id, name="", provider="", revision=0, state=HostState.DESTROYED, created_at=0.0)
            known.forget(gone)
            known.forget_keys(gone)
            locks.forget(host_id)
    return actions


def _remembered() -> set[str]:
    folders: Sequence[Path] = [paths.home() / "hosts", paths.home() / "locks", paths.cache_folder("endpoints")]
    return {path.name for folder in folders if folder.is_dir() for path in folder.iterdir()}
