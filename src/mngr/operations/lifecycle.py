"""Stops, starts and destroys agents with their hosts."""

from __future__ import annotations

import msgspec

from mngr import config
from mngr.errors import NameTaken, ProviderConflict
from mngr.hosts.agents import AgentProbe
from mngr.models import Agent, AgentView, Host, HostRecord, HostState
from mngr.operations.finding import find
from mngr.operations.listing import view
from mngr.providers import registry
from mngr.providers.base import Progress, Provider


def stop(name: str, progress: Progress) -> AgentView:
    """Ends an agent's host and keeps its file system. One that is stopped already stays so."""
    host, agent = find(name)
    if host.record.state is not HostState.RUNNING:
        return view(host, agent, None)
    record = _provider(host).stop(host.record, progress)
    record = _provider(host).save(record)
    return view(Host(record=record, state=record.state, reason=record.reason), agent, None)


def start(name: str, progress: Progress) -> AgentView:
    """Runs an agent's host again, as it was when it ended; its agents start with it. One that runs stays as it is."""
    host, agent = find(name)
    provider = _provider(host)
    record = host.record
    if host.state is HostState.RUNNING:
        return view(host, agent, AgentProbe(running=True, exit_code=None))
    if record.state is HostState.RUNNING:
        # It ended without anybody asking: what it left is looked up first.
        record = provider.save(provider.stop(record, progress))
    try:
        started = provider.start(record, progress)
    except ProviderConflict as error:
        raise NameTaken(record.name) from error
    saved = provider.save(started.record)
    running = msgspec.structs.replace(started, record=saved)
    return view(running, agent, AgentProbe(running=True, exit_code=None))


def destroy(name: str, progress: Progress) -> tuple[Host, Agent]:
    """Removes an agent with its host, snapshots, keys and records."""
    host, agent = find(name)
    _provider(host).destroy(host.record, progress)
    return host, agent


def _provider(host: Host | HostRecord) -> Provider:
    record = host.record if isinstance(host, Host) else host
    return registry.provider(record.provider, config.load())
