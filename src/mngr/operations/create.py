"""Creates an agent on a host of its own: all of it, or nothing and the reason."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from mngr import config, ids
from mngr.agents import registry as agent_types
from mngr.errors import NameTaken, ProviderConflict
from mngr.hosts import agents, known, transfer
from mngr.hosts.agents import AgentProbe
from mngr.models import Agent, AgentView, Host, HostRecord, HostState
from mngr.operations import provision
from mngr.operations.listing import view
from mngr.operations.provision import Extras
from mngr.providers import registry as providers
from mngr.providers.base import Progress, Provider

_WORK = "/work"


@dataclass(frozen=True, slots=True)
class Request:
    """What to create. `source` is the folder of the project, `arguments` what stands after ``--``; `type` empty is the
    default of the settings."""

    name: str
    type: str
    provider: str
    arguments: tuple[str, ...]
    build_args: tuple[str, ...]
    source: Path
    extras: Extras = Extras()


def create(request: Request, progress: Progress) -> AgentView:
    """Makes the host, carries the project there, starts the agent.

    Everything that can be checked is checked before anything is made. A failure or an interrupt at any step leaves no
    sandbox; a record that says why stays when the host was begun. Raises `UsageError`, `NameTaken` and what the steps
    raise.
    """
    settings = config.load()
    ids.check_name(request.name)
    kind = agent_types.agent_type(request.type or settings.default_agent_type, settings)
    command = kind.command(request.arguments)
    provisions = provision.plan(request.extras, kind, f"{_WORK}/{request.name}", os.environ)
    provider = providers.provider(request.provider, settings)
    plan = msgspec.structs.replace(provider.plan(request.build_args), install=kind.image_lines())
    for note in plan.notes:
        progress.log(f"{note}\n")
    _make_room(provider, request.name, progress)
    agent = Agent(
        id=ids.new_agent_id(),
        name=request.name,
        type=kind.name,
        command=command,
        work_dir=f"{_WORK}/{request.name}",
        created_at=time.time(),
        labels=provisions.labels,
    )
    with ExitStack() as undo:
        record = _begin(provider, agent, plan.options, undo, progress)
        record = provider.prepare(record, plan, progress)
        try:
            host = provider.start(record, progress)
        except ProviderConflict as error:
            # Another creation of the same name was faster; the provider lets only one of them run.
            raise NameTaken(agent.name) from error
        progress("sending the project")
        target = known.target(host.record, _answering(host))
        transfer.send_project(target, request.source, agent.work_dir, f"mngr/{agent.name}")
        progress("starting the agent")
        provision.carry_out(target, agent, kind, provisions)
        agents.start(target, agent, provisions.env)
        record = provider.save(host.record)
        undo.pop_all()
    ready = Host(record=record, state=HostState.RUNNING, endpoint=host.endpoint)
    return view(ready, agent, AgentProbe(running=True, exit_code=None))


def _make_room(provider: Provider, name: str, progress: Progress) -> None:
    """Raises `NameTaken`; what a creation of the same name that failed has left is removed."""
    for host in provider.hosts():
        if name in (host.record.name, *(agent.name for agent in host.record.agents)):
            if host.state is not HostState.FAILED:
                raise NameTaken(name)
            provider.destroy(host.record, progress)


def _begin(
    provider: Provider, agent: Agent, options: dict[str, Any], undo: ExitStack, progress: Progress
) -> HostRecord:
    """Writes down that the host is being made, and what undoes it."""
    record = provider.save(
        HostRecord(
            id=ids.new_host_id(),
            name=agent.name,
            provider=provider.name,
            revision=0,
            state=HostState.BUILDING,
            created_at=agent.created_at,
            options=options,
            agents=(agent,),
        )
    )

    def fail(kind: type[BaseException] | None, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, NameTaken):
            provider.destroy(record, progress)
            return
        provider.abandon(record)
        reason = str(error) or (kind.__name__ if kind else "")
        provider.save(msgspec.structs.replace(record, state=HostState.FAILED, reason=reason))

    undo.push(fail)
    return record


def _answering(host: Host) -> Any:
    assert host.endpoint is not None  # noqa: S101 (a host that was started answers)
    return host.endpoint
