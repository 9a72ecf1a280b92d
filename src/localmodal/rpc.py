"""Joins the services to the protocol: every RPC of it has a handler, and what nobody serves is refused by name.

A service is any object with methods named like RPCs:

- unary reply: ``async def AppList(self, request, call) -> AppListResponse``
- streamed reply: ``async def ImageJoinStreaming(self, request, call)``, an async generator
- streamed request: the first argument is an async iterator of messages
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

import grpclib
import grpclib.const
import grpclib.server
from grpclib.const import Cardinality, Status

from localmodal.errors import LocalModalError

log = logging.getLogger("localmodal.rpc")


@dataclass(frozen=True, slots=True)
class Call:
    """What a service is told of a call besides its message."""

    rpc: str
    metadata: dict[str, str]

    @property
    def idempotency_key(self) -> str:
        """The key that all tries of one call share; empty where the client sent none."""
        return self.metadata.get("x-idempotency-key", "")


Gate = Callable[[Call], Awaitable[None]]


class Router:
    """What grpclib serves: one protocol (a generated base class) and the services that answer it."""

    def __init__(self, protocol: type[Any], services: Iterable[object], gate: Gate) -> None:
        """`gate` runs before each call and may refuse it by raising a `LocalModalError`."""
        self._mapping: dict[str, grpclib.const.Handler] = {}
        services = list(services)
        for path, handler in _protocol_handlers(protocol).items():
            name = path.rsplit("/", 1)[1]
            owners = [service for service in services if hasattr(service, name)]
            if len(owners) > 1:
                raise TypeError(f"{name} is served by {len(owners)} services")
            method = getattr(owners[0], name) if owners else None
            func = _adapter(name, method, handler.cardinality, gate)
            self._mapping[path] = grpclib.const.Handler(
                func, handler.cardinality, handler.request_type, handler.reply_type
            )

    def __mapping__(self) -> dict[str, grpclib.const.Handler]:
        return self._mapping


def _protocol_handlers(protocol: type[Any]) -> dict[str, grpclib.const.Handler]:
    """The generated table of all RPCs, without an implementation of them."""
    concrete = type("Protocol", (protocol,), dict.fromkeys(protocol.__abstractmethods__))
    mapping: dict[str, grpclib.const.Handler] = concrete().__mapping__()
    return mapping


def _adapter(name: str, method: Any, cardinality: Cardinality, gate: Gate) -> Callable[[Any], Awaitable[None]]:
    streams_reply = cardinality in (Cardinality.UNARY_STREAM, Cardinality.STREAM_STREAM)
    streams_request = cardinality in (Cardinality.STREAM_UNARY, Cardinality.STREAM_STREAM)

    async def serve(stream: grpclib.server.Stream[Any, Any]) -> None:
        call = Call(name, _plain_metadata(stream.metadata))
        try:
            await gate(call)
            if method is None:
                raise grpclib.GRPCError(Status.UNIMPLEMENTED, f"localmodal does not serve {name}")
            request: Any = _messages(stream) if streams_request else await stream.recv_message()
            if streams_reply:
                async for message in method(request, call):
                    await stream.send_message(message)
            else:
                await stream.send_message(await method(request, call))
        except LocalModalError as error:
            log.info("%s: %s: %s", name, error.status, error)
            raise grpclib.GRPCError(Status[error.status], str(error)) from error
        except (grpclib.GRPCError, grpclib.exceptions.StreamTerminatedError, ConnectionError):
            raise
        except Exception as error:
            log.exception("%s failed", name)
            raise grpclib.GRPCError(Status.INTERNAL, f"localmodal: {name}: {error!r}") from error

    return serve


def _plain_metadata(metadata: Any) -> dict[str, str]:
    return {key: value for key, value in metadata.items() if isinstance(value, str)}


async def _messages(stream: grpclib.server.Stream[Any, Any]) -> AsyncIterator[Any]:
    while True:
        message = await stream.recv_message()
        if message is None:
            return
        yield message
