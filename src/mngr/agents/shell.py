"""A shell to work in by hand. It waits for the user whenever it is itself in the foreground of its terminal."""

from __future__ import annotations

from mngr.agents.types import AgentType
from mngr.hosts.agents import SCRIPTS

TYPE = AgentType(name="shell", program=f"exec sh {SCRIPTS}/interactive-shell.sh")
