"""Changes hosts, one mngr at a time, from a record that tells the truth; and does so to several at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

import msgspec

from mngr import config, paths
from mngr.errors import HostBusy, MngrError, NotFound
from mngr.hosts import locks
from mngr.models import IN_WORK, Host, HostRecord, HostState
from mngr.operations.finding import Target, provider_of, remembered_targets, targets
from mngr.providers import registry
from mngr.providers.base import Progress, Provider

T = TypeVar("T")
# A mngr on another machine that has been at one change for longer was killed or lost its line.
PATIENCE_S = 900
_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Outcome(Generic[T]):
    """What became of one of several: a value or an error."""

    target: Target
    value: T | None = None
    error: MngrError | None = None


def at_work(record: HostRecord) -> bool:
    """Whether some mngr is, as far as can be known, about to change the host right now."""
    if record.state not in IN_WORK and not (record.state is HostState.DESTROYED and record.held_by):
        return False
    if record.held_by == paths.home_id():
        return locks.is_held(record.id)
    return time.time() - record.changed_at < PATIENCE_S


@contextmanager
def changing(host: Host, progress: Progress) -> Iterator[tuple[Provider, HostRecord]]:
    """Holds the host's lock and gives its newest record, settled and saved.

    Raises `HostBusy` when a mngr of another machine is about to change it, `NotFound` when it was destroyed meanwhile.
    """
    with _locked(host, progress) as provider:
        provider.expect(host.record)
        record = provider.record(host.record.id)
        if record is None:
            raise NotFound(f"host {host.record.name} was destroyed meanwhile")
        yield provider, _settled(provider, record, progress)


@contextmanager
def _locked(host: Host, progress: Progress) -> Iterator[Provider]:
    waiting = f"waiting for another mngr that changes {host.record.name}"
    with locks.held(host.record.id, lambda: progress(waiting)):
        yield provider_of(host)


def _settled(provider: Provider, record: HostRecord, progress: Progress) -> HostRecord:
    if record.held_by not in ("", paths.home_id()) and at_work(record):
        raise HostBusy(record.name, record.state.value, time.time() - record.changed_at)
    settled = provider.settle(record, progress)
    return record if settled is record else provider.save(settled)


@contextmanager
def changing_target(
    target: Target, progress: Progress, expect: Callable[[Provider, HostRecord], None] | None = None
) -> Iterator[tuple[Provider, HostRecord, Target]]:
    """As `changing`, of a target of `to_change`, which is looked up when its host is not as this machine remembers it;
    the target as it is then. `expect` begins what the change of a host that is so will need."""
    host = target.host
    if target.remembered_as:
        with _locked(host, progress) as provider:
            provider.expect(host.record)
            if expect is not None:
                expect(provider, host.record)
            record = provider.record(host.record.id)
            if record == host.record:
                yield provider, _settled(provider, record, progress), target
                return
        if record is None:
            locks.forget(host.record.id)
        found = targets(target.remembered_as)
        target = next((one for one in found if one.host.record.id == host.record.id), found[0])
    with changing(target.host, progress) as (provider, record):
        yield provider, record, target


def to_change(names: Sequence[str]) -> list[Target]:
    """As `targets`, of hosts that are about to be changed by `changing_target`: this machine's own memory is enough
    where it has them."""
    return remembered_targets(names) or targets(names)


def warm_up() -> None:
    """See `Provider.warm_up`."""
    settings = config.load()
    for name in settings.providers:
        registry.provider(name, settings).warm_up()


def intention(record: HostRecord, state: HostState, reason: str = "") -> HostRecord:
    """What is to be written down before a host is made to be in `state`."""
    return msgspec.structs.replace(record, state=state, reason=reason, held_by=paths.home_id(), changed_at=time.time())


def for_each(targets: Sequence[Target], function: Callable[[Target], T], *, go_on: bool = True) -> list[Outcome[T]]:
    """Calls `function` for several hosts at the same time; what became of each, in the order of `targets`.

    Without `go_on` one after the other, up to the first error. The error of a single one is raised.
    """
    if len(targets) == 1:
        return [Outcome(targets[0], function(targets[0]))]

    def guarded(target: Target) -> Outcome[T]:
        try:
            return Outcome(target, function(target))
        except MngrError as error:
            return Outcome(target, error=error)

    if go_on:
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return list(pool.map(guarded, targets))
    outcomes: list[Outcome[T]] = []
    for target in targets:
        outcomes.append(guarded(target))
        if outcomes[-1].error is not None:
            break
    return outcomes
