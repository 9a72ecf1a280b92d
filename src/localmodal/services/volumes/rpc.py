"""Volume RPCs of both versions."""

from __future__ import annotations

from collections.abc import AsyncIterator

from google.protobuf.empty_pb2 import Empty
from modal_proto import api_pb2

from localmodal.rpc import Call
from localmodal.services.links import Links
from localmodal.services.mounts.backend import MountFile
from localmodal.services.names import Creation
from localmodal.services.volumes.backend import BLOCK_BYTES, Upload, Volume, VolumesBackend
from localmodal.services.volumes.tree import Entry

GET_LINK = "volume-file"
PUT_LINK = "volume-block"
_LIST_BATCH = 1000


class VolumesRpc:
    """Serves ``Volume*``."""

    def __init__(self, backend: VolumesBackend, links: Links) -> None:
        self._backend = backend
        self._links = links

    async def VolumeGetOrCreate(
        self, request: api_pb2.VolumeGetOrCreateRequest, call: Call
    ) -> api_pb2.VolumeGetOrCreateResponse:
        creation = Creation(request.object_creation_type)
        volume = self._backend.get_or_create(
            request.environment_name, request.deployment_name, creation, request.version
        )
        return api_pb2.VolumeGetOrCreateResponse(
            volume_id=volume.id, version=_version(volume), metadata=_metadata(volume)
        )

    async def VolumeGetById(self, request: api_pb2.VolumeGetByIdRequest, call: Call) -> api_pb2.VolumeGetByIdResponse:
        volume = self._backend.get(request.volume_id)
        return api_pb2.VolumeGetByIdResponse(volume_id=volume.id, metadata=_metadata(volume))

    async def VolumeList(self, request: api_pb2.VolumeListRequest, call: Call) -> api_pb2.VolumeListResponse:
        limit = request.pagination.max_objects or None
        before = request.pagination.created_before or float("inf")
        volumes = [volume for volume in self._backend.named(request.environment_name) if volume.created_at < before]
        items = [
            api_pb2.VolumeListItem(
                label=volume.name, volume_id=volume.id, created_at=volume.created_at, metadata=_metadata(volume)
            )
            for volume in volumes[:limit]
        ]
        return api_pb2.VolumeListResponse(items=items, environment_name=request.environment_name)

    async def VolumeDelete(self, request: api_pb2.VolumeDeleteRequest, call: Call) -> Empty:
        await self._backend.delete(request.volume_id)
        return Empty()

    async def VolumeRename(self, request: api_pb2.VolumeRenameRequest, call: Call) -> Empty:
        self._backend.rename(request.volume_id, request.name)
        return Empty()

    async def VolumeHeartbeat(self, request: api_pb2.VolumeHeartbeatRequest, call: Call) -> Empty:
        self._backend.get(request.volume_id)
        return Empty()

    async def VolumeListFiles(
        self, request: api_pb2.VolumeListFilesRequest, call: Call
    ) -> AsyncIterator[api_pb2.VolumeListFilesResponse]:
        entries = await self._entries(request.volume_id, request.path, request.recursive, request.max_entries)
        for start in range(0, len(entries), _LIST_BATCH):
            yield api_pb2.VolumeListFilesResponse(entries=entries[start : start + _LIST_BATCH])

    async def VolumeListFiles2(
        self, request: api_pb2.VolumeListFiles2Request, call: Call
    ) -> AsyncIterator[api_pb2.VolumeListFiles2Response]:
        entries = await self._entries(request.volume_id, request.path, request.recursive, request.max_entries)
        for start in range(0, len(entries), _LIST_BATCH):
            yield api_pb2.VolumeListFiles2Response(entries=entries[start : start + _LIST_BATCH])

    async def _entries(self, volume_id: str, path: str, recursive: bool, limit: int) -> list[api_pb2.FileEntry]:
        # A trailing /** is how SDKs before `recursive` asked for the whole tree.
        deep = recursive or path.endswith("**")
        path = path.removesuffix("**")
        entries = await self._backend.files(volume_id, path, recursive=deep, limit=limit)
        return [_entry(entry) for entry in entries]

    async def VolumeGetFile2(
        self, request: api_pb2.VolumeGetFile2Request, call: Call
    ) -> api_pb2.VolumeGetFile2Response:
        size = await self._backend.size(request.volume_id, request.path)
        start = min(request.start, size)
        length = min(request.len or size - start, size - start)
        urls = []
        at = start
        while at < start + length:
            # Blocks lie at fixed places of the file, so the first and last may be cut.
            stop = min((at // BLOCK_BYTES + 1) * BLOCK_BYTES, start + length)
            what = {"volume": request.volume_id, "path": request.path, "start": at, "stop": stop}
            urls.append(self._links.make(GET_LINK, **what))
            at = stop
        return api_pb2.VolumeGetFile2Response(get_urls=urls, size=size, start=start, len=length)

    async def VolumePutFiles(self, request: api_pb2.VolumePutFilesRequest, call: Call) -> Empty:
        files = [MountFile(file.filename, file.sha256_hex, file.mode & 0o7777) for file in request.files]
        overwrite = not request.disallow_overwrite_existing_files
        await self._backend.put_v1(request.volume_id, files, overwrite=overwrite)
        return Empty()

    async def VolumePutFiles2(
        self, request: api_pb2.VolumePutFiles2Request, call: Call
    ) -> api_pb2.VolumePutFiles2Response:
        uploads = [
            Upload(file.path, file.size, file.mode & 0o7777, tuple(block.contents_sha256 for block in file.blocks))
            for file in request.files
        ]
        overwrite = not request.disallow_overwrite_existing_files
        missing = await self._backend.put_v2(request.volume_id, uploads, overwrite=overwrite)
        blocks = [
            api_pb2.VolumePutFiles2Response.MissingBlock(
                file_index=block.file_index,
                block_index=block.block_index,
                put_url=self._links.make(PUT_LINK, digest=block.digest.hex()),
            )
            for block in missing
        ]
        return api_pb2.VolumePutFiles2Response(missing_blocks=blocks)

    async def VolumeRemoveFile(self, request: api_pb2.VolumeRemoveFileRequest, call: Call) -> Empty:
        await self._backend.remove_file(request.volume_id, request.path, recursive=request.recursive)
        return Empty()

    async def VolumeRemoveFile2(self, request: api_pb2.VolumeRemoveFile2Request, call: Call) -> Empty:
        await self._backend.remove_file(request.volume_id, request.path, recursive=request.recursive)
        return Empty()

    async def VolumeCopyFiles(self, request: api_pb2.VolumeCopyFilesRequest, call: Call) -> Empty:
        sources, target = list(request.src_paths), request.dst_path
        await self._backend.copy_files(request.volume_id, sources, target, recursive=request.recursive)
        return Empty()

    async def VolumeCopyFiles2(self, request: api_pb2.VolumeCopyFiles2Request, call: Call) -> Empty:
        sources, target = list(request.src_paths), request.dst_path
        await self._backend.copy_files(request.volume_id, sources, target, recursive=request.recursive)
        return Empty()

    async def VolumeCommit(self, request: api_pb2.VolumeCommitRequest, call: Call) -> api_pb2.VolumeCommitResponse:
        await self._backend.commit(request.volume_id)
        return api_pb2.VolumeCommitResponse(skip_reload=True)

    async def VolumeReload(self, request: api_pb2.VolumeReloadRequest, call: Call) -> Empty:
        self._backend.get(request.volume_id)
        return Empty()


def _version(volume: Volume) -> api_pb2.VolumeFsVersion.ValueType:
    return api_pb2.VOLUME_FS_VERSION_V2 if volume.version == 2 else api_pb2.VOLUME_FS_VERSION_V1


def _metadata(volume: Volume) -> api_pb2.VolumeMetadata:
    info = api_pb2.CreationInfo(created_at=volume.created_at)
    return api_pb2.VolumeMetadata(version=_version(volume), name=volume.name, creation_info=info)


def _entry(entry: Entry) -> api_pb2.FileEntry:
    kind = api_pb2.FileEntry.FileType.Value(entry.kind.upper())
    path = entry.path.encode(errors="surrogateescape").decode(errors="replace")
    return api_pb2.FileEntry(path=path, type=kind, size=entry.size, mtime=entry.mtime)
