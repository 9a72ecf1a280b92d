"""Agents on a host: started, looked at, attached to."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from mngr.hosts import ssh
from mngr.hosts.ssh import Target
from mngr.models import Agent

HOST_DIR = "/mngr"
SCRIPTS = "/usr/local/lib/mngr"
ENVIRONMENT = f"{HOST_DIR}/ssh/environment"
"""What the image and the host set, as a shell reads it."""


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


def start(target: Target, agent: Agent, env: Mapping[str, str]) -> None:
    """Starts an agent in its tmux session. A second call while it runs does nothing. Raises `HostCommandFailed`."""
    # Only names and paths are on the command line; the values of the environment come by standard input.
    files = {"name": agent.name, "work_dir": agent.work_dir, "command": agent.command}
    writes = "".join(f"printf '%s\\n' {shlex.quote(text)} >{name}\n" for name, text in files.items())
    script = (
        f"umask 077; mkdir -p {state_dir(agent)} && cd {state_dir(agent)} || exit\n{writes}"
        f"cat >env\numask 022\nsh {SCRIPTS}/start-agent.sh {agent.id}\n"
    )
    ssh.run(target, script, what=f"starting agent {agent.name}", stdin=exports(agent, env).encode())


def probe(target: Target, *, timeout_s: float) -> dict[str, AgentProbe]:
    """The state of every agent on the host, by its id."""
    done = ssh.run(target, f"sh {SCRIPTS}/probe.sh", what="looking at the agents", timeout_s=timeout_s)
    found = {}
    for line in done.stdout.decode().splitlines():
        agent_id, probed = parse_probe(line)
        found[agent_id] = probed
    return found


def parse_probe(line: str) -> tuple[str, AgentProbe]:
    """A line of probe.sh: an agent's id and how it is."""
    agent_id, running, code, activity, idle = line.split()
    return agent_id, AgentProbe(
        running=running == "1",
        exit_code=None if code == "-" else int(code),
        activity="" if activity == "-" else activity,
        idle_s=None if idle == "-" else float(idle),
    )


def in_environment(agent: Agent, command: str) -> str:
    """The line that runs `command` as the agent would: in its environment and work folder. Input is left alone.

    A shell stays above the command: ssh itself has no exit code for one that a signal ended, a shell has 128+n.
    """
    return (
        f". {ENVIRONMENT}; . {state_dir(agent)}/env; "
        f"cd {shlex.quote(agent.work_dir)} && sh -c {shlex.quote(command)}; exit $?"
    )


def attach_command(agent: Agent) -> str:
    """The line that attaches a terminal to the agent. A terminal that the host does not know counts as an xterm."""
    session = shlex.quote(f"=mngr-{agent.name}")
    return f'infocmp "$TERM" >/dev/null 2>&1 || TERM=xterm-256color; exec tmux attach-session -t {session}'


def capture(target: Target, agent: Agent) -> str:
    """What the agent's screen shows now."""
    session = shlex.quote(f"=mngr-{agent.name}:")
    done = ssh.run(target, f"tmux capture-pane -p -t {session}", what=f"reading the screen of {agent.name}")
    return done.stdout.decode(errors="replace")


def order_stop(target: Target) -> None:
    """Tells the host to end itself: agents get SIGTERM, everything is written to disk, the sandbox ends."""
    ssh.run(target, f"echo stop >{HOST_DIR}/control", what="telling the host to end", timeout_s=20)
