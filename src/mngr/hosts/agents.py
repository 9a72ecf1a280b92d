"""Agents on a host: started, looked at, attached to."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from mngr.hosts import ssh
from mngr.hosts.ssh import Target
from mngr.models import Agent

HOST_DIR = "/mngr"
RUN_DIR = "/run/mngr"
SCRIPTS = "/usr/local/lib/mngr"
ENVIRONMENT = f"{RUN_DIR}/environment"
"""What the image and the host set, as a shell reads it."""
_DU_S = 2


@dataclass(frozen=True, slots=True)
class AgentProbe:
    """How an agent is: whether its command runs, and how it ended.

    `activity` is ``working``, ``waiting``, ``blocked`` or empty where nothing tells; `idle_s` the seconds since its
    screen showed something new.
    """

    running: bool
    exit_code: int | None
    activity: str = ""
    idle_s: float | None = None
    out_of_memory: bool = False


def state_dir(agent: Agent) -> str:
    """The agent's own folder on the host."""
    return f"{HOST_DIR}/agents/{agent.id}"


def exports(agent: Agent, env: Mapping[str, str]) -> str:
    """The agent's environment as a shell reads it: `env`, and what mngr tells every agent. It may hold secrets."""
    values = {
        **env,
        "MNGR_AGENT_ID": agent.id,
        "MNGR_AGENT_NAME": agent.name,
        "MNGR_AGENT_STATE_DIR": state_dir(agent),
        "MNGR_AGENT_WORK_DIR": agent.work_dir,
        "MNGR_HOST_DIR": HOST_DIR,
    }
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in values.items())


def start(target: Target, agent: Agent, env: Mapping[str, str], *, keep_env: bool = False) -> None:
    """Writes an agent's state down and starts it in its tmux session. A second call while it runs does nothing.

    With `keep_env` what its environment held before stays. Raises `HostCommandFailed`.
    """
    # Only names and paths are on the command line; the values of the environment come by standard input.
    files = {"name": agent.name, "work_dir": agent.work_dir, "command": agent.command}
    writes = "".join(f"printf '%s\\n' {shlex.quote(text)} >{name}\n" for name, text in files.items())
    kept = "grep -v '^export MNGR_' env >env.kept; cat env.kept - >env; rm env.kept" if keep_env else "cat >env"
    script = (
        f"umask 077; mkdir -p {state_dir(agent)} && cd {state_dir(agent)} || exit\n{writes}"
        f"{kept}\numask 022\nsh {SCRIPTS}/start-agent.sh {agent.id}\n"
    )
    ssh.run(target, script, what=f"starting agent {agent.name}", stdin=exports(agent, env).encode())


def start_again(target: Target, agent: Agent, *, restart: bool = False) -> None:
    """Starts an agent that was on the host before; `restart` ends it first. One that runs goes on otherwise."""
    stop_first = f"sh {SCRIPTS}/stop-agents.sh {agent.id}; " if restart else ""
    ssh.run(target, f"{stop_first}sh {SCRIPTS}/start-agent.sh {agent.id}", what=f"starting agent {agent.name}")


def probe(target: Target, *, timeout_s: float) -> dict[str, AgentProbe]:
    """The state of every agent on the host, by its id."""
    done = ssh.run(target, f"sh {SCRIPTS}/probe.sh", what="looking at the agents", timeout_s=timeout_s)
    found = {}
    for line in done.stdout.decode().splitlines():
        agent_id, probed = parse_probe(line)
        found[agent_id] = probed
    return found


def parse_probe(line: str) -> tuple[str, AgentProbe]:
    """A line of probe.sh: an agent's id and how it is. Scripts of an older mngr print less."""
    agent_id, running, code, why, activity, idle = [*line.split(), "-", "-", "-"][:6]
    return agent_id, AgentProbe(
        running=running == "1",
        exit_code=None if code == "-" else int(code),
        out_of_memory=why == "oom",
        activity="" if activity == "-" else activity,
        idle_s=None if idle == "-" else float(idle),
    )


def order_stop(target: Target) -> int | None:
    """Tells the host to end itself: agents get SIGTERM, everything is written to disk, the sandbox ends.

    The bytes that are on its disk, None when they can not be counted at once.
    """
    return _disk(target, f"echo stop >{RUN_DIR}/control", what="telling the host to end")


def quiet(target: Target) -> int | None:
    """Ends all agents and writes everything to disk; the host goes on. The bytes on its disk, as `order_stop`."""
    return _disk(target, f"sh {SCRIPTS}/stop-agents.sh; sync", what="ending the agents")


def disk_bytes(target: Target) -> int | None:
    """The bytes that are on the host's disk, None when they can not be counted at once."""
    return _disk(target, "true", what="measuring the disk")


def _disk(target: Target, then: str, *, what: str) -> int | None:
    script = f"timeout {_DU_S} du -sxk / 2>/dev/null | cut -f1; {then}"
    counted = ssh.run(target, script, what=what, timeout_s=30).stdout.split()
    return int(counted[0]) * 1024 if counted else None


def stop(target: Target, agent: Agent) -> None:
    """Ends one agent, which does not start with its host any more. A second call does nothing."""
    ssh.run(target, f"sh {SCRIPTS}/stop-agents.sh {agent.id}", what=f"stopping agent {agent.name}")


def remove(target: Target, agent: Agent) -> None:
    """Ends one agent and removes its state and work folder. A second call does nothing."""
    ssh.run(target, f"sh {SCRIPTS}/remove-agent.sh {agent.id}", what=f"removing agent {agent.name}")


def adopt(target: Target, old: Agent, new: Agent, *, afresh: bool = False) -> None:
    """On a host that came from another's snapshot: only `old` stays of the agents in it, as `new`, on its own branch;
    `afresh` with nothing but its work folder.

    It is not started. A second call does nothing.
    """
    state = "afresh" if afresh else "kept"
    words = shlex.join([old.id, new.id, f"mngr/{old.name}", f"mngr/{new.name}", new.work_dir, state])
    ssh.run(target, f"sh {SCRIPTS}/adopt-agents.sh {words}", what="taking the agents of the snapshot over")


def changed_since(target: Target, moment: float) -> bool:
    """Whether any file of the host's disk was changed after `moment`, what mngr itself writes left aside."""
    found = ssh.run_script(target, "changed-since.sh", f"{int(moment)}", what="looking for changes", timeout_s=600)
    return bool(found.stdout.strip())
