"""The types of agents by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from mngr.errors import UsageError


class AgentType(Protocol):
    """How agents of one type are started."""

    name: str

    def command(self, arguments: Sequence[str]) -> str:
        """The line for the host's shell that starts the agent. Raises `UsageError`."""


def agent_type(name: str) -> AgentType:
    """The type called `name`. Raises `UsageError`."""
    if name == "command":
        from mngr.agents.command import Command

        return Command()
    raise UsageError(f"there is no agent type {name!r}; there is: command")
