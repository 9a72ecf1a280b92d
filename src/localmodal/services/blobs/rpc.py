"""Blob RPCs: they only give links; the bytes travel over HTTP."""

from __future__ import annotations

from modal_proto import api_pb2

from localmodal.rpc import Call
from localmodal.services.blobs.backend import BlobsBackend
from localmodal.services.links import Links

LINK = "blob"


class BlobsRpc:
    """Serves ``Blob*``."""

    def __init__(self, backend: BlobsBackend, links: Links) -> None:
        self._backend = backend
        self._links = links

    async def BlobCreate(self, request: api_pb2.BlobCreateRequest, call: Call) -> api_pb2.BlobCreateResponse:
        blob_id = self._backend.create()
        url = self._links.make(LINK, blob_id=blob_id)
        # Older SDKs read the single fields, newer ones the lists.
        reply = api_pb2.BlobCreateResponse(blob_id=blob_id, upload_url=url, blob_ids=[blob_id])
        reply.upload_urls.items.append(url)
        return reply

    async def BlobGet(self, request: api_pb2.BlobGetRequest, call: Call) -> api_pb2.BlobGetResponse:
        self._backend.path(request.blob_id)
        return api_pb2.BlobGetResponse(download_url=self._links.make(LINK, blob_id=request.blob_id))
