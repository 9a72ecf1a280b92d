"""Agents on a host: started, looked at, attached to."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from mngr.hosts import ssh
from mngr.hosts.ssh import Target
from mngr.models import Agent

HOST_DIR = "/mngr"
RUN_DIR = "/run/mngr"
SCRIPTS = "/usr/local/lib/mngr"
_DU_S = 2


@dataclass(frozen=True, slots=True)
class AgentProbe:
    """How an agent is: whether its command runs, and how it ended."""

    running: bool
    exit_code: int | None
    out_of_memory: bool = False


def state_dir(agent: Agent) -> str:
    """The agent's own folder on the host."""
    return f"{HOST_DIR}/agents/{agent.id}"


def start(target: Target, agent: Agent, env: dict[str, str], *, keep_env: bool = False) -> None:
    """Writes an agent's state down and starts it in its tmux session. A second call while it runs does nothing.

    With `keep_env` what its environment held before stays. Raises `HostCommandFailed`.
    """
    values = env | {
        "MNGR_AGENT_ID": agent.id,
        "MNGR_AGENT_NAME": agent.name,
        "MNGR_AGENT_STATE_DIR": state_dir(agent),
        "MNGR_AGENT_WORK_DIR": agent.work_dir,
        "MNGR_HOST_DIR": HOST_DIR,
    }
    exports = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in values.items())
    # Only names and paths are on the command line; the values of the environment come by standard input.
    files = {"name": agent.name, "work_dir": agent.work_dir, "command": agent.command}
    writes = "".join(f"printf '%s\\n' {shlex.quote(text)} >{name}\n" for name, text in files.items())
    kept = "grep -v '^export MNGR_' env >env.kept; cat env.kept - >env; rm env.kept" if keep_env else "cat >env"
    script = (
        f"umask 077; mkdir -p {state_dir(agent)} && cd {state_dir(agent)} || exit\n{writes}"
        f"{kept}\numask 022\nsh {SCRIPTS}/start-agent.sh {agent.id}\n"
    )
    ssh.run(target, script, what=f"starting agent {agent.name}", stdin=exports.encode())


def start_again(target: Target, agent: Agent, *, restart: bool = False) -> None:
    """Starts an agent that was on the host before; `restart` ends it first. One that runs goes on otherwise."""
    stop_first = f"sh {SCRIPTS}/stop-agents.sh {agent.id}; " if restart else ""
    ssh.run(target, f"{stop_first}sh {SCRIPTS}/start-agent.sh {agent.id}", what=f"starting agent {agent.name}")


def probe(target: Target, *, timeout_s: float) -> dict[str, AgentProbe]:
    """The state of every agent on the host, by its id."""
    done = ssh.run(target, f"sh {SCRIPTS}/probe.sh", what="looking at the agents", timeout_s=timeout_s)
    found = {}
    for line in done.stdout.decode().splitlines():
        # A host that was made before the last word was: its scripts print three.
        agent_id, running, code, *why = line.split()
        found[agent_id] = AgentProbe(running == "1", None if code == "-" else int(code), why == ["oom"])
    return found


def in_environment(agent: Agent, command: str) -> str:
    """The line that runs `command` as the agent would: in its environment and work folder. Input is left alone.

    A shell stays above the command: ssh itself has no exit code for one that a signal ended, a shell has 128+n.
    """
    return (
        f". {RUN_DIR}/environment; . {state_dir(agent)}/env; "
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


def adopt(target: Target, old: Agent | None, new: Agent | None) -> None:
    """On a host that came from another's snapshot: only `old` stays of the agents in it, as `new`, on its own branch.

    It is not started. A second call does nothing.
    """
    words = shlex.join([old.id if old else "", new.id if new else ""])
    script = f"sh {SCRIPTS}/adopt-agents.sh {words}"
    if old and new:
        before, after = shlex.quote(f"mngr/{old.name}"), shlex.quote(f"mngr/{new.name}")
        work_dir = shlex.quote(new.work_dir)
        script += (
            f'; cd {work_dir} 2>/dev/null && [ "$(git symbolic-ref -q --short HEAD)" = {before} ] && '
            f"git checkout --quiet -b {after}; true"
        )
    ssh.run(target, script, what="taking the agents of the snapshot over")


def changed_since(target: Target, moment: float) -> bool:
    """Whether any file of the host's disk was changed after `moment`, what mngr itself writes left aside."""
    script = (
        f"find / -xdev \\( -path {HOST_DIR} -o -path /run -o -path /tmp -o -path /var/log -o -path /dev \\) -prune "
        f"-o -newermt @{int(moment)} -print -quit 2>/dev/null || echo unknown"
    )
    return bool(ssh.run(target, script, what="looking for changes").stdout.strip())
