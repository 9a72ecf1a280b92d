"""Blocks of volumes' files, which travel over HTTP apart from the protocol."""

from __future__ import annotations

import threading
import urllib.parse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import http.client

_QUIET_S = 30.0
_connections = threading.local()
"""Of each thread, the connections to servers of files that are open."""


def transfer(method: str, url: str, data: bytes | None) -> bytes:
    """One request, over a connection that the thread has from before where the server kept it open.

    Raises `OSError`, and for any answer that is no success.
    """
    import http.client

    parts = urllib.parse.urlsplit(url)
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    headers = {"Content-Type": "application/octet-stream"} if data else {}
    kept: dict[str, http.client.HTTPConnection] = _connections.__dict__
    old = kept.pop(parts.netloc, None)
    try:
        for connection in (old, _connection(parts)) if old else (_connection(parts),):
            try:
                connection.request(method, path, data, headers)
                reply = connection.getresponse()
                body = reply.read()
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
                connection.close()
                if connection is not old:
                    raise
                continue
            kept[parts.netloc] = connection
            break
    except http.client.HTTPException as error:
        raise OSError(f"{error}") from error
    if reply.status >= 300:
        raise OSError(f"{method} answered {reply.status}")
    return body


def _connection(parts: urllib.parse.SplitResult) -> http.client.HTTPConnection:
    import http.client

    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    return kind(parts.hostname or "", parts.port, timeout=_QUIET_S)
