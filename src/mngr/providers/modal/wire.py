"""The few calls that every command makes, without the SDK, which takes half a second to import: Modal's own protocol,
by the message classes and the gRPC library that the SDK brings.

Nothing depends on it: whatever it can not do or does not understand raises `WireFailed`, and the caller asks the SDK
(see `storage` and `looking`), which also has the words for what is wrong.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import hashlib
import threading
import urllib.parse
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence, Set
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import grpclib
import grpclib.client
import grpclib.config
from google.protobuf.empty_pb2 import Empty
from grpclib.exceptions import StreamTerminatedError
from modal_proto import api_pb2
from modal_version import __version__ as sdk_version  # type: ignore[import-untyped]

from mngr.models import Endpoint
from mngr.providers.modal.access import Access
from mngr.providers.modal.requests import Ending

T = TypeVar("T")
SSH_PORT = 22
_SERVICE = "/modal.client.ModalClient/"
_CALL_S = 30.0
_AT_ONCE = 64
_WINDOW = 1 << 24
_FILE_MODE = 0o644
# The SDK cuts files into blocks of this size; what is longer is left to it.
_BLOCK_BYTES = 8 << 20


class WireFailed(Exception):
    """The SDK has to be asked; why is for nobody but a debugger."""


class NotKnown(WireFailed):
    """The server does not take our word for who we are."""


class Gone(Exception):
    """The server does not have it."""


_KINDS: dict[grpclib.Status, type[Exception]] = {
    grpclib.Status.NOT_FOUND: Gone,
    grpclib.Status.UNAUTHENTICATED: NotKnown,
    grpclib.Status.PERMISSION_DENIED: NotKnown,
}


@dataclass(frozen=True, slots=True)
class Listed:
    """A sandbox that runs, as the list of them has it; `endpoint` None while it has no tunnel to its sshd."""

    id: str
    created_at: float
    endpoint: Endpoint | None


@contextlib.contextmanager
def _failures() -> Iterator[None]:
    try:
        yield
    except grpclib.GRPCError as error:
        raise _KINDS.get(error.status, WireFailed)(str(error)) from error
    except (OSError, TimeoutError, ValueError, LookupError, StreamTerminatedError) as error:
        raise WireFailed(str(error)) from error


class Wire:
    """One connection to one server, used from any thread."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._token = access.auth_token
        self._asking: asyncio.Task[str] | None = None

    def begin(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Starts something; its result, or `Gone` or `WireFailed`, when it is asked for."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    @cached_property
    def _loop(self) -> asyncio.AbstractEventLoop:
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, name="wire", daemon=True)
        thread.start()

        def end() -> None:
            if "_channel" in self.__dict__:
                loop.call_soon_threadsafe(self._channel.close)
            loop.call_soon_threadsafe(loop.stop)
            thread.join(1)

        atexit.register(end)
        return loop

    @cached_property
    def _channel(self) -> grpclib.client.Channel:
        url = urllib.parse.urlparse(self._access.server_url)
        tls = url.scheme == "https"
        windows = grpclib.config.Configuration(http2_connection_window_size=_WINDOW, http2_stream_window_size=_WINDOW)
        return grpclib.client.Channel(url.hostname, url.port or (443 if tls else 80), ssl=tls or None, config=windows)

    @cached_property
    def _readers(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(_AT_ONCE)

    async def _headers(self, *, token: bool) -> list[tuple[str, str]]:
        access = self._access
        headers = [
            ("x-modal-client-version", sdk_version),
            ("x-modal-client-type", str(api_pb2.CLIENT_TYPE_CLIENT)),
            ("x-modal-token-id", access.token_id),
            ("x-modal-token-secret", access.token_secret),
            ("x-modal-host", urllib.parse.urlparse(access.server_url).hostname or ""),
            ("x-idempotency-key", str(uuid.uuid4())),
            ("x-retry-attempt", "0"),
        ]
        return [*headers, ("x-modal-auth-token", await self._auth_token())] if token else headers

    async def _auth_token(self) -> str:
        """Those who need it at the same time wait for one call."""
        if not self._token:
            if self._asking is None:
                self._asking = asyncio.create_task(self._ask_token())
            self._token = await self._asking
        return self._token

    async def _ask_token(self) -> str:
        reply = await self._call("AuthTokenGet", api_pb2.AuthTokenGetRequest(), api_pb2.AuthTokenGetResponse)
        self._access.keep_token(reply.token)
        return str(reply.token)

    async def _call(self, name: str, request: Any, kind: Any, *, token: bool = False) -> Any:
        method = grpclib.client.UnaryUnaryMethod(self._channel, _SERVICE + name, type(request), kind)
        headers = await self._headers(token=token)
        try:
            with _failures():
                return await method(request, timeout=_CALL_S, metadata=headers)
        except NotKnown:
            if token:
                self._access.keep_token("")
            raise

    async def _stream(self, name: str, request: Any, kind: Any) -> AsyncIterator[Any]:
        method = grpclib.client.UnaryStreamMethod(self._channel, _SERVICE + name, type(request), kind)
        with _failures():
            async with method.open(timeout=_CALL_S, metadata=await self._headers(token=False)) as stream:
                await stream.send_message(request, end=True)
                async for reply in stream:
                    yield reply

    async def list_files(self, folder: str) -> list[str]:
        """The paths of all files below a folder of the state volume, none when only the folder is not there."""
        try:
            return await self._listed(folder, recursive=True)
        except Gone:
            await self._listed("/", recursive=False)
            return []

    async def _listed(self, folder: str, *, recursive: bool) -> list[str]:
        request = api_pb2.VolumeListFiles2Request(volume_id=self._access.volume_id, path=folder, recursive=recursive)
        return [
            entry.path
            async for reply in self._stream("VolumeListFiles2", request, api_pb2.VolumeListFiles2Response)
            for entry in reply.entries
            if entry.type == api_pb2.FileEntry.FILE
        ]

    async def read_file(self, path: str) -> bytes:
        """A small file of the state volume."""
        request = api_pb2.VolumeGetFile2Request(volume_id=self._access.volume_id, path=path, client_pads_blocks=True)
        reply = await self._call("VolumeGetFile2", request, api_pb2.VolumeGetFile2Response)
        if len(reply.get_urls) != 1:
            raise WireFailed(f"{path} has {len(reply.get_urls)} blocks")
        data = await self._transfer("GET", reply.get_urls[0], None)
        return data.ljust(reply.len, b"\0")

    async def stage(self, path: str, data: bytes) -> Callable[[], Coroutine[Any, Any, None]]:
        """Brings a file's content to the server, where nobody sees it before the result is called and awaited."""
        if not 0 < len(data) <= _BLOCK_BYTES:
            raise WireFailed(f"{path} has {len(data)} bytes")
        block = api_pb2.VolumePutFiles2Request.Block(contents_sha256=hashlib.sha256(data).digest())
        file = api_pb2.VolumePutFiles2Request.File(path=path, mode=_FILE_MODE, size=len(data), blocks=[block])
        request = api_pb2.VolumePutFiles2Request(volume_id=self._access.volume_id, files=[file])
        reply = await self._call("VolumePutFiles2", request, api_pb2.VolumePutFiles2Response)
        if reply.missing_blocks:
            file.blocks[0].put_response = await self._transfer("PUT", reply.missing_blocks[0].put_url, data)
        again = api_pb2.VolumePutFiles2Request(volume_id=self._access.volume_id, files=[file])

        async def commit() -> None:
            # A block that was there already has put the file in its place.
            if reply.missing_blocks:
                done = await self._call("VolumePutFiles2", again, api_pb2.VolumePutFiles2Response)
                if done.missing_blocks:
                    raise WireFailed(f"{path} was not taken")

        return commit

    async def remove(self, path: str, *, recursive: bool) -> None:
        """What is gone already is no error."""
        request = api_pb2.VolumeRemoveFile2Request(volume_id=self._access.volume_id, path=path, recursive=recursive)
        with contextlib.suppress(Gone):
            await self._call("VolumeRemoveFile2", request, Empty)

    async def sandboxes(self, before: float = 0.0) -> list[Listed]:
        """One page of the app's running sandboxes, the newest first; an empty one is behind the last."""
        request = api_pb2.SandboxListRequest(app_id=self._access.app_id, before_timestamp=before)
        reply = await self._call("SandboxListV2", request, api_pb2.SandboxListResponse, token=True)
        return [Listed(one.id, one.created_at, _ssh(one.tunnels)) for one in reply.sandboxes]

    async def running(self, wanted: Set[str] | None = None) -> dict[str, Listed]:
        """The running sandboxes of the app by id; no page is read when all that are `wanted` were found."""
        found: dict[str, Listed] = {}
        before = 0.0
        while page := await self.sandboxes(before):
            found |= {one.id: one for one in page}
            before = page[-1].created_at
            if wanted is not None and wanted <= found.keys():
                break
        return found

    async def ending(self, sandbox_id: str) -> Ending | None:
        """How a sandbox ended, None while it runs. Raises `Gone`."""
        request = api_pb2.SandboxWaitRequest(sandbox_id=sandbox_id, timeout=0)
        reply = await self._call("SandboxWaitV2", request, api_pb2.SandboxWaitResponse, token=True)
        result = reply.result
        if not result.status:
            return None
        status = type(result).GenericStatus.Name(result.status).removeprefix("GENERIC_STATUS_").lower()
        return Ending(returncode(status, result.exitcode), status, result.exception)

    async def tunnel(self, sandbox_id: str) -> Endpoint | None:
        """Where the sshd of a running sandbox answers."""
        request = api_pb2.SandboxGetTunnelsRequest(sandbox_id=sandbox_id, timeout=1)
        reply = await self._call("SandboxGetTunnelsV2", request, api_pb2.SandboxGetTunnelsResponse, token=True)
        return _ssh(reply.tunnels)

    async def _transfer(self, method: str, url: str, data: bytes | None) -> bytes:
        with _failures():
            return await asyncio.get_running_loop().run_in_executor(self._readers, _http, method, url, data)


def returncode(status: str, code: int) -> int:
    """As the SDK makes it of a result (`modal.sandbox._common._result_returncode`, 1.6)."""
    return {"timeout": 124, "terminated": 137}.get(status, code)


def _ssh(tunnels: Sequence[api_pb2.TunnelData]) -> Endpoint | None:
    for one in tunnels:
        if one.container_port == SSH_PORT and one.unencrypted_host:
            return Endpoint(one.unencrypted_host, one.unencrypted_port)
    return None


_connections = threading.local()
"""Of each thread, the connections to servers of files that are open."""


def _http(method: str, url: str, data: bytes | None) -> bytes:
    """One request, over a connection that the thread has from before where the server kept it open."""
    import http.client

    parts = urllib.parse.urlsplit(url)
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    headers = {"Content-Type": "application/octet-stream"} if data else {}
    kept: dict[str, http.client.HTTPConnection] = _connections.__dict__
    old = kept.pop(parts.netloc, None)
    try:
        for connection in (old, _connection(parts)) if old else (_connection(parts),):
            try:
                connection.request(method, path, data, headers)
                reply = connection.getresponse()
                body = reply.read()
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
                connection.close()
                if connection is not old:
                    raise
                continue
            kept[parts.netloc] = connection
            break
    except http.client.HTTPException as error:
        raise OSError(f"{error}") from error
    if reply.status >= 300:
        raise OSError(f"{method} answered {reply.status}")
    return body


def _connection(parts: urllib.parse.SplitResult) -> Any:
    import http.client

    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    return kind(parts.hostname or "", parts.port, timeout=_CALL_S)
