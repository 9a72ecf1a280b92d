"""Attaches a terminal to an agent, and holds on to it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from mngr.errors import HostUnreachable, NotRunning, ProviderUnavailable
from mngr.hosts import ssh, terminal
from mngr.models import ENDED, AgentState
from mngr.operations import finding
from mngr.operations.execution import reach
from mngr.operations.lifecycle import StartRequest, start
from mngr.providers.base import Progress

_PATIENCE_S = 600.0
_RETRY_S = 1.0
# What tmux turns on in a terminal and could not turn off: the other screen, a hidden cursor, pastes and mouse reported.
_PLAIN_TERMINAL = "\x1b[?1049l\x1b[?25h\x1b[?2004l\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[0m"


def connect(name: str, progress: Progress, say: Callable[[str], None], *, read_only: bool = False) -> int:
    """Attaches this terminal to an agent until it is detached; the exit code.

    A stopped one is started first. When the line drops it is opened again, for ten minutes at most; a host that ended
    meanwhile is left so. Raises `NotRunning`, `HostUnreachable` and what a start raises.
    """
    _start_if_stopped(name, progress, say)
    dropped_at: float | None = None
    while True:
        try:
            target, agent = reach(name, progress)
            if dropped_at is not None:
                say("connected again")
            dropped_at = None
            return ssh.stream(target, terminal.attach_command(agent, read_only=read_only), terminal=True)
        except (HostUnreachable, ProviderUnavailable) as error:
            if dropped_at is None:
                sys.stdout.write(_PLAIN_TERMINAL)
                sys.stdout.flush()
                say(f"the connection to {name} was lost; connecting again (Ctrl-C gives up)")
                dropped_at = time.monotonic()
            elif time.monotonic() - dropped_at > _PATIENCE_S:
                raise error
            else:
                time.sleep(_RETRY_S)


def _start_if_stopped(name: str, progress: Progress, say: Callable[[str], None]) -> None:
    try:
        target, agent = reach(name, progress)
    except NotRunning:
        host, agent = finding.find(name)
        if host.state not in ENDED:
            raise
        say(f"{agent.name} is {host.state.value}; starting it")
        start([name], progress, StartRequest())
        return
    probe = terminal.look(target, agent)
    if not probe.running and probe.exit_code is None:
        say(f"{agent.name} is {AgentState.STOPPED.value}; starting it")
        start([name], progress, StartRequest())
