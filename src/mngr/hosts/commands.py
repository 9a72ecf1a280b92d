"""Lines for a host's shell that run a command where an agent is."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from mngr.hosts.agents import ENVIRONMENT, state_dir
from mngr.models import Agent

_GRACE_S = 5


@dataclass(frozen=True, slots=True)
class Manner:
    """How to run it: in `cwd` (the agent's work folder when empty, from there when relative), at most `timeout_s`
    seconds, as `user`, in a terminal."""

    cwd: str = ""
    timeout_s: int | None = None
    user: str = ""
    terminal: bool = False


def line(agent: Agent, command: str, manner: Manner = Manner()) -> str:
    """The line that runs `command` in the agent's environment. Input is left alone.

    One that takes too long is ended on the host, with code 124. A shell stays above the command: ssh itself has no exit
    code for one that a signal ended, a shell has 128+n.
    """
    run = f"sh -c {shlex.quote(command)}"
    if manner.user:
        user = shlex.quote(manner.user)
        # -m keeps the environment, and with it a HOME that is not the user's.
        home = f'HOME=$(getent passwd {user} | cut -d: -f6); export HOME; [ -n "$HOME" ] || HOME=/; '
        run = f"{home}su -m -s /bin/sh {user} -c {shlex.quote(command)}"
    if manner.timeout_s is not None:
        in_front = "--foreground " if manner.terminal else ""
        run = f"timeout {in_front}-k {_GRACE_S} {manner.timeout_s} sh -c {shlex.quote(run)}"
    folders = f"cd {shlex.quote(agent.work_dir)}"
    if manner.cwd:
        folders += f" && cd {shlex.quote(manner.cwd)}"
    return f". {ENVIRONMENT}; . {state_dir(agent)}/env; {folders} && {{ {run}; }}; exit $?"
