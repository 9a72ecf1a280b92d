"""Host volumes read off the wire; see `wire` for why, and who is asked when it fails."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass

from google.protobuf.empty_pb2 import Empty
from modal_proto import api_pb2

from mngr.models import HostFile
from mngr.providers.modal.wire import BLOCK_BYTES, Gone, Wire, WireFailed


@dataclass(frozen=True, slots=True)
class Handle:
    """A volume as the calls for its files name it."""

    id: str
    is_v1: bool


async def _named(wire: Wire, name: str) -> Handle:
    """The volume of a name, which is looked up once and is not made. Raises `Gone`."""
    return await wire.once(f"volume {name}", lambda: _find(wire, name))


def _forget(wire: Wire, name: str) -> None:
    """One of the same name may have taken the place of the one that was found."""
    wire.forget(f"volume {name}")


async def _find(wire: Wire, name: str) -> Handle:
    request = api_pb2.VolumeGetOrCreateRequest(deployment_name=name, environment_name=wire.environment)
    reply = await wire.call("VolumeGetOrCreate", request, api_pb2.VolumeGetOrCreateResponse)
    # Unspecified is what it was before there was another.
    return Handle(reply.volume_id, reply.metadata.version != api_pb2.VOLUME_FS_VERSION_V2)


async def files(wire: Wire, name: str, folder: str, *, recursive: bool) -> list[HostFile]:
    """What is in a folder of a volume, nothing when either is not there."""
    try:
        volume = await _named(wire, name)
        listing, request_kind, reply_kind = (
            ("VolumeListFiles", api_pb2.VolumeListFilesRequest, api_pb2.VolumeListFilesResponse)
            if volume.is_v1
            else ("VolumeListFiles2", api_pb2.VolumeListFiles2Request, api_pb2.VolumeListFiles2Response)
        )
        request = request_kind(volume_id=volume.id, path=folder or "/", recursive=recursive)
        return [
            HostFile(
                entry.path.strip("/"),
                entry.type == api_pb2.FileEntry.DIRECTORY,
                entry.size,
                entry.mtime,
                entry.type in (api_pb2.FileEntry.FILE, api_pb2.FileEntry.DIRECTORY),
            )
            async for reply in wire.stream(listing, request, reply_kind)
            for entry in reply.entries
        ]
    except Gone:
        _forget(wire, name)
        return []


async def read(wire: Wire, name: str, path: str, start: int, length: int) -> bytes | None:
    """`length` bytes of a file from `start` on, all with 0; None when there is none.

    The protocol takes a range, and answers with an address for each block of 8 MiB that it touches.
    """
    try:
        volume = await _named(wire, name)
        request = api_pb2.VolumeGetFile2Request(
            volume_id=volume.id, path=path, start=start, len=length, client_pads_blocks=True
        )
        reply = await wire.call("VolumeGetFile2", request, api_pb2.VolumeGetFile2Response)
    except Gone:
        _forget(wire, name)
        return None
    lengths = _lengths(reply.start, reply.len)
    if lengths and len(lengths) != len(reply.get_urls):
        raise WireFailed(f"{path} comes in {len(reply.get_urls)} blocks, not in {len(lengths)}")
    wanted = zip(reply.get_urls, lengths, strict=False)
    return b"".join(await asyncio.gather(*(wire.download(url, expected) for url, expected in wanted)))


async def delete(wire: Wire, name: str) -> None:
    """What is gone already is no error."""
    with contextlib.suppress(Gone):
        volume = await _find(wire, name)
        await wire.call("VolumeDelete", api_pb2.VolumeDeleteRequest(volume_id=volume.id), Empty)
    _forget(wire, name)


def _lengths(start: int, length: int) -> list[int]:
    """How many bytes of a range are in each of the blocks that it touches."""
    end, lengths = start + length, []
    while start < end:
        stop = min(end, (start // BLOCK_BYTES + 1) * BLOCK_BYTES)
        lengths.append(stop - start)
        start = stop
    return lengths
