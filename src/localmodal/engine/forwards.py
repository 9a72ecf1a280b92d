"""The ports of this machine that rules of the kernel lead into containers, podman's own rules and all others.

A container whose processes were killed by force, conmon too, leaves its rules behind until podman is told to forget
it, and they come before those of a later container on the same port, whose clients are then refused though nobody
listens there (seen with podman 4.3, netavark 1.4).
"""

from __future__ import annotations

import asyncio
import re
import shlex
from collections.abc import Collection, Iterator
from dataclasses import dataclass

_NAT = ("iptables", "-w", "-t", "nat")
_ENTRY = "NETAVARK-HOSTPORT-DNAT"
_PORTS = re.compile(r"dports? (?:\{ )?(\d+)(?:[:-](\d+))?")
_OWNER = re.compile(r"dnat name: (\S+) id: ([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Forward:
    """A rule, as iptables lists it, the ports that it takes, and the network and container that it was made for."""

    rule: str
    ports: range
    network: str = ""
    container: str = ""


async def forwards() -> list[Forward]:
    """All rules that name ports of this machine. Newer podman keeps its own in a table of nft's."""
    listed = (await _run(*_NAT, "-S")).splitlines()
    listed += (await _run("nft", "list", "table", "inet", "netavark")).splitlines()
    return list(parse(listed))


def parse(lines: Collection[str]) -> Iterator[Forward]:
    """The rules among `lines` that name ports."""
    for line in lines:
        ports = _PORTS.search(line)
        if ports:
            owner = _OWNER.search(line)
            first = int(ports[1])
            yield Forward(
                line,
                range(first, int(ports[2] or first) + 1),
                *((owner[1], owner[2]) if owner else ()),
            )


async def remove_stale(network: str, containers: Collection[str]) -> None:
    """Removes the rules of `network` that were made for others than `containers` (full ids), which are gone."""
    found = await forwards()
    for stale in found:
        if stale.network != network or stale.container in containers:
            continue
        chain = shlex.split(stale.rule)[-1]
        for rule in (stale, *(other for other in found if other.ports == stale.ports)):
            words = shlex.split(rule.rule)
            if rule is stale or words[:2] == ["-A", chain]:
                await _run(*_NAT, "-D", *words[1:])


async def _run(*argv: str) -> str:
    """What a program printed; nothing when it is missing or refuses."""
    try:
        process = await asyncio.create_subprocess_exec(
            *argv, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
        )
    except FileNotFoundError:
        return ""
    stdout, _stderr = await process.communicate()
    return "" if process.returncode else stdout.decode(errors="replace")
