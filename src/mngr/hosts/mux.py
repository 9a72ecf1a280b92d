"""Runs lines over a connection that OpenSSH keeps open, as `ssh` would, without starting it: a program for each of many
hosts costs more than what is asked of them.

The protocol is OpenSSH's own (PROTOCOL.mux in its sources, version 4, since 5.4): messages with their length before
them on the connection's socket, and the ends of pipes that travel beside them.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import struct
import time
from pathlib import Path
from typing import NamedTuple

_VERSION = 4
_HELLO, _NEW_SESSION = 0x00000001, 0x10000002
_EXIT, _OPENED = 0x80000004, 0x80000006
_NO_ESCAPE = 0xFFFFFFFF
_CHUNK = 65_536
_NUMBER = struct.Struct(">I")


class NotShared(Exception):
    """There is no connection, or it takes no session. Nothing was run; `ssh` itself may do better."""


class Lost(Exception):
    """The connection ended before the line did. Whether it was run is not known."""


class Ended(NamedTuple):
    exit_code: int
    stdout: bytes
    stderr: bytes


def run(path: Path, line: str, stdin: bytes, timeout_s: float) -> Ended:
    """Runs a line for the shell of the host whose connection has its socket at `path`.

    Raises `NotShared`, `Lost`, and `TimeoutError` after `timeout_s` seconds; then the line's session is closed.
    """
    deadline = time.monotonic() + timeout_s
    with contextlib.ExitStack() as open_ends, socket.socket(socket.AF_UNIX) as master:
        ours: dict[str, int] = {}

        def pipe(name: str, our_end: int) -> int:
            ends = os.pipe()
            ours[name] = ends[our_end]
            open_ends.callback(_close, ours, name)
            return ends[1 - our_end]

        theirs = [pipe("in", 1), pipe("out", 0), pipe("err", 0)]
        try:
            _ask(master, path, line, theirs, deadline)
        finally:
            for end in theirs:
                os.close(end)
        session = _Session(master, ours, stdin)
        session.go_on(deadline)
        if session.exit_code is None:
            raise Lost
        return Ended(session.exit_code, bytes(session.read["out"]), bytes(session.read["err"]))


def _ask(master: socket.socket, path: Path, line: str, ends: list[int], deadline: float) -> None:
    """Opens a session for the line with our pipes."""
    asked = False
    try:
        master.settimeout(max(0.001, deadline - time.monotonic()))
        master.connect(str(path))
        master.sendall(_message(_HELLO, _VERSION))
        kind, rest = _receive(master)
        if kind != _HELLO or _NUMBER.unpack_from(rest)[0] != _VERSION:
            raise NotShared
        plain = (0, 0, 0, 0, _NO_ESCAPE)  # no terminal, X11, agent or subsystem
        master.sendall(_message(_NEW_SESSION, 0, "", *plain, "", line))
        for end in ends:
            socket.send_fds(master, [b"\0"], [end])
        asked = True
        kind, _rest = _receive(master)
    except TimeoutError:
        raise
    except (OSError, struct.error) as error:
        raise (Lost if asked else NotShared) from error
    if kind != _OPENED:
        raise NotShared


class _Session:
    """One that is open: what goes in, what comes out, and how it ends."""

    def __init__(self, master: socket.socket, ours: dict[str, int], stdin: bytes) -> None:
        self.exit_code: int | None = None
        self.read = {"out": bytearray(), "err": bytearray()}
        self._master, self._ours, self._left = master, ours, memoryview(stdin)
        self._said = bytearray()

    def go_on(self, deadline: float) -> None:
        """Until all ends are closed. Raises `TimeoutError`."""
        with selectors.DefaultSelector() as selector:
            self._master.setblocking(False)
            selector.register(self._master, selectors.EVENT_READ, self._hear)
            for name in self.read:
                selector.register(self._ours[name], selectors.EVENT_READ, name)
            if self._left:
                os.set_blocking(self._ours["in"], False)
                selector.register(self._ours["in"], selectors.EVENT_WRITE, self._write)
            else:
                _close(self._ours, "in")
            while selector.get_map():
                ready = selector.select(max(0.0, deadline - time.monotonic()))
                if not ready and time.monotonic() >= deadline:
                    raise TimeoutError
                for key, _events in ready:
                    goes_on = self._take(key.data) if isinstance(key.data, str) else key.data()
                    if not goes_on:
                        selector.unregister(key.fileobj)
                        if key.data == self._write:
                            _close(self._ours, "in")

    def _take(self, name: str) -> bool:
        data = os.read(self._ours[name], _CHUNK)
        self.read[name] += data
        return bool(data)

    def _write(self) -> bool:
        try:
            self._left = self._left[os.write(self._ours["in"], self._left[:_CHUNK]) :]
        except BrokenPipeError:
            return False
        return bool(self._left)

    def _hear(self) -> bool:
        try:
            data = self._master.recv(_CHUNK)
        except ConnectionError:
            data = b""
        self._said += data
        while len(self._said) >= _NUMBER.size:
            end = _NUMBER.size + _NUMBER.unpack_from(self._said)[0]
            if len(self._said) < end:
                break
            if _NUMBER.unpack_from(self._said, 4)[0] == _EXIT:
                # Between them is the number of the session.
                self.exit_code = _NUMBER.unpack_from(self._said, 12)[0]
            del self._said[:end]
        return bool(data)


def _message(*parts: int | str) -> bytes:
    packed = b"".join(
        _NUMBER.pack(part) if isinstance(part, int) else _NUMBER.pack(len(part.encode())) + part.encode()
        for part in parts
    )
    return _NUMBER.pack(len(packed)) + packed


def _receive(master: socket.socket) -> tuple[int, bytes]:
    """The next message: its kind and the rest. Exactly that is read, so that nothing of what follows is lost."""
    length = _NUMBER.unpack(_exactly(master, _NUMBER.size))[0]
    message = _exactly(master, length)
    return _NUMBER.unpack_from(message)[0], message[_NUMBER.size :]


def _exactly(master: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = master.recv(count - len(data))
        if not more:
            raise ConnectionResetError
        data += more
    return data


def _close(ours: dict[str, int], name: str) -> None:
    """Closes one of our ends. A second call does nothing."""
    if name in ours:
        os.close(ours.pop(name))
