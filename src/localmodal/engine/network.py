"""The sandboxes' network: one bridge for each home, and rules inside each sandbox's own network namespace.

The rules stand before the first instruction of a sandbox runs, and no program in it has the capability to change
them. A sandbox never reaches another, nor the host's own address on the bridge.
"""

from __future__ import annotations

import asyncio
import fcntl
import ipaddress
import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from localmodal.engine.forwards import forwards, remove_stale
from localmodal.engine.podman import Podman
from localmodal.errors import Internal, ResourceExhausted

# Below the range from which Linux takes ports for outgoing connections, so that none is lost to one of those.
TUNNEL_PORTS = range(20000, 32768)
LOOPBACK = "127.0.0.1"
_PORT_LOCKS = Path("/run/localmodal-ports")


@dataclass(frozen=True, slots=True)
class Egress:
    """What a sandbox may reach: everything, nothing at all, or the ranges in `cidrs`."""

    kind: Literal["open", "blocked", "allowlist"] = "open"
    cidrs: tuple[str, ...] = ()


class Network:
    """The bridge of one home and the ports of the host that lead into its sandboxes."""

    def __init__(self, podman: Podman, tag: str) -> None:
        self._podman = podman
        self.name = f"localmodal-{tag}"
        self._subnets: tuple[str, ...] = ()
        self._reserved: dict[int, int] = {}

    async def start(self) -> None:
        """Makes the bridge if it is not there."""
        if (await self._podman.run("network", "exists", self.name, check=False)).code:
            await self._podman.run(
                "network", "create", "--ipv6", "--disable-dns", "--label", self._podman.label, self.name
            )
        described = await self._podman.json("network", "inspect", self.name)
        self._subnets = tuple(subnet["subnet"] for subnet in described[0]["subnets"])
        mine = await self._podman.run("ps", "--all", "--quiet", "--no-trunc", "--filter", f"label={self._podman.label}")
        await remove_stale(self.name, mine.text.split())

    async def reserve_ports(self, count: int) -> list[int]:
        """Ports of the loopback address that nobody listens on, that no rule of the kernel leads elsewhere, and that
        are not given out again until released. Raises `ResourceExhausted`."""
        if not count:
            return []
        led = {port for forward in await forwards() for port in forward.ports}
        found: list[int] = []
        for port in TUNNEL_PORTS:
            if port not in led and port not in self._reserved and self._lock(port):
                if _is_free(port):
                    found.append(port)
                else:
                    self.release_port(port)
            if len(found) == count:
                return found
        for port in found:
            self.release_port(port)
        raise ResourceExhausted(f"no free port for a tunnel between {TUNNEL_PORTS.start} and {TUNNEL_PORTS.stop - 1}")

    def adopt_port(self, port: int) -> None:
        """Marks a port as in use by a sandbox of an earlier server."""
        self._lock(port)

    def holds_port(self, port: int) -> bool:
        """Whether a port leads into a sandbox of this home."""
        return port in self._reserved

    def release_port(self, port: int) -> None:
        """Gives a port back. One that is not held is no error."""
        descriptor = self._reserved.pop(port, None)
        if descriptor is not None:
            os.close(descriptor)

    def release_all(self) -> None:
        """Lets go of all ports; those that lead into running sandboxes are still listened on."""
        for port in list(self._reserved):
            self.release_port(port)

    def _lock(self, port: int) -> bool:
        """Takes a port before the servers of other homes on this machine do: podman listens on it only later."""
        _PORT_LOCKS.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(_PORT_LOCKS / str(port), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._reserved[port] = descriptor
        return True

    async def apply(self, init_pid: int, egress: Egress) -> None:
        """Puts the rules into the network namespace of `init_pid`, in the place of earlier ones."""
        process = await asyncio.create_subprocess_exec(
            *("nsenter", "-t", str(init_pid), "-n", "nft", "-f", "-"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        _stdout, stderr = await process.communicate(rules(egress, self._subnets).encode())
        if process.returncode:
            raise Internal(f"network rules were refused: {stderr.decode(errors='replace').strip()[-500:]}")


def rules(egress: Egress, subnets: Sequence[str]) -> str:
    """The rules in nft's language. Replies to inbound connections always pass, unless everything is blocked."""
    verdict = "accept" if egress.kind == "open" else "drop"
    inbound = "drop" if egress.kind == "blocked" else "accept"
    lines = ['oifname "lo" accept']
    if egress.kind != "blocked":
        # Neighbour discovery is how IPv6 finds the bridge at all, so that replies can leave.
        lines += [
            "ct state established,related accept",
            "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit } accept",
        ]
        lines += [f"{_family(subnet)} daddr {subnet} drop" for subnet in subnets]
    lines += [f"{_family(cidr)} daddr {ipaddress.ip_network(cidr, strict=False)} accept" for cidr in egress.cidrs]
    body = "\n    ".join(lines)
    return (
        "table inet localmodal\ndelete table inet localmodal\n"
        "table inet localmodal {\n"
        f"  chain output {{\n    type filter hook output priority 0; policy {verdict};\n    {body}\n  }}\n"
        f"  chain input {{\n    type filter hook input priority 0; policy {inbound};\n"
        '    iifname "lo" accept\n  }\n}\n'
    )


def _family(cidr: str) -> str:
    return "ip6" if ipaddress.ip_network(cidr, strict=False).version == 6 else "ip"


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True
