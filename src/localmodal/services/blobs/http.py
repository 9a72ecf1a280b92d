"""Where the bytes of blobs arrive and leave."""

from __future__ import annotations

from aiohttp import web

from localmodal.errors import NotFound
from localmodal.services.blobs.backend import BlobsBackend
from localmodal.services.blobs.rpc import LINK
from localmodal.services.links import Links

_CHUNK_BYTES = 1 << 18


def routes(backend: BlobsBackend, links: Links) -> list[web.RouteDef]:
    """PUT stores, GET gives back; the answer to PUT has the MD5 as its ETag, as object stores do."""

    def blob_id(request: web.Request) -> str:
        try:
            return str(links.read(LINK, request.match_info["token"])["blob_id"])
        except NotFound as error:
            raise web.HTTPNotFound(text=str(error)) from error

    async def put(request: web.Request) -> web.Response:
        md5 = await backend.receive(blob_id(request), request.content.iter_chunked(_CHUNK_BYTES))
        return web.Response(headers={"ETag": f'"{md5}"'})

    async def get(request: web.Request) -> web.FileResponse:
        try:
            return web.FileResponse(backend.path(blob_id(request)))
        except NotFound as error:
            raise web.HTTPNotFound(text=str(error)) from error

    return [web.put(f"/{LINK}/{{token}}", put), web.get(f"/{LINK}/{{token}}", get)]
