"""Secret RPCs. No reply carries a value."""

from __future__ import annotations

from google.protobuf.empty_pb2 import Empty
from modal_proto import api_pb2

from localmodal.rpc import Call
from localmodal.services.names import Creation
from localmodal.services.secrets.backend import Secret, SecretsBackend


class SecretsRpc:
    """Serves ``Secret*``."""

    def __init__(self, backend: SecretsBackend) -> None:
        self._backend = backend

    async def SecretGetOrCreate(
        self, request: api_pb2.SecretGetOrCreateRequest, call: Call
    ) -> api_pb2.SecretGetOrCreateResponse:
        secret = self._backend.get_or_create(
            request.environment_name,
            request.deployment_name,
            Creation(request.object_creation_type),
            dict(request.env_dict),
            list(request.required_keys),
        )
        return api_pb2.SecretGetOrCreateResponse(secret_id=secret.id, metadata=self._metadata(secret))

    async def SecretList(self, request: api_pb2.SecretListRequest, call: Call) -> api_pb2.SecretListResponse:
        limit = request.pagination.max_objects or None
        before = request.pagination.created_before or float("inf")
        secrets = [secret for secret in self._backend.named(request.environment_name) if secret.created_at < before]
        items = [
            api_pb2.SecretListItem(
                label=secret.name,
                created_at=secret.created_at,
                environment_name=secret.environment,
                secret_id=secret.id,
                metadata=self._metadata(secret),
            )
            for secret in secrets[:limit]
        ]
        return api_pb2.SecretListResponse(items=items, environment_name=request.environment_name)

    async def SecretGetInfo(self, request: api_pb2.SecretGetInfoRequest, call: Call) -> api_pb2.SecretGetInfoResponse:
        return api_pb2.SecretGetInfoResponse(metadata=self._metadata(self._backend.get(request.secret_id)))

    async def SecretUpdate(self, request: api_pb2.SecretUpdateRequest, call: Call) -> Empty:
        changes = {update.key: update.value if update.HasField("value") else None for update in request.updates}
        self._backend.update(request.secret_id, changes)
        return Empty()

    async def SecretDelete(self, request: api_pb2.SecretDeleteRequest, call: Call) -> Empty:
        self._backend.delete(request.secret_id)
        return Empty()

    def _metadata(self, secret: Secret) -> api_pb2.SecretMetadata:
        return api_pb2.SecretMetadata(
            name=secret.name,
            creation_info=api_pb2.CreationInfo(created_at=secret.created_at),
            keys=sorted(self._backend.values(secret.id)),
            environment_name=secret.environment,
        )
