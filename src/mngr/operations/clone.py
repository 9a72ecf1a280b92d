"""Makes new hosts from snapshots of others."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import msgspec

from mngr import config, ids
from mngr.agents import registry
from mngr.agents.types import AgentType
from mngr.errors import NameTaken, NothingToStartFrom, ProviderConflict
from mngr.hosts import agents, known
from mngr.hosts.agents import AgentProbe
from mngr.hosts.ssh import Target
from mngr.models import Agent, AgentView, Host, HostRecord, HostState, Snapshot
from mngr.operations import making, provision, snapshots
from mngr.operations.changing import changing
from mngr.operations.create import Request
from mngr.operations.finding import find, provider_of
from mngr.operations.listing import view
from mngr.operations.provision import Extras, Provisions
from mngr.operations.snapshots import SnapshotRequest
from mngr.providers.base import Progress, Provider

_AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class _Given:
    """What an agent is given beside what the snapshot has. `afresh`: it is another agent than the snapshot's, of which
    only the files stay, not the type, variables and conversation."""

    kind: AgentType
    provisions: Provisions
    afresh: bool


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


def from_snapshot(wanted: str, request: Request, progress: Progress) -> AgentView:
    """Makes an agent on a new host from a snapshot.

    With neither type nor arguments in `request` it is the first agent that the snapshot's host had, as it was; else a
    new one in that one's work folder, whose program is installed unless it is there. Name and extras count too.

    Raises `SnapshotNotFound`, `UsageError`, `NameTaken` and what the steps raise.
    """
    found = snapshots.find(wanted)
    provider = provider_of(found.host)
    making.make_room(provider, request.name, progress)
    source = found.host.record
    agent = source.agents[0]
    given: _Given | None = None
    if request.type or request.arguments:
        kind = request.kind()
        given = _Given(kind, provision.plan(request.extras, kind, agent.work_dir, os.environ), afresh=True)
        command, labels = kind.command(request.arguments), given.provisions.labels
        agent = msgspec.structs.replace(agent, command=command, type=kind.name, labels=labels)
    elif request.extras != Extras():
        kind = registry.known_type(agent.type, config.load())
        # What it was given when it was made, it has.
        bare = dataclasses.replace(kind, env={}, forwards=(), settings=())
        given = _Given(kind, provision.plan(request.extras, bare, agent.work_dir, os.environ), afresh=False)
        agent = msgspec.structs.replace(agent, labels={**agent.labels, **given.provisions.labels})
    return _make(provider, source, found.snapshot, agent, [request.name], progress, given)[0]


def _make(
    provider: Provider,
    source: HostRecord,
    snapshot: Snapshot,
    agent: Agent,
    names: Sequence[str],
    progress: Progress,
    given: _Given | None = None,
) -> list[AgentView]:
    for name in names:
        ids.check_name(name)

    def one(name: str) -> AgentView:
        return _make_one(provider, source, snapshot, agent, name, progress, given)

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(one, names))


def _make_one(
    provider: Provider,
    source: HostRecord,
    snapshot: Snapshot,
    old: Agent,
    name: str,
    progress: Progress,
    given: _Given | None,
) -> AgentView:
    new = msgspec.structs.replace(old, id=ids.new_agent_id(), name=name, created_at=time.time())
    with making.begun(provider, new, source.options, source.policy, progress, has_room=True) as begun:
        record = provider.adopt(begun, source)
        try:
            host = provider.start(record, progress, snapshot=snapshot, run_agents=False)
        except ProviderConflict as error:
            raise NameTaken(name) from error
        progress(f"starting {name}")
        target = known.target(host.record, making.answering(host))
        agents.adopt(target, old, new, afresh=given is not None and given.afresh)
        _begin(target, new, given, progress)
        saved = provider.save(host.record)
    ready = Host(record=saved, state=HostState.RUNNING, endpoint=host.endpoint)
    return view(ready, new, AgentProbe(running=True, exit_code=None))


def _begin(target: Target, agent: Agent, given: _Given | None, progress: Progress) -> None:
    """Starts an agent that was taken over from a snapshot, with what it is given."""
    if given is None:
        agents.start(target, agent, {}, keep_env=True)
        return
    if given.afresh:
        provision.install(target, given.kind, progress)
    provision.carry_out(target, agent, given.kind, given.provisions)
    agents.start(target, agent, given.provisions.env, keep_env=not given.afresh)
