"""Creates an agent on a host of its own: all of it, or nothing and the reason."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from mngr import config, ids
from mngr.agents import registry as agent_types
from mngr.errors import NameTaken, ProviderConflict
from mngr.hosts import agents, known, transfer
from mngr.hosts.agents import AgentProbe
from mngr.models import Agent, AgentView, Host, HostState, SnapshotKind
from mngr.operations import making, provision
from mngr.operations.listing import view
from mngr.operations.provision import Extras
from mngr.operations.snapshots import SnapshotRequest, take_held
from mngr.providers import registry as providers
from mngr.providers.base import Progress

_WORK = "/work"


@dataclass(frozen=True, slots=True)
class Request:
    """What to create. `source` is the folder of the project, `arguments` what stands after ``--``, `policy` what
    was said of the host's end, by the names of `Policy`'s fields. `type` empty is the default of the settings."""

    name: str
    type: str
    provider: str
    arguments: tuple[str, ...]
    build_args: tuple[str, ...]
    source: Path
    policy: Mapping[str, Any] = field(default_factory=dict)
    extras: Extras = field(default_factory=Extras)


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
    policy = msgspec.structs.replace(provider.policy(), **request.policy)
    for note in plan.notes:
        progress.log(f"{note}\n")
    making.make_room(provider, request.name, progress)
    agent = Agent(
        id=ids.new_agent_id(),
        name=request.name,
        type=kind.name,
        command=command,
        work_dir=f"{_WORK}/{request.name}",
        created_at=time.time(),
        labels=provisions.labels,
    )
    with making.begun(provider, agent, plan.options, policy, progress) as record:
        record = provider.prepare(record, plan, progress)
        try:
            host = provider.start(record, progress)
        except ProviderConflict as error:
            # Another creation of the same name was faster; the provider lets only one of them run.
            raise NameTaken(agent.name) from error
        progress("sending the project")
        target = known.target(host.record, making.answering(host))
        transfer.send_project(target, request.source, agent.work_dir, f"mngr/{agent.name}")
        record = host.record
        if not record.exit_snapshots:
            # Whatever happens to the sandbox, there is then something to come back from.
            record = take_held(provider, record, progress, SnapshotRequest(kind=SnapshotKind.INITIAL))
        progress("starting the agent")
        provision.carry_out(target, agent, kind, provisions)
        agents.start(target, agent, provisions.env)
        record = provider.save(record)
    ready = Host(record=record, state=HostState.RUNNING, endpoint=host.endpoint)
    return view(ready, agent, AgentProbe(running=True, exit_code=None))
