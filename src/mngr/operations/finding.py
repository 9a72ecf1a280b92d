"""Finds agents by name."""

from __future__ import annotations

from mngr import config
from mngr.errors import AgentNotFound, HostUnreachable, NotRunning
from mngr.hosts import known, ssh
from mngr.models import Agent, Host, HostState
from mngr.providers import copies, registry


def find(name: str) -> tuple[Host, Agent]:
    """The agent of a name or id and its host, as they are now. Raises `AgentNotFound`."""
    settings = config.load()
    hosts = [host for provider in settings.providers for host in registry.provider(provider, settings).hosts()]
    for host in hosts:
        for agent in host.record.agents:
            if name in (agent.name, agent.id):
                return host, agent
    raise AgentNotFound(name, [agent.name for host in hosts for agent in host.record.agents])


def reach(name: str) -> tuple[ssh.Target, Agent]:
    """A running agent, with a connection to its host that is open.

    What this machine remembers is tried first, without a call to the provider; a host that moved or ended since is
    looked up once. Raises `AgentNotFound`, `NotRunning`, `HostUnreachable`.
    """
    remembered = _remembered(name)
    if remembered is not None:
        target, agent = remembered
        try:
            ssh.open_connection(target)
            return target, agent
        except HostUnreachable:
            ssh.close(target)
    host, agent = find(name)
    if host.state is not HostState.RUNNING or host.endpoint is None:
        raise NotRunning(agent.name, host.state.value)
    target = known.target(host.record, host.endpoint)
    ssh.open_connection(target)
    return target, agent


def _remembered(name: str) -> tuple[ssh.Target, Agent] | None:
    for provider in config.load().providers:
        for record in copies.read(provider):
            endpoint = known.endpoint(record)
            if endpoint is None or record.state is not HostState.RUNNING:
                continue
            for agent in record.agents:
                if name in (agent.name, agent.id):
                    return known.target(record, endpoint), agent
    return None
