"""Makes new hosts from snapshots of others."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import msgspec

from mngr import ids
from mngr.errors import NameTaken, NothingToStartFrom, ProviderConflict
from mngr.hosts import agents, known
from mngr.hosts.agents import AgentProbe
from mngr.models import Agent, AgentView, Host, HostRecord, HostState, Snapshot
from mngr.operations import making, snapshots
from mngr.operations.changing import changing
from mngr.operations.finding import find, provider_of
from mngr.operations.listing import view
from mngr.operations.snapshots import SnapshotRequest
from mngr.providers.base import Progress, Provider

_AT_ONCE = 32


def clone(name: str, new_names: Sequence[str], progress: Progress) -> list[AgentView]:
    """Makes agents as `name` is now, each on a host of its own; of a running one a snapshot is taken first.

    Raises `AgentNotFound`, `NameTaken`, `NothingToStartFrom` and what the steps raise; then those that were made stay.
    """
    host, agent = find(name)
    hosts = provider_of(host).hosts()
    for new in new_names:
        making.make_room(provider_of(host), new, progress, hosts)
    with changing(host, progress) as (provider, record):
        if record.state is HostState.RUNNING:
            wanted = SnapshotRequest(description=f"for {', '.join(new_names)}")
            record = snapshots.take_held(provider, record, progress, wanted)
        snapshot = record.newest_snapshot
    if snapshot is None:
        raise NothingToStartFrom(record.name)
    return _make(provider, record, snapshot, agent, new_names, progress)


def from_snapshot(
    wanted: str, name: str, progress: Progress, *, command: str | None = None, agent_type: str = ""
) -> AgentView:
    """Makes an agent on a new host from a snapshot: as the first agent that the snapshot's host had, or one that runs
    `command`. Raises `SnapshotNotFound`, `NameTaken` and what the steps raise."""
    found = snapshots.find(wanted)
    provider = provider_of(found.host)
    making.make_room(provider, name, progress)
    source = found.host.record
    agent = source.agents[0]
    if command is not None:
        agent = msgspec.structs.replace(agent, command=command, type=agent_type)
    return _make(provider, source, found.snapshot, agent, [name], progress)[0]


def _make(
    provider: Provider,
    source: HostRecord,
    snapshot: Snapshot,
    agent: Agent,
    names: Sequence[str],
    progress: Progress,
) -> list[AgentView]:
    for name in names:
        ids.check_name(name)

    def one(name: str) -> AgentView:
        return _make_one(provider, source, snapshot, agent, name, progress)

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(one, names))


def _make_one(
    provider: Provider, source: HostRecord, snapshot: Snapshot, old: Agent, name: str, progress: Progress
) -> AgentView:
    new = msgspec.structs.replace(old, id=ids.new_agent_id(), name=name, created_at=time.time())
    with making.begun(provider, new, source.options, source.policy, progress) as begun:
        record = provider.adopt(begun, source)
        try:
            host = provider.start(record, progress, snapshot=snapshot, run_agents=False)
        except ProviderConflict as error:
            raise NameTaken(name) from error
        progress(f"starting {name}")
        target = known.target(host.record, making.answering(host))
        agents.adopt(target, old, new)
        agents.start(target, new, {}, keep_env=True)
        saved = provider.save(host.record)
    ready = Host(record=saved, state=HostState.RUNNING, endpoint=host.endpoint)
    return view(ready, new, AgentProbe(running=True, exit_code=None))
