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
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from typing import Any, TypeVar

import grpclib
import grpclib.client
import grpclib.config
from google.protobuf.empty_pb2 import Empty
from grpclib.exceptions import StreamTerminatedError
from modal_proto import api_pb2
from modal_version import __version__ as sdk_version  # type: ignore[import-untyped]

from mngr.providers.modal import blocks
from mngr.providers.modal.access import Access

T = TypeVar("T")
BLOCK_BYTES = 8 << 20
"""Files of volumes are cut into blocks of this size."""
_SERVICE = "/modal.client.ModalClient/"
_CALL_S = 30.0
_AT_ONCE = 64
_END_S = 1.0
_WINDOW = 1 << 24
_FILE_MODE = 0o644


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
        self._known: dict[str, asyncio.Task[Any]] = {}

    @property
    def environment(self) -> str:
        """The environment that names are looked up in, empty for the account's own."""
        return self._access.account.environment

    @property
    def app_id(self) -> str:
        """The app whose sandboxes are ours."""
        return self._access.app_id

    def begin(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Starts something; its result, or `Gone` or `WireFailed`, when it is asked for."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    @cached_property
    def _loop(self) -> asyncio.AbstractEventLoop:
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, name="wire", daemon=True)
        thread.start()

        def end() -> None:
            asyncio.run_coroutine_threadsafe(self._end(), loop).result()
            loop.call_soon_threadsafe(loop.stop)
            thread.join()

        atexit.register(end)
        return loop

    async def _end(self) -> None:
        """Gives up what was begun and nobody wants any more."""
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left, timeout=_END_S)
        if "_channel" in self.__dict__:
            self._channel.close()

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
        reply = await self.call("AuthTokenGet", api_pb2.AuthTokenGetRequest(), api_pb2.AuthTokenGetResponse)
        self._access.keep_token(reply.token)
        return str(reply.token)

    async def call(self, name: str, request: Any, kind: Any, *, token: bool = False) -> Any:
        method = grpclib.client.UnaryUnaryMethod(self._channel, _SERVICE + name, type(request), kind)
        headers = await self._headers(token=token)
        try:
            with _failures():
                return await method(request, timeout=_CALL_S, metadata=headers)
        except NotKnown:
            if token:
                self._access.keep_token("")
            raise

    async def stream(self, name: str, request: Any, kind: Any) -> AsyncIterator[Any]:
        method = grpclib.client.UnaryStreamMethod(self._channel, _SERVICE + name, type(request), kind)
        with _failures():
            async with method.open(timeout=_CALL_S, metadata=await self._headers(token=False)) as stream:
                await stream.send_message(request, end=True)
                async for reply in stream:
                    yield reply

    async def once(self, key: str, ask: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """What `ask` gives, which is called the first time only; those who need it at the same time wait for one."""
        if key not in self._known:
            self._known[key] = asyncio.create_task(ask())
        try:
            found: T = await self._known[key]
        except BaseException:
            self.forget(key)
            raise
        return found

    def forget(self, key: str) -> None:
        """Has `once` ask anew. A second call does nothing."""
        self._known.pop(key, None)

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
            async for reply in self.stream("VolumeListFiles2", request, api_pb2.VolumeListFiles2Response)
            for entry in reply.entries
            if entry.type == api_pb2.FileEntry.FILE
        ]

    async def read_file(self, path: str) -> bytes:
        """A small file of the state volume."""
        request = api_pb2.VolumeGetFile2Request(volume_id=self._access.volume_id, path=path, client_pads_blocks=True)
        reply = await self.call("VolumeGetFile2", request, api_pb2.VolumeGetFile2Response)
        if len(reply.get_urls) != 1:
            raise WireFailed(f"{path} has {len(reply.get_urls)} blocks")
        return await self.download(reply.get_urls[0], reply.len)

    async def stage(self, path: str, data: bytes) -> Callable[[], Coroutine[Any, Any, None]]:
        """Brings a file's content to the server, where nobody sees it before the result is called and awaited."""
        if not 0 < len(data) <= BLOCK_BYTES:
            raise WireFailed(f"{path} has {len(data)} bytes")
        block = api_pb2.VolumePutFiles2Request.Block(contents_sha256=hashlib.sha256(data).digest())
        file = api_pb2.VolumePutFiles2Request.File(path=path, mode=_FILE_MODE, size=len(data), blocks=[block])
        request = api_pb2.VolumePutFiles2Request(volume_id=self._access.volume_id, files=[file])
        reply = await self.call("VolumePutFiles2", request, api_pb2.VolumePutFiles2Response)
        if reply.missing_blocks:
            file.blocks[0].put_response = await self._transfer("PUT", reply.missing_blocks[0].put_url, data)
        again = api_pb2.VolumePutFiles2Request(volume_id=self._access.volume_id, files=[file])

        async def commit() -> None:
            # A block that was there already has put the file in its place.
            if reply.missing_blocks:
                done = await self.call("VolumePutFiles2", again, api_pb2.VolumePutFiles2Response)
                if done.missing_blocks:
                    raise WireFailed(f"{path} was not taken")

        return commit

    async def remove(self, path: str, *, recursive: bool) -> None:
        """What is gone already is no error."""
        request = api_pb2.VolumeRemoveFile2Request(volume_id=self._access.volume_id, path=path, recursive=recursive)
        with contextlib.suppress(Gone):
            await self.call("VolumeRemoveFile2", request, Empty)

    async def download(self, url: str, length: int) -> bytes:
        """A block of a file. Zeros at its end may be left out by the server."""
        data = await self._transfer("GET", url, None)
        if len(data) > length:
            raise WireFailed(f"a block of {len(data)} bytes where {length} were asked for")
        return data.ljust(length, b"\0")

    async def _transfer(self, method: str, url: str, data: bytes | None) -> bytes:
        with _failures():
            return await asyncio.get_running_loop().run_in_executor(self._readers, blocks.transfer, method, url, data)
