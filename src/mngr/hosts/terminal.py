"""An agent's terminal: typed into, read, attached to, waited for."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from mngr.hosts import agents, ssh
from mngr.hosts.agents import ENVIRONMENT, SCRIPTS, AgentProbe
from mngr.hosts.ssh import Target
from mngr.models import Agent

_ANSWER_S = 30.0
_TYPE_S = 300.0


def look(target: Target, agent: Agent) -> AgentProbe:
    """How the agent is now."""
    done = ssh.run(target, f"sh {SCRIPTS}/probe.sh {agent.id}", what=f"looking at {agent.name}", timeout_s=_ANSWER_S)
    return _read(done.stdout)


def wait(target: Target, agent: Agent, activities: Sequence[str], *, timeout_s: int) -> AgentProbe:
    """Waits on the host until the agent's activity is one of `activities` (``done`` when its command has ended) in two
    looks one after the other, or the time is over; how it is then. Raises `HostUnreachable` when the host ends."""
    words = shlex.join([agent.id, str(timeout_s), *activities])
    script = f"sh {SCRIPTS}/wait-agent.sh {words}"
    return _read(ssh.run(target, script, what=f"waiting for {agent.name}", timeout_s=timeout_s + _ANSWER_S).stdout)


def _read(output: bytes) -> AgentProbe:
    """An agent that has no state on the host has never run there."""
    lines = output.decode().split("\n")
    return agents.parse_probe(lines[0])[1] if lines[0].strip() else AgentProbe(running=False, exit_code=None)


def send(target: Target, agent: Agent, text: bytes) -> AgentProbe:
    """Types a text into the agent's terminal, all of it in one paste, and submits it once. Only the host sees it.

    How the agent was before: one that does not run, or asks for a permission, is told nothing.
    """
    return _tell(target, agent, "-", stdin=text)


def press(target: Target, agent: Agent, keys: bytes) -> AgentProbe:
    """Types keys as they are and submits nothing; no keys at all are the Enter key.

    How the agent was before: one that does not run is told nothing.
    """
    return _tell(target, agent, "blocked", "keys", stdin=keys)


def _tell(target: Target, agent: Agent, *words: str, stdin: bytes) -> AgentProbe:
    """Looks and tells in one call."""
    what = f"typing to {agent.name}"
    done = ssh.run_script(target, "tell-agent.sh", agent.id, *words, what=what, stdin=stdin, timeout_s=_TYPE_S)
    return _read(done.stdout)


def capture(target: Target, agent: Agent, *, ansi: bool = False, history: bool = False) -> str:
    """What the agent's screen shows now; with `ansi` its colours too, with `history` what has scrolled away too."""
    options = ("-e " if ansi else "") + ("-S - " if history else "")
    line = f"tmux -u capture-pane -p {options}-t {_session(agent)}:"
    return ssh.run(target, line, what=f"reading the screen of {agent.name}").stdout.decode(errors="replace")


def attach_command(agent: Agent, *, read_only: bool = False) -> str:
    """The line that attaches a terminal to the agent. A terminal that the host does not know counts as an xterm."""
    option = "-r " if read_only else ""
    return (
        'infocmp "$TERM" >/dev/null 2>&1 || TERM=xterm-256color; '
        f"exec tmux -u attach-session {option}-t {_session(agent)}"
    )


def transcript(target: Target, agent: Agent, globs: str) -> bytes:
    """The agent's own record of the conversation: the file that its hooks have named, else the newest of `globs` (as
    the host's shell reads them, in the work folder). Empty when there is none."""
    state = agents.state_dir(agent)
    newest = f'[ -e "$file" ] || file=$(ls -t {globs} 2>/dev/null | head -n 1); ' if globs else ""
    script = (
        f". {ENVIRONMENT}; . {state}/env; cd {shlex.quote(agent.work_dir)} 2>/dev/null; "
        f'file=$(cat {state}/transcript 2>/dev/null); {newest}[ ! -e "$file" ] || cat "$file"'
    )
    return ssh.run(target, script, what=f"reading the transcript of {agent.name}", timeout_s=_TYPE_S).stdout


def _session(agent: Agent) -> str:
    return shlex.quote(f"=mngr-{agent.name}")
