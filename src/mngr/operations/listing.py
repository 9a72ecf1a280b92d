"""Lists agents, with what each is doing."""

from __future__ import annotations

from dataclasses import dataclass

from mngr.errors import HostUnreachable, MngrError
from mngr.hosts import agents, known
from mngr.hosts.agents import AgentProbe
from mngr.models import Agent, AgentState, AgentView, Host, HostState
from mngr.operations.finding import all_hosts, is_gone

PROBE_S = 3.0
_PROBERS = 64
_BY_ACTIVITY = {"waiting": AgentState.WAITING, "blocked": AgentState.BLOCKED}


@dataclass(frozen=True, slots=True)
class Listing:
    """All agents, oldest first, and what could not be found out."""

    agents: tuple[AgentView, ...]
    errors: tuple[str, ...]


def listing() -> Listing:
    """Every agent of every provider. A host that does not answer is an entry in `errors`, not a failure."""
    hosts = [host for host in all_hosts() if not is_gone(host)]
    errors: list[str] = []

    def look(host: Host) -> dict[str, AgentProbe]:
        if host.endpoint is None or not host.record.agents:
            return {}
        try:
            return agents.probe(known.target(host.record, host.endpoint), timeout_s=PROBE_S)
        except HostUnreachable as error:
            # By the name that a person knows it by.
            errors.append(str(HostUnreachable(host.record.name, error.reason)))
            return {}
        except MngrError as error:
            errors.append(str(error))
            return {}

    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(_PROBERS) as pool:
        probes = list(pool.map(look, hosts))
    views = [
        view(host, agent, probed.get(agent.id))
        for host, probed in zip(hosts, probes, strict=True)
        for agent in host.record.agents
    ]
    return Listing(tuple(views), tuple(errors))


def view(host: Host, agent: Agent, probed: AgentProbe | None) -> AgentView:
    """An agent with its state."""
    if host.state is not HostState.RUNNING:
        state = AgentState.STOPPED
    elif probed is None:
        state = AgentState.UNKNOWN
    else:
        state = state_of(probed)
    return AgentView(
        agent=agent,
        state=state,
        host=host,
        exit_code=probed.exit_code if probed else None,
        idle_s=probed.idle_s if probed else None,
        out_of_memory=probed is not None and probed.out_of_memory,
    )


def state_of(probed: AgentProbe) -> AgentState:
    """The state of an agent whose host runs."""
    if probed.running:
        return _BY_ACTIVITY.get(probed.activity, AgentState.RUNNING)
    return AgentState.STOPPED if probed.exit_code is None else AgentState.DONE
