"""Ids and names of agents and hosts."""

from __future__ import annotations

import re
import secrets

from mngr.errors import InvalidName

_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,39}")


def new_host_id() -> str:
    return f"host-{_random()}"


def new_agent_id() -> str:
    return f"agent-{_random()}"


def check_name(name: str) -> str:
    """The name, when it can be an agent's. Raises `InvalidName`."""
    if not _NAME.fullmatch(name):
        raise InvalidName(name)
    return name


def _random() -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(20))
