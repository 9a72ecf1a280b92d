"""Delays new connections through tunnels, as a server far away would: only their first packet waits.

A tunnel is a published port: the kernel rewrites addresses, and no program stands between. So the packet that opens
a connection is held by the kernel's own means: an iptables rule hands it to this process (NFQUEUE), which lets it go
on after a while. With no one listening the rule lets all pass (`--queue-bypass`), so a crash breaks nothing.
The messages are those of <linux/netfilter/nfnetlink_queue.h>.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from collections.abc import Callable, Iterator

from localmodal.engine.network import LOOPBACK, TUNNEL_PORTS

log = logging.getLogger("localmodal.tunnels")

_NETLINK_NETFILTER = 12
_SUBSYS_QUEUE = 3 << 8
_PACKET, _VERDICT, _CONFIG = 0, 1, 2
_REQUEST = 1
_HEADER = struct.Struct("=IHHII")
_GENERIC = struct.Struct(">BBH")
_ATTRIBUTE = struct.Struct("=HH")
_PACKET_HEADER, _VERDICT_HEADER, _MARK, _PAYLOAD = 1, 2, 3, 10
_NF_REPEAT = 4
_COPY_BYTES = 60


class TunnelDelay:
    """Holds the first packet of each connection to one of our tunnels."""

    def __init__(self, tag: str, is_ours: Callable[[int], bool]) -> None:
        """`is_ours` says whether a port leads into a sandbox of this home; `tag` keeps its rule apart from others'."""
        number = int(tag, 16)
        self._queue = 1024 + number % 60_000
        # A packet that was looked at carries a mark and is not looked at again; another home's rule still sees it.
        self._bit = 1 << (16 + number % 15)
        self._is_ours = is_ours
        self._socket: socket.socket | None = None
        self._latency_s = 0.0
        self._rule = [
            *("-d", LOOPBACK, "-p", "tcp", "--syn", "--dport", f"{TUNNEL_PORTS.start}:{TUNNEL_PORTS.stop - 1}"),
            *("-m", "mark", "!", "--mark", f"{self._bit:#x}/{self._bit:#x}"),
            *("-m", "comment", "--comment", f"localmodal-{tag}"),
            *("-j", "NFQUEUE", "--queue-num", str(self._queue), "--queue-bypass"),
        ]

    async def set(self, latency_s: float) -> None:
        """Delays connections that are opened from now on; 0 ends it. Raises `OSError` for a kernel without queues."""
        self._latency_s = latency_s
        if latency_s and self._socket is None:
            await self.drop_rules()
            self._listen()
            try:
                await _iptables("-I", "OUTPUT", *self._rule)
            except BaseException:
                self._close()
                raise
        elif not latency_s and self._socket is not None:
            await self.stop()

    async def stop(self) -> None:
        """Takes the rule away; what is held goes on at once. A second call does nothing."""
        if self._socket is not None:
            await self.drop_rules()
            self._close()

    async def drop_rules(self) -> None:
        """Removes our rule, also one that a server left that was killed."""
        try:
            while True:
                await _iptables("-D", "OUTPUT", *self._rule)
        except OSError:
            return

    def _listen(self) -> None:
        connection = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_NETFILTER)
        connection.setblocking(False)
        connection.bind((0, 0))
        bind = _attribute(1, struct.pack(">BxH", 1, 0))
        copy = _attribute(2, struct.pack(">IB", _COPY_BYTES, 2))
        for attributes in (bind, copy):
            connection.send(self._message(_CONFIG, attributes))
        self._socket = connection
        asyncio.get_running_loop().add_reader(connection, self._receive, connection)

    def _close(self) -> None:
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None

    def _message(self, kind: int, attributes: bytes) -> bytes:
        body = _GENERIC.pack(0, 0, self._queue) + attributes
        return _HEADER.pack(_HEADER.size + len(body), _SUBSYS_QUEUE | kind, _REQUEST, 0, 0) + body

    def _receive(self, connection: socket.socket) -> None:
        try:
            data = connection.recv(65536)
        except OSError as error:  # ENOBUFS: more connections at once than fit; they are tried again by themselves
            log.warning("new connections through tunnels were lost: %s", error)
            return
        at = 0
        while at + _HEADER.size <= len(data):
            length, kind, _flags, _sequence, _pid = _HEADER.unpack_from(data, at)
            if kind == _SUBSYS_QUEUE | _PACKET:
                self._hold(dict(_attributes(data[at + _HEADER.size + _GENERIC.size : at + length])))
            at += (length + 3) & ~3 or len(data)

    def _hold(self, packet: dict[int, bytes]) -> None:
        number: int = struct.unpack_from(">I", packet[_PACKET_HEADER])[0]
        mark = int.from_bytes(packet.get(_MARK, b""), "big") | self._bit
        payload = packet[_PAYLOAD]
        start = (payload[0] & 15) * 4
        port = int.from_bytes(payload[start + 2 : start + 4], "big")
        delay_s = self._latency_s if self._is_ours(port) else 0.0
        asyncio.get_running_loop().call_later(delay_s, self._release, number, mark)

    def _release(self, number: int, mark: int) -> None:
        if self._socket is not None:
            verdict = _attribute(_VERDICT_HEADER, struct.pack(">II", _NF_REPEAT, number))
            self._socket.send(self._message(_VERDICT, verdict + _attribute(_MARK, struct.pack(">I", mark))))


def _attribute(kind: int, value: bytes) -> bytes:
    padding = -len(value) % 4
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), kind) + value + bytes(padding)


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, at)
        if length < _ATTRIBUTE.size:
            return
        yield kind & 0x3FFF, data[at + _ATTRIBUTE.size : at + length]
        at += (length + 3) & ~3


async def _iptables(*args: str) -> None:
    pipe = asyncio.subprocess.PIPE
    command = ("iptables", "-w", "-t", "mangle", *args)
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.DEVNULL, stderr=pipe)
    _stdout, stderr = await process.communicate()
    if process.returncode:
        raise OSError(f"iptables ended with {process.returncode}: {stderr.decode(errors='replace').strip()[-300:]}")
