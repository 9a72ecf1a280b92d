"""Runs commands where agents are, and attaches to agents."""

from __future__ import annotations

from collections.abc import Sequence

from mngr.errors import NotRunning
from mngr.hosts import agents, ssh
from mngr.models import Agent
from mngr.operations import finding
from mngr.providers.base import Progress


def execute(name: str, words: Sequence[str], progress: Progress) -> int:
    """Runs a command in an agent's environment and work folder, with our own input and outputs; its exit code."""
    target, agent = _reach(name, progress)
    return ssh.stream(target, agents.in_environment(agent, ssh.command_line(words)))


def connect(name: str, progress: Progress) -> int:
    """Attaches this terminal to an agent until it is detached."""
    target, agent = _reach(name, progress)
    return ssh.stream(target, agents.attach_command(agent), terminal=True)


def screen(name: str, progress: Progress) -> str:
    """What an agent's screen shows now."""
    target, agent = _reach(name, progress)
    return agents.capture(target, agent)


def _reach(name: str, progress: Progress) -> tuple[ssh.Target, Agent]:
    """As `finding.reach`; a host that is to outlive its sandboxes goes on first when its last has ended."""
    try:
        return finding.reach(name)
    except NotRunning:
        from mngr.operations.keeper import go_on, wants_to_go_on

        host, _agent = finding.find(name)
        if not wants_to_go_on(host):
            raise
        go_on(host, progress)
        return finding.reach(name)
