"""Creates an agent on a host of its own: all of it, or nothing and the reason."""

from __future__ import annotations

import contextlib
import os
import posixpath
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from mngr import config, ids
from mngr.agents import registry as agent_types
from mngr.agents.types import AgentType
from mngr.errors import MngrError, NameTaken, NotRunning, ProviderConflict, UsageError
from mngr.hosts import agents, known, transfer
from mngr.hosts.agents import AgentProbe
from mngr.models import Agent, AgentView, Host, HostState, SnapshotKind
from mngr.operations import making, provision
from mngr.operations.changing import changing
from mngr.operations.finding import provider_of, targets
from mngr.operations.listing import view
from mngr.operations.provision import Extras, Provisions
from mngr.operations.snapshots import SnapshotRequest, take_held
from mngr.providers import registry as providers
from mngr.providers.base import Progress

_WORK = "/work"


@dataclass(frozen=True, slots=True)
class Travel:
    """What of the project travels and to which branch, as for `transfer.named`; `target_path` is the work folder
    there, below ``/work`` unless absolute."""

    branch: str = ""
    unclean: bool | None = None
    ignored: bool = False
    target_path: str = ""

    def project(self, source: Path, name: str) -> transfer.Project:
        """Raises `UsageError`."""
        return transfer.named(source, name, self.branch, unclean=self.unclean, ignored=self.ignored)

    def work_dir(self, name: str) -> str:
        """Raises `UsageError`."""
        path = posixpath.normpath(posixpath.join(_WORK, self.target_path or name))
        if "\n" in path or path in ("/", _WORK) or f"{path}/".startswith("/mngr/"):
            raise UsageError(f"--target-path {self.target_path!r}: must be a folder of its own, outside of /mngr")
        return path


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
    travel: Travel = Travel()
    extras: Extras = field(default_factory=Extras)

    def kind(self) -> AgentType:
        """Raises `UsageError`."""
        settings = config.load()
        return agent_types.agent_type(self.type or settings.default_agent_type, settings)

    def agent(self, kind: AgentType) -> tuple[Agent, Provisions]:
        """The agent and what it is given. Raises `UsageError`."""
        ids.check_name(self.name)
        work_dir = self.travel.work_dir(self.name)
        provisions = provision.plan(self.extras, kind, work_dir, os.environ)
        agent = Agent(
            id=ids.new_agent_id(),
            name=self.name,
            type=kind.name,
            command=kind.command(self.arguments),
            work_dir=work_dir,
            created_at=time.time(),
            labels=provisions.labels,
        )
        return agent, provisions


def create(request: Request, progress: Progress) -> AgentView:
    """Makes the host, carries the project there, starts the agent.

    Everything that can be checked is checked before anything is made. A failure or an interrupt at any step leaves no
    sandbox; a record that says why stays when the host was begun. Raises `UsageError`, `NameTaken` and what the steps
    raise.
    """
    settings = config.load()
    kind = request.kind()
    agent, provisions = request.agent(kind)
    project = request.travel.project(request.source, request.name)
    provider = providers.provider(request.provider, settings)
    plan = msgspec.structs.replace(provider.plan(request.build_args), install=kind.image_lines())
    policy = msgspec.structs.replace(provider.policy(), **request.policy)
    for note in plan.notes:
        progress.log(f"{note}\n")
    with making.begun(provider, agent, plan.options, policy, progress) as record:
        record = provider.prepare(record, plan, progress)
        try:
            host = provider.start(record, progress)
        except ProviderConflict as error:
            # Another creation of the same name was faster; the provider lets only one of them run.
            raise NameTaken(agent.name) from error
        target = known.target(host.record, making.answering(host))
        transfer.send_project(target, project, agent.work_dir, _sending(progress))
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


def create_on(host_name: str, request: Request, progress: Progress) -> AgentView:
    """Makes one more agent on a host that runs. A failure or an interrupt leaves the host as it was.

    Raises `AgentNotFound`, `NotRunning`, `UsageError`, `NameTaken` and what the steps raise.
    """
    kind = request.kind()
    agent, provisions = request.agent(kind)
    project = request.travel.project(request.source, request.name)
    host = targets([host_name])[0].host
    making.make_room(provider_of(host), request.name, progress)
    with changing(host, progress) as (provider, record):
        endpoint = provider.endpoint(record) if record.state is HostState.RUNNING else None
        if endpoint is None:
            raise NotRunning(record.agents[0].name if record.agents else record.name, record.state.value)
        target = known.target(record, endpoint)
        record = provider.save(msgspec.structs.replace(record, agents=(*record.agents, agent)))
        try:
            siblings = tuple(other.work_dir for other in record.agents if other.id != agent.id)
            transfer.send_project(target, project, agent.work_dir, _sending(progress), siblings=siblings)
            provision.install(target, kind, progress)
            progress("starting the agent")
            provision.carry_out(target, agent, kind, provisions)
            agents.start(target, agent, provisions.env)
        except BaseException:
            rest = tuple(other for other in record.agents if other.id != agent.id)
            provider.save(msgspec.structs.replace(record, agents=rest))
            with contextlib.suppress(MngrError):
                agents.remove(target, agent)
            raise
    ready = Host(record=record, state=HostState.RUNNING, endpoint=endpoint)
    return view(ready, agent, AgentProbe(running=True, exit_code=None))


def _sending(progress: Progress) -> Callable[[str], None]:
    """Tells that the project is being sent, and once a second how far it is."""
    progress("sending the project")
    told_at = time.monotonic()

    def told(words: str) -> None:
        nonlocal told_at
        if time.monotonic() - told_at >= 1:
            told_at = time.monotonic()
            progress(f"sending the project: {words}")

    return told
