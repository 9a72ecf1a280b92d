"""Finds agents and hosts by name or id."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from mngr import addresses, config
from mngr.errors import AgentNotFound, HostUnreachable, MngrError, NotRunning, UsageError
from mngr.hosts import known, ssh
from mngr.models import Agent, Host, HostRecord, HostState
from mngr.providers import copies, registry
from mngr.providers.base import Provider


@dataclass(frozen=True, slots=True)
class Target:
    """A host and those of its agents that a command is about, which are all of them when the host itself was named."""

    host: Host
    agents: tuple[Agent, ...]
    remembered_as: tuple[str, ...] = ()
    """The names it was found by where nobody but this machine was asked: its host may have changed since."""

    @property
    def is_whole_host(self) -> bool:
        return len(self.agents) == len(self.host.record.agents)


def all_hosts() -> list[Host]:
    """The hosts of all providers, each provider asked at the same time; destroyed ones with kept snapshots too."""
    settings = config.load()
    if len(settings.providers) == 1:
        return [host for name in settings.providers for host in registry.provider(name, settings).hosts()]
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(max(1, len(settings.providers))) as pool:
        found = pool.map(lambda name: registry.provider(name, settings).hosts(), settings.providers)
        return [host for hosts in found for host in hosts]


def is_gone(host: Host) -> bool:
    """Whether nothing but snapshots is left of it. One whose destruction was cut off is not gone yet."""
    return host.state is HostState.DESTROYED and not host.record.held_by


def provider_of(host: Host) -> Provider:
    return registry.provider(host.record.provider, config.load())


def find(name: str) -> tuple[Host, Agent]:
    """The agent of a name or id and its host, as they are now. Raises `AgentNotFound`."""
    target = targets([name])[0]
    return target.host, target.agents[0]


def targets(names: Iterable[str], *, hosts: Sequence[Host] | None = None, destroyed: bool = False) -> list[Target]:
    """The agents of names or ids, agents' before hosts', grouped by host. Raises `AgentNotFound` for the first unknown.

    `hosts` are looked through, all without it; with `destroyed` also those that are gone but for their snapshots.
    """
    looked = all_hosts() if hosts is None else hosts
    looked = [host for host in looked if destroyed or not is_gone(host)]
    chosen: dict[str, set[str]] = {}
    for name in dict.fromkeys(names):
        for host, agents in _matches(name, looked):
            chosen.setdefault(host.record.id, set()).update(agent.id for agent in agents)
    return [
        Target(host, tuple(agent for agent in host.record.agents if agent.id in chosen[host.record.id]))
        for host in looked
        if host.record.id in chosen
    ]


def remembered_targets(names: Sequence[str]) -> list[Target] | None:
    """As `targets`, of what this machine remembers; None when that is not enough."""
    records = [record for provider in config.load().providers for record in copies.read(provider)]
    # The oldest first, as a provider has them.
    records.sort(key=lambda record: record.created_at)
    try:
        found = targets(names, hosts=[Host(record=one, state=one.state, reason=one.reason) for one in records])
    except AgentNotFound:
        return None
    return [replace(target, remembered_as=tuple(names)) for target in found]


def _matches(name: str, hosts: Sequence[Host]) -> list[tuple[Host, Sequence[Agent]]]:
    address = addresses.parse(name)
    found: list[tuple[Host, Sequence[Agent]]] = [
        (host, [agent]) for host in hosts for agent in host.record.agents if address.means(host.record, agent)
    ]
    found = found or [(host, host.record.agents) for host in hosts if name in (host.record.name, host.record.id)]
    if not found:
        raise AgentNotFound(name, [agent.name for host in hosts for agent in host.record.agents])
    return found


def is_known(name: str) -> bool:
    """Whether an agent or host is called so; also when nobody can be asked."""
    try:
        return _remembered(name) is not None or bool(targets([name]))
    except (AgentNotFound, UsageError):
        return False
    except MngrError:
        return True


def reach(name: str) -> tuple[ssh.Target, Agent]:
    """A running agent, with a connection to its host that is open.

    What this machine remembers is tried first, without a call to the provider; a host that moved or ended since is
    looked up once. Raises `AgentNotFound`, `NotRunning`, `HostUnreachable`.
    """
    remembered = _remembered(name)
    if remembered is not None:
        target, agent, _record = remembered
        try:
            ssh.open_connection(target)
            return target, agent
        except HostUnreachable:
            ssh.close(target)
    host, agent = find(name)
    target = answering(host, agent.name)
    ssh.open_connection(target)
    return target, agent


@dataclass(frozen=True, slots=True)
class Found:
    """An agent (None when a host itself was named) and how its host is reached, `target` None when that does not run.

    `known_host` is missing when the provider was not asked, which is so only where `target` is there.
    """

    agent: Agent | None
    record: HostRecord
    target: ssh.Target | None
    known_host: Host | None = None

    @property
    def host(self) -> Host:
        """As it is; of one that was reached without asking, as it must be."""
        return self.known_host or Host(record=self.record, state=HostState.RUNNING)


def look(name: str, *, destroyed: bool = False) -> Found:
    """An agent or host, whether it runs or not; as `reach`, what this machine remembers is tried first.

    With `destroyed` also one that is gone but for snapshots or volume. Raises `AgentNotFound`.
    """
    remembered = _remembered(name)
    if remembered is not None:
        target, agent, record = remembered
        try:
            ssh.open_connection(target)
            return Found(agent, record, target)
        except HostUnreachable:
            ssh.close(target)
    hosts = all_hosts()
    try:
        found = targets([name], hosts=hosts)[0]
    except AgentNotFound:
        if not destroyed:
            raise
        found = targets([name], hosts=hosts, destroyed=True)[-1]
    host = found.host
    address = addresses.parse(name)
    one = next((agent for agent in found.agents if address.means(host.record, agent)), None)
    if host.state is not HostState.RUNNING or host.endpoint is None:
        return Found(one, host.record, None, host)
    target = known.target(host.record, host.endpoint)
    try:
        ssh.open_connection(target)
    except HostUnreachable:
        # It is about to end, or has just ended.
        return Found(one, host.record, None, host)
    return Found(one, host.record, target, host)


def answering(host: Host, name: str) -> ssh.Target:
    """How to reach a host for the sake of its agent or itself, `name`. Raises `NotRunning`."""
    if host.state is not HostState.RUNNING or host.endpoint is None:
        raise NotRunning(name, host.state.value)
    return known.target(host.record, host.endpoint)


def _remembered(name: str) -> tuple[ssh.Target, Agent, HostRecord] | None:
    address = addresses.parse(name)
    reachable = known.reachable()
    for provider in config.load().providers:
        for record in copies.read(provider, reachable):
            endpoint = known.endpoint(record)
            if endpoint is None or record.state is not HostState.RUNNING:
                continue
            for agent in record.agents:
                if address.means(record, agent):
                    return known.target(record, endpoint), agent, record
    return None
