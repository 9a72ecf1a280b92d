"""Mount RPCs."""

from __future__ import annotations

from modal_proto import api_pb2

from localmodal.rpc import Call
from localmodal.services.mounts.backend import MountFile, MountsBackend
from localmodal.services.names import Creation


class MountsRpc:
    """Serves ``Mount*``."""

    def __init__(self, backend: MountsBackend) -> None:
        self._backend = backend

    async def MountBatchedCheckExistence(
        self, request: api_pb2.MountBatchedCheckExistenceRequest, call: Call
    ) -> api_pb2.MountBatchedCheckExistenceResponse:
        missing = self._backend.missing(request.sha256_hex_hashes)
        return api_pb2.MountBatchedCheckExistenceResponse(missing_sha256_hex_hashes=missing)

    async def MountPutFile(self, request: api_pb2.MountPutFileRequest, call: Call) -> api_pb2.MountPutFileResponse:
        if not self._backend.missing([request.sha256_hex]):
            return api_pb2.MountPutFileResponse(exists=True)
        if request.WhichOneof("data_oneof") is None:
            return api_pb2.MountPutFileResponse(exists=False)
        self._backend.put(request.sha256_hex, request.data, request.data_blob_id)
        return api_pb2.MountPutFileResponse(exists=True)

    async def MountGetOrCreate(
        self, request: api_pb2.MountGetOrCreateRequest, call: Call
    ) -> api_pb2.MountGetOrCreateResponse:
        files = [MountFile(file.filename, file.sha256_hex, file.mode & 0o7777) for file in request.files]
        creation = Creation(request.object_creation_type)
        mount_id = self._backend.get_or_create(request.environment_name, request.deployment_name, creation, files)
        return api_pb2.MountGetOrCreateResponse(mount_id=mount_id)
