"""Runs commands where agents are, and attaches to agents."""

from __future__ import annotations

from collections.abc import Sequence

from mngr.hosts import agents, ssh
from mngr.operations.finding import reach


def execute(name: str, words: Sequence[str]) -> int:
    """Runs a command in an agent's environment and work folder, with our own input and outputs; its exit code."""
    target, agent = reach(name)
    return ssh.stream(target, agents.in_environment(agent, ssh.command_line(words)))


def connect(name: str) -> int:
    """Attaches this terminal to an agent until it is detached."""
    target, agent = reach(name)
    return ssh.stream(target, agents.attach_command(agent), terminal=True)


def screen(name: str) -> str:
    """What an agent's screen shows now."""
    target, agent = reach(name)
    return agents.capture(target, agent)
