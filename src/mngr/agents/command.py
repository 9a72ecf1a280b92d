"""Any command at all: what stands after ``--``. One word is a line for the shell, several are one command."""

from __future__ import annotations

from mngr.agents.types import AgentType

TYPE = AgentType(name="command")
