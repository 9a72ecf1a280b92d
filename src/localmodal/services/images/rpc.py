"""Image RPCs."""

from __future__ import annotations

from collections.abc import AsyncIterator

from google.protobuf.empty_pb2 import Empty
from modal_proto import api_pb2

from localmodal.errors import Unimplemented
from localmodal.rpc import Call
from localmodal.services.environments.backend import EnvironmentsBackend
from localmodal.services.images.backend import Definition, ImagesBackend
from localmodal.services.images.table import Image

_JOIN_S = 55.0


class ImagesRpc:
    """Serves ``Image*``."""

    def __init__(self, backend: ImagesBackend, environments: EnvironmentsBackend) -> None:
        self._backend = backend
        self._environments = environments

    async def ImageGetOrCreate(
        self, request: api_pb2.ImageGetOrCreateRequest, call: Call
    ) -> api_pb2.ImageGetOrCreateResponse:
        definition = _definition(request)
        force = request.force_build or request.ignore_cache
        image_id, built = self._backend.get_or_build(definition, force=force)
        reply = api_pb2.ImageGetOrCreateResponse(image_id=image_id)
        if built:
            reply.result.status = api_pb2.GenericResult.GENERIC_STATUS_SUCCESS
            reply.metadata.CopyFrom(_metadata(self._backend.get(image_id)))
        return reply

    async def ImageJoinStreaming(
        self, request: api_pb2.ImageJoinStreamingRequest, call: Call
    ) -> AsyncIterator[api_pb2.ImageJoinStreamingResponse]:
        start = int(request.last_entry_id or 0)
        self._backend.result(request.image_id)
        async for number, text in self._backend.join(request.image_id, start, request.timeout or _JOIN_S):
            log = api_pb2.TaskLogs(data=text, file_descriptor=api_pb2.FILE_DESCRIPTOR_STDOUT)
            yield api_pb2.ImageJoinStreamingResponse(task_logs=[log], entry_id=str(number))
        failure = self._backend.result(request.image_id)
        if failure is None:
            return
        reply = api_pb2.ImageJoinStreamingResponse(eof=True)
        if failure:
            reply.result.status = api_pb2.GenericResult.GENERIC_STATUS_FAILURE
            reply.result.exception = failure
        else:
            reply.result.status = api_pb2.GenericResult.GENERIC_STATUS_SUCCESS
            reply.metadata.CopyFrom(_metadata(self._backend.get(request.image_id)))
        yield reply

    async def ImageFromId(self, request: api_pb2.ImageFromIdRequest, call: Call) -> api_pb2.ImageFromIdResponse:
        image = self._backend.get(request.image_id)
        return api_pb2.ImageFromIdResponse(image_id=image.id, metadata=_metadata(image))

    async def ImageDelete(self, request: api_pb2.ImageDeleteRequest, call: Call) -> Empty:
        await self._backend.delete(request.image_id)
        return Empty()

    async def ImagePublish(self, request: api_pb2.ImagePublishRequest, call: Call) -> api_pb2.ImagePublishResponse:
        environment = self._environments.resolve(request.environment_name)
        self._backend.publish(request.image_id, environment, request.tag)
        return api_pb2.ImagePublishResponse(image_id=request.image_id)

    async def ImageGetByTag(self, request: api_pb2.ImageGetByTagRequest, call: Call) -> api_pb2.ImageGetByTagResponse:
        environment = self._environments.resolve(request.environment_name)
        return api_pb2.ImageGetByTagResponse(image_id=self._backend.by_tag(environment, request.tag))


def _definition(request: api_pb2.ImageGetOrCreateRequest) -> Definition:
    image = request.image
    if image.HasField("build_function"):
        raise Unimplemented("localmodal does not serve Image.run_function")
    if image.volume_mounts:
        raise Unimplemented("localmodal does not serve volumes in image builds")
    return Definition(
        commands=tuple(image.dockerfile_commands),
        bases={base.docker_tag: base.image_id for base in image.base_images},
        context_mount_id=image.context_mount_id,
        files={file.filename: file.data for file in image.context_files},
        build_args=dict(image.build_args),
        secret_ids=tuple(image.secret_ids),
    )


def _metadata(image: Image) -> api_pb2.ImageMetadata:
    return api_pb2.ImageMetadata(workdir=image.workdir, image_builder_version="2025.06")
