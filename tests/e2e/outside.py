"""Answers by TCP, UDP and DNS on each address that is given, until it is ended. Run in a network namespace."""

from __future__ import annotations

import socket
import sys
import threading

PORT = 7007
DNS_PORT = 53
_NO_SUCH_NAME = b"\x81\x83"


def _bound(address: str, kind: socket.SocketKind, port: int) -> socket.socket:
    """Bound to one address: a reply from the wildcard address would come from the interface's first one."""
    made = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind((address, port))
    return made


def _accept(listener: socket.socket) -> None:
    while True:
        connection, _address = listener.accept()
        connection.sendall(b"tcp")
        connection.close()


def _echo(sock: socket.socket) -> None:
    while True:
        _data, address = sock.recvfrom(100)
        sock.sendto(b"udp", address)


def _names(sock: socket.socket) -> None:
    """Says of each name that it is not there: any answer proves that the question came through."""
    while True:
        query, address = sock.recvfrom(512)
        sock.sendto(query[:2] + _NO_SUCH_NAME + query[4:], address)


def main() -> None:
    for address in sys.argv[1:]:
        listener = _bound(address, socket.SOCK_STREAM, PORT)
        listener.listen()
        for target, sock in (
            (_accept, listener),
            (_echo, _bound(address, socket.SOCK_DGRAM, PORT)),
            (_names, _bound(address, socket.SOCK_DGRAM, DNS_PORT)),
        ):
            threading.Thread(target=target, args=(sock,)).start()
    print("ready", flush=True)


if __name__ == "__main__":
    main()
