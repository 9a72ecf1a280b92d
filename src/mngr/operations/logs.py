"""Reads logs."""

from __future__ import annotations

from mngr import config
from mngr.operations.finding import find
from mngr.providers import registry


def build_log(name: str) -> str:
    """What the build of an agent's image wrote. Raises `AgentNotFound`, and `NotFound` when nothing was built."""
    host, _agent = find(name)
    return registry.provider(host.record.provider, config.load()).build_log(host.record)
