"""What becomes of a line when the other end of ssh's socket is not as it should be."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from mngr.hosts import mux

_HELLO = struct.pack(">III", 8, 1, 4)
_REFUSED = struct.pack(">III", 8, 0x80000003, 0)


def _other_end(path: Path, talk: Callable[[socket.socket], None]) -> threading.Thread:
    """Takes one connection, says hello to it and hears what it asks."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()

    def serve() -> None:
        with listener, listener.accept()[0] as taken:
            talk(taken)

    thread = threading.Thread(target=serve)
    thread.start()
    return thread


def _hear(taken: socket.socket) -> None:
    for _hello_and_request in range(2):
        length = struct.unpack(">I", taken.recv(4, socket.MSG_WAITALL))[0]
        taken.recv(length, socket.MSG_WAITALL)
    for _end in range(3):
        socket.recv_fds(taken, 1, 1)


def _refuses(taken: socket.socket) -> None:
    taken.sendall(_HELLO)
    _hear(taken)
    taken.sendall(_REFUSED)


def _ends(taken: socket.socket) -> None:
    taken.sendall(_HELLO)
    _hear(taken)


def _other_version(taken: socket.socket) -> None:
    taken.sendall(struct.pack(">III", 8, 1, 5))


def _says_nothing(taken: socket.socket) -> None:
    taken.recv(4096)


@pytest.mark.parametrize(
    ("talk", "error"),
    [
        (_other_version, mux.NotShared),
        (_says_nothing, mux.NotShared),
        (_refuses, mux.NotShared),
        # It may have been run: whoever asked must not simply ask again.
        (_ends, mux.Lost),
    ],
)
def test_whether_a_line_may_have_been_run(
    talk: Callable[[socket.socket], None], error: type[Exception], tmp_path: Path
) -> None:
    thread = _other_end(tmp_path / "socket", talk)
    with pytest.raises(error):
        mux.run(tmp_path / "socket", "true", b"", 30)
    thread.join()


def test_no_connection_is_open(tmp_path: Path) -> None:
    with pytest.raises(mux.NotShared):
        mux.run(tmp_path / "socket", "true", b"", 30)
