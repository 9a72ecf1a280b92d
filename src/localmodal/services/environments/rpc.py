"""Environment RPCs."""

from __future__ import annotations

from google.protobuf.empty_pb2 import Empty
from modal_proto import api_pb2

from localmodal.errors import NotFound
from localmodal.rpc import Call
from localmodal.services.environments.backend import DEFAULT, EnvironmentsBackend
from localmodal.services.names import Creation


class EnvironmentsRpc:
    """Serves ``Environment*``."""

    def __init__(self, backend: EnvironmentsBackend) -> None:
        self._backend = backend

    async def EnvironmentGetOrCreate(
        self, request: api_pb2.EnvironmentGetOrCreateRequest, call: Call
    ) -> api_pb2.EnvironmentGetOrCreateResponse:
        name = request.deployment_name or DEFAULT
        try:
            environment = self._backend.get(name)
        except NotFound:
            if Creation(request.object_creation_type) is Creation.LOOK_UP:
                raise
            environment = self._backend.create(name)
        metadata = api_pb2.EnvironmentMetadata(
            name=environment.name, settings=api_pb2.EnvironmentSettings(image_builder_version="2025.06")
        )
        return api_pb2.EnvironmentGetOrCreateResponse(environment_id=environment.id, metadata=metadata)

    async def EnvironmentList(self, request: Empty, call: Call) -> api_pb2.EnvironmentListResponse:
        items = [
            api_pb2.EnvironmentListItem(
                name=environment.name,
                environment_id=environment.id,
                created_at=environment.created_at,
                default=environment.name == DEFAULT,
            )
            for environment in self._backend.all()
        ]
        return api_pb2.EnvironmentListResponse(items=items)

    async def EnvironmentCreate(self, request: api_pb2.EnvironmentCreateRequest, call: Call) -> Empty:
        self._backend.create(request.name)
        return Empty()

    async def EnvironmentDelete(self, request: api_pb2.EnvironmentDeleteRequest, call: Call) -> Empty:
        self._backend.delete(request.name)
        return Empty()
