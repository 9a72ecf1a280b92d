"""Changes of agents and hosts that exist: names, labels, limits. What can change at once does, the rest at the next
start, and the result says which."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from mngr import ids
from mngr.errors import MngrError, NameTaken, UsageError
from mngr.hosts import agents, ssh
from mngr.models import Agent, AgentView, Host, HostRecord, HostState
from mngr.operations.changing import changing, changing_target, to_change
from mngr.operations.finding import Target, all_hosts, answering, is_gone, targets
from mngr.operations.listing import view
from mngr.providers.base import Progress, Provider

_PROBE_S = 10.0
_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,62}")


@dataclass(frozen=True, slots=True)
class Changed:
    """An agent after a change: what counts from now on and what from the host's next start on, by name."""

    agent: AgentView
    now: tuple[str, ...] = ()
    later: tuple[str, ...] = ()


def rename(name: str, new: str, progress: Progress) -> Changed:
    """Gives an agent another name. A host of the same name is renamed with it when it does not run: the name of a
    running sandbox can not change. Work folder and branch stay as they are.

    Raises `InvalidName`, `NameTaken` and what `finding.targets` raises.
    """
    ids.check_name(new)
    hosts = all_hosts()
    target = _one(targets([name], hosts=hosts), name)
    old = target.agents[0]
    for host in hosts:
        others = [agent.name for agent in host.record.agents if agent.id != old.id]
        mine = host.record.id == target.host.record.id
        if not is_gone(host) and new in (*others, *([] if mine else [host.record.name])):
            raise NameTaken(new)
    with changing(target.host, progress) as (provider, record):
        agent = msgspec.structs.replace(_agent(record, old.id), name=new)
        running = record.state is HostState.RUNNING
        moves_host = record.name == old.name and not running
        changed = _with(record, agent)
        if running:
            ssh.run(_line(provider, record), _renaming(agent, old.name), what=f"renaming agent {old.name}")
        if moves_host:
            changed = msgspec.structs.replace(changed, name=new)
        saved = provider.save(changed)
        later = ("its variable MNGR_AGENT_NAME",) if running else ()
        return Changed(_view(provider, saved, agent), ("name", "host's name") if moves_host else ("name",), later)


def _renaming(agent: Agent, old: str) -> str:
    """The line that renames an agent on its host; what it is told of its own name counts from its next start on."""
    state = agents.state_dir(agent)
    return (
        f"set -e; umask 077; cd {state}; printf '%s\\n' {shlex.quote(agent.name)} >name\n"
        f"sed -i 's/^export MNGR_AGENT_NAME=.*/export MNGR_AGENT_NAME={agent.name}/' env\n"
        f"if tmux has-session -t '=mngr-{old}' 2>/dev/null; then "
        f"tmux rename-session -t '=mngr-{old}' 'mngr-{agent.name}'; fi"
    )


def parse_labels(words: Sequence[str]) -> dict[str, str | None]:
    """``K=V`` sets a label, ``K-`` removes it (None). Raises `UsageError` with all problems."""
    found: dict[str, str | None] = {}
    problems = []
    for word in words:
        key, equals, value = word.partition("=")
        if not equals and not word.endswith("-"):
            problems.append(f"label {word!r}: must be KEY=VALUE, or KEY- to remove it")
            continue
        key = key if equals else word[:-1]
        if not _LABEL.fullmatch(key):
            problems.append(f"label {key!r}: a key is of letters, digits and ._/-, at most 63, a letter or digit first")
        found[key] = value if equals else None
    if problems:
        raise UsageError("\n".join(problems))
    return found


def label(name: str, labels: Mapping[str, str | None], progress: Progress) -> Changed:
    """Sets labels, and removes those that are None. One that is as it should be, or gone already, is no error."""
    target = _one(to_change([name]), name)
    with changing_target(target, progress) as (provider, record, target):
        agent = _agent(record, target.agents[0].id)
        rest = {key: value for key, value in agent.labels.items() if key not in labels}
        rest |= {key: value for key, value in labels.items() if value is not None}
        agent = msgspec.structs.replace(agent, labels=rest)
        saved = provider.save(_with(record, agent))
        return Changed(_view(provider, saved, agent), tuple(labels))


def limit(name: str, policy: Mapping[str, Any], build_args: Sequence[str], progress: Progress) -> Changed:
    """Changes when the host of an agent ends itself (fields of `Policy`), at once; and what it is given (build
    arguments), from its next start on. Raises `UsageError`."""
    target = _one(to_change([name]), name)
    with changing_target(target, progress) as (provider, record, target):
        keys = [word.removeprefix("--").partition("=")[0].strip().replace("-", "_") for word in build_args]
        planned = provider.plan(tuple(build_args)).options
        unknown = [key for key in keys if key not in planned or key in ("image", "dockerfile", "context_dir", "env")]
        if unknown:
            raise UsageError(f"-b {unknown[0]}: can not be changed of a host that was made")
        options = record.options | {key: planned[key] for key in keys}
        changed = msgspec.structs.replace(
            record, policy=msgspec.structs.replace(record.policy, **policy), options=options
        )
        if record.state is HostState.RUNNING and policy:
            limits = changed.policy
            values = {
                "idle_mode": limits.idle_mode.value,
                "idle_timeout": limits.idle_timeout_s,
                "agents_gone": limits.agents_gone_s,
            }
            pairs = [f"{key}={value}" for key, value in values.items()]
            ssh.run_script(_line(provider, record), "set-policy.sh", *pairs, what="changing the limits")
        saved = provider.save(changed)
        later = tuple(keys) if record.state is HostState.RUNNING else ()
        now = (*policy, *(() if later else keys))
        return Changed(_view(provider, saved, _agent(saved, target.agents[0].id)), now, later)


def _one(found: Sequence[Target], name: str) -> Target:
    if len(found) != 1 or len(found[0].agents) != 1:
        raise UsageError(f"{name!r} means several agents; name one of them")
    return found[0]


def _agent(record: HostRecord, agent_id: str) -> Agent:
    for agent in record.agents:
        if agent.id == agent_id:
            return agent
    raise MngrError("the agent was destroyed meanwhile")


def _with(record: HostRecord, agent: Agent) -> HostRecord:
    return msgspec.structs.replace(
        record, agents=tuple(agent if other.id == agent.id else other for other in record.agents)
    )


def _host(provider: Provider, record: HostRecord) -> Host:
    endpoint = provider.endpoint(record) if record.state is HostState.RUNNING else None
    return Host(record=record, state=record.state, reason=record.reason, endpoint=endpoint)


def _line(provider: Provider, record: HostRecord) -> ssh.Target:
    return answering(_host(provider, record), record.name)


def _view(provider: Provider, record: HostRecord, agent: Agent) -> AgentView:
    host = _host(provider, record)
    probed = None
    if host.endpoint is not None:
        probed = agents.probe(answering(host, agent.name), timeout_s=_PROBE_S).get(agent.id)
    return view(host, agent, probed)
