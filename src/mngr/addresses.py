"""Addresses of agents: ``NAME``, ``NAME@HOST``, ``NAME@HOST.PROVIDER``, ``NAME@.PROVIDER``."""

from __future__ import annotations

from dataclasses import dataclass

from mngr.errors import UsageError
from mngr.models import Agent, HostRecord


@dataclass(frozen=True, slots=True)
class Address:
    """Which agent is meant. `host` and `provider` are empty where any will do."""

    name: str
    host: str = ""
    provider: str = ""

    def means(self, record: HostRecord, agent: Agent) -> bool:
        """Whether `agent` of the host is one that is meant."""
        if self.name not in (agent.name, agent.id):
            return False
        return self.host in ("", record.name, record.id) and self.provider in ("", record.provider)


def parse(text: str) -> Address:
    """Reads an address. Raises `UsageError`."""
    name, at, place = text.partition("@")
    host, _, provider = place.partition(".")
    if not name or (at and not (host or provider)):
        raise UsageError(f"{text!r} is no address of an agent: NAME, NAME@HOST, NAME@HOST.PROVIDER or NAME@.PROVIDER")
    return Address(name, host, provider)
