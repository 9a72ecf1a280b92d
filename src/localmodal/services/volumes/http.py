"""Where the contents of volumes arrive and leave."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from localmodal.errors import LocalModalError
from localmodal.services.links import Links
from localmodal.services.volumes.backend import VolumesBackend
from localmodal.services.volumes.rpc import GET_LINK, PUT_LINK

_CHUNK_BYTES = 1 << 18


def routes(backend: VolumesBackend, links: Links) -> list[web.RouteDef]:
    """GET gives a part of a file, PUT takes a block."""

    def read(request: web.Request, kind: str) -> dict[str, Any]:
        try:
            return links.read(kind, request.match_info["token"])
        except LocalModalError as error:
            raise web.HTTPNotFound(text=str(error)) from error

    async def get(request: web.Request) -> web.StreamResponse:
        what = read(request, GET_LINK)
        try:
            file = backend.file(what["volume"], what["path"]).open("rb")
        except LocalModalError as error:
            raise web.HTTPNotFound(text=str(error)) from error
        with file:
            length = what["stop"] - what["start"]
            response = web.StreamResponse(headers={"Content-Length": str(length)})
            await response.prepare(request)
            file.seek(what["start"])
            while length > 0:
                # Zeros stand in for what a program cut off since the link was made.
                chunk = file.read(min(length, _CHUNK_BYTES)) or bytes(min(length, _CHUNK_BYTES))
                await response.write(chunk)
                length -= len(chunk)
        await response.write_eof()
        return response

    async def put(request: web.Request) -> web.Response:
        digest = bytes.fromhex(read(request, PUT_LINK)["digest"])
        try:
            await backend.receive_block(digest, request.content.iter_chunked(_CHUNK_BYTES))
        except LocalModalError as error:
            raise web.HTTPBadRequest(text=str(error)) from error
        return web.Response(body=digest)

    return [web.get(f"/{GET_LINK}/{{token}}", get), web.put(f"/{PUT_LINK}/{{token}}", put)]
