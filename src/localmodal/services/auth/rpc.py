"""Greets clients and hands out tokens; the gates of both protocols."""

from __future__ import annotations

from google.protobuf.empty_pb2 import Empty
from modal_proto import api_pb2

from localmodal.rpc import Call
from localmodal.services.auth.backend import AuthBackend

ROUTER = "command-router"
_CONTROL_PLANE = "control-plane"


class AuthRpc:
    """Serves ``ClientHello`` and ``AuthTokenGet``."""

    def __init__(self, backend: AuthBackend) -> None:
        self._backend = backend

    async def gate(self, call: Call) -> None:
        """Refuses a call of the control plane without the home's token."""
        metadata = call.metadata
        self._backend.check(metadata.get("x-modal-token-id", ""), metadata.get("x-modal-token-secret", ""))

    async def router_gate(self, call: Call) -> None:
        """Refuses a call of the command router without a token from here."""
        self._backend.verify(call.metadata.get("authorization", "").removeprefix("Bearer "), ROUTER)

    async def ClientHello(self, request: Empty, call: Call) -> api_pb2.ClientHelloResponse:
        return api_pb2.ClientHelloResponse(image_builder_version="2025.06")

    async def AuthTokenGet(self, request: api_pb2.AuthTokenGetRequest, call: Call) -> api_pb2.AuthTokenGetResponse:
        return api_pb2.AuthTokenGetResponse(token=self._backend.sign(_CONTROL_PLANE))
