"""Stops, starts and destroys agents; their hosts with them where nobody else needs these."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from mngr.errors import HostUnreachable, MngrError, NothingToStartFrom, ProviderConflict, UsageError
from mngr.hosts import agents, known, locks, ssh
from mngr.hosts.agents import AgentProbe
from mngr.models import Agent, AgentView, Host, HostRecord, HostState, Snapshot, SnapshotKind
from mngr.operations import snapshots
from mngr.operations.changing import Outcome, changing_target, for_each, intention, to_change, warm_up
from mngr.operations.finding import Target
from mngr.operations.listing import view
from mngr.providers.base import Progress, Provider

RUNNING_PROBE = AgentProbe(running=True, exit_code=None)
_STOPPED_PROBE = AgentProbe(running=False, exit_code=None)
_PROBE_S = 10.0
_DESTROYING = "being destroyed"
_KEPT_SNAPSHOTS, _KEPT_VOLUME = ", its snapshots are kept", ", its volume is kept"


@dataclass(frozen=True, slots=True)
class Kept:
    """What stays of a host that is destroyed."""

    snapshots: bool = False
    volume: bool = False


NOTHING = Kept()


def kept_by_intent(record: HostRecord) -> Kept:
    """What was to stay of a host whose destruction was cut off."""
    return Kept(_KEPT_SNAPSHOTS in record.reason, _KEPT_VOLUME in record.reason)


@dataclass(frozen=True, slots=True)
class StartRequest:
    """`snapshot` is an id or name, the newest without it; `restart` ends agents that run first; without `run_agents`
    the host comes back and its agents stay stopped."""

    snapshot: str = ""
    restart: bool = False
    run_agents: bool = True


def stop(
    names: Sequence[str], progress: Progress, *, keep_host: bool = False, keep_work: bool = True
) -> list[Outcome[list[AgentView]]]:
    """Ends agents. A host whose last running agent is among them ends too and its file system is kept, unless
    `keep_host`; `keep_work` False keeps nothing. What is stopped already stays so."""

    def expect(provider: Provider, record: HostRecord) -> None:
        if record.state is HostState.RUNNING and not keep_host:
            provider.expect_save(intention(record, HostState.STOPPING))

    def one(target: Target) -> list[AgentView]:
        with changing_target(target, progress, expect) as (provider, record, target):
            if record.state is not HostState.RUNNING:
                return [view(_host(provider, record), agent, None) for agent in target.agents]
            if keep_host or _others_run(provider, record, target):
                for agent in target.agents:
                    agents.stop(_reachable(provider, record), agent)
                return [view(_host(provider, record), agent, _STOPPED_PROBE) for agent in target.agents]
            record = provider.save(intention(record, HostState.STOPPING))
            record = provider.save(provider.stop(record, progress, keep=keep_work))
            return [view(_host(provider, record), agent, None) for agent in target.agents]

    return for_each(to_change(names), one)


def _others_run(provider: Provider, record: HostRecord, target: Target) -> bool:
    if target.is_whole_host:
        return False
    mine = {agent.id for agent in target.agents}
    probed = agents.probe(_reachable(provider, record), timeout_s=_PROBE_S)
    return any(probe.running for agent_id, probe in probed.items() if agent_id not in mine)


def start(names: Sequence[str], progress: Progress, request: StartRequest) -> list[Outcome[list[AgentView]]]:
    """Runs agents again, and their hosts as they were when they ended. What runs already stays as it is."""

    def one(target: Target) -> list[AgentView]:
        with changing_target(target, progress, _expect_start) as (provider, record, target):
            return start_held(provider, record, target.agents, progress, request)

    warm_up()
    return for_each(to_change(names), one)


def _expect_start(provider: Provider, record: HostRecord) -> None:
    if record.state is not HostState.RUNNING:
        provider.expect_save(_starting(record))


def _starting(record: HostRecord) -> HostRecord:
    """The reason stays: the host's own events are to tell how its last sandbox ended when that could not do so
    itself."""
    return intention(record, HostState.STARTING, record.reason)


def start_held(
    provider: Provider, record: HostRecord, wanted: Sequence[Agent], progress: Progress, request: StartRequest
) -> list[AgentView]:
    """Does it for one host whose lock the caller holds."""
    if record.state is HostState.RUNNING:
        if request.snapshot:
            raise UsageError(
                f"host {record.name} runs; to go back to a snapshot stop it first: mngr stop {record.name}"
            )
        host = _host(provider, record)
    else:
        host = _start_host(provider, record, progress, request)
        record = host.record
    if request.run_agents:
        for agent in wanted:
            agents.start_again(_reachable(provider, record), agent, restart=request.restart)
    probe = RUNNING_PROBE if request.run_agents else _STOPPED_PROBE
    return [view(host, agent, probe) for agent in wanted]


def _start_host(provider: Provider, record: HostRecord, progress: Progress, request: StartRequest) -> Host:
    if record.state is HostState.FAILED:
        raise MngrError(f"host {record.name} was never made ({record.reason}); remove it: mngr destroy {record.name}")
    snapshot = _snapshot_to_start(record, request.snapshot, progress)
    provider.expect_start(record)
    intended = provider.save(_starting(record))
    try:
        started = provider.start(intended, progress, snapshot=snapshot, run_agents=request.run_agents)
    except BaseException as error:
        reason = f"its start failed: {error}" if isinstance(error, MngrError) else "its start was interrupted"
        if isinstance(error, ProviderConflict):
            reason = f"another sandbox of the name {record.name} runs"
        provider.save(msgspec.structs.replace(intended, state=record.state, reason=reason, held_by=""))
        if isinstance(error, ProviderConflict):
            raise MngrError(f"host {record.name} can not be started: {reason} ({error}); see: mngr gc") from error
        raise
    return msgspec.structs.replace(started, record=provider.save(started.record))


def _snapshot_to_start(record: HostRecord, wanted: str, progress: Progress) -> Snapshot:
    if wanted:
        return snapshots.of(record, wanted)
    newest = record.newest_snapshot
    if newest is None and record.started_from:
        # A clone that left nothing begins again as it began.
        newest = Snapshot(id=record.started_from, kind=SnapshotKind.INITIAL, created_at=0.0)
    if newest is None:
        raise NothingToStartFrom(record.name)
    if newest.created_at < record.started_at:
        progress.warn(f"{record.name} left no snapshot when it ended ({record.reason}); it starts from {newest.id}")
    return newest


def destroy(names: Sequence[str], progress: Progress, kept: Kept = NOTHING) -> list[Outcome[tuple[Agent, ...]]]:
    """Removes agents; a host goes with its last one: sandbox, snapshots, volume (unless kept), keys and records."""

    def expect(provider: Provider, record: HostRecord) -> None:
        if kept == NOTHING or record.state is not HostState.RUNNING:
            provider.expect_save(_destroying(record, kept)[0])

    def one(target: Target) -> tuple[Agent, ...]:
        with changing_target(target, progress, expect) as (provider, record, target):
            gone = {agent.id for agent in target.agents}
            rest = tuple(agent for agent in record.agents if agent.id not in gone)
            if rest:
                if record.state is HostState.RUNNING:
                    for agent in target.agents:
                        agents.remove(_reachable(provider, record), agent)
                provider.save(msgspec.structs.replace(record, agents=rest))
            else:
                destroy_held(provider, record, progress, kept)
        return target.agents

    return for_each(to_change(names), one)


def _destroying(record: HostRecord, kept: Kept) -> tuple[HostRecord, bool, bool]:
    """What is written down first, and whether snapshots and volume will be kept."""
    keep_snapshots, keep_volume = kept.snapshots and bool(record.snapshots), kept.volume and record.volume is not None
    reason = _DESTROYING + (_KEPT_SNAPSHOTS if keep_snapshots else "") + (_KEPT_VOLUME if keep_volume else "")
    return intention(record, HostState.DESTROYED, reason), keep_snapshots, keep_volume


def destroy_held(provider: Provider, record: HostRecord, progress: Progress, kept: Kept = NOTHING) -> None:
    """Removes a host whose lock the caller holds. What was cut off can be done again."""
    if (kept.snapshots or kept.volume) and record.state is HostState.RUNNING:
        record = provider.save(intention(record, HostState.STOPPING))
        record = provider.save(provider.stop(record, progress, keep=kept.snapshots))
    record, keep_snapshots, keep_volume = _destroying(record, kept)
    record = provider.save(record)
    provider.destroy(record, progress, keep_snapshots=keep_snapshots, keep_volume=keep_volume)
    locks.forget(record.id)


def _host(provider: Provider, record: HostRecord) -> Host:
    endpoint = provider.endpoint(record) if record.state is HostState.RUNNING else None
    return Host(record=record, state=record.state, reason=record.reason, endpoint=endpoint)


def _reachable(provider: Provider, record: HostRecord) -> ssh.Target:
    endpoint = provider.endpoint(record)
    if endpoint is None:
        raise HostUnreachable(record.name, "its sandbox has just ended")
    return known.target(record, endpoint)
