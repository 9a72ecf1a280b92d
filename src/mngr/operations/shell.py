"""Opens a shell beside an agent."""

from __future__ import annotations

import shlex
import sys
from typing import Any

from mngr.hosts import commands, ssh
from mngr.operations import execution
from mngr.operations.finding import reach
from mngr.providers.base import Progress

# A login shell, so that the user's own profile there counts; images without bash have sh.
_SHELL = 'shell=${SHELL:-$(command -v bash || echo sh)}; exec "$shell" -l'


def open_shell(name: str, progress: Progress) -> int:
    """Runs a shell in the agent's work folder on this terminal, or from standard input; its exit code."""
    target, agent = execution.reach(name, progress)
    terminal = sys.stdin.isatty()
    known = 'infocmp "$TERM" >/dev/null 2>&1 || export TERM=xterm-256color; ' if terminal else ""
    return ssh.stream(target, known + commands.line(agent, _SHELL), terminal=terminal)


def address(name: str) -> dict[str, Any]:
    """How other programs reach the agent. Raises what `finding.reach` raises."""
    target, agent = reach(name)
    endpoint = target.endpoint
    return {
        "agent": agent.name,
        "host": endpoint.address,
        "port": endpoint.port,
        "user": endpoint.user,
        "work_dir": agent.work_dir,
        "identity_file": str(target.folder / "id"),
        "known_hosts_file": str(target.folder / "known_hosts"),
        "host_key_alias": target.name,
        "command": shlex.join(ssh.argv(target)),
    }
