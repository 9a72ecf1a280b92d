"""What mngr asks of Modal's volumes: the state volume with the records, and those of hosts."""

from __future__ import annotations

import contextlib
import io
import random
import time
from collections.abc import Callable
from functools import cached_property
from typing import Any, TypeVar

import modal
import modal.exception
from modal._utils.async_utils import retry, synchronize_api
from modal._utils.http_utils import ClientSessionRegistry
from modal.types import FileEntryType
from modal.volume import _expected_block_lengths, _read_block_body
from modal_proto import api_pb2

from mngr.config import ModalSettings
from mngr.errors import ProviderNotFound
from mngr.models import HostFile
from mngr.providers.modal.sdk_errors import translated

_PATIENCE_S = 90.0
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 8.0
T = TypeVar("T")


def _patiently(call: Callable[[], T]) -> T:
    """Calls, and calls again after a while when Modal says that the workspace makes too many calls for volumes.

    Modal documents that limit ("VolumeListFiles … RESOURCE_EXHAUSTED") and asks for backoff. The pauses double up to
    8 s; after 90 s in all the error is passed on. `call` must be one that may be made twice.
    """
    deadline = time.monotonic() + _PATIENCE_S
    pause_s = _FIRST_PAUSE_S
    while True:
        try:
            return call()
        except modal.exception.ResourceExhaustedError:
            if time.monotonic() + pause_s > deadline:
                raise
        time.sleep(pause_s * random.uniform(0.5, 1.0))  # noqa: S311 (no secret)
        pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)


@retry(n_attempts=5, base_delay=0.1, attempt_timeout=None)
async def _read_block(url: str, expected: int) -> bytes:
    """As the SDK's own reading does it, also how often."""
    session = ClientSessionRegistry.get_session()  # type: ignore[no-untyped-call]
    async with session.get(url) as response:
        response.raise_for_status()
        # Zeros at the end of a block may be left out.
        return (await _read_block_body(response, expected)).ljust(expected, b"\0")


@synchronize_api  # type: ignore[untyped-decorator]
async def _read_range(volume: Any, path: str, start: int, length: int) -> bytes:
    """`length` bytes of a file from `start` on, all with 0. The SDK's own `read_file` always reads from the beginning;
    the protocol takes a range, and answers with an address for each block of 8 MiB that it touches."""
    request = api_pb2.VolumeGetFile2Request(
        volume_id=volume.object_id, path=path, start=start, len=length, client_pads_blocks=True
    )
    answer = await volume.client._stub.VolumeGetFile2(request)
    # The SDK imports it as late: it takes a tenth of a command's time.
    import aiohttp

    parts = []
    lengths = _expected_block_lengths(answer.start, answer.len, len(answer.get_urls))
    for url, expected in zip(answer.get_urls, lengths, strict=True):
        try:
            parts.append(await _read_block(url, expected))
        except aiohttp.ClientError as error:
            raise modal.exception.ConnectionError(f"reading {path} of a volume failed: {error}") from error
    return b"".join(parts)


class VolumeClient:
    """The part of `Client` that is about volumes."""

    def __init__(self, settings: ModalSettings) -> None:
        self._settings = settings
        self._environment = settings.environment or None
        self._named: dict[str, modal.Volume] = {}

    @cached_property
    def _volume(self) -> modal.Volume:
        with translated():
            return self._volume_named(self._settings.state_volume, version=2, make=True)

    def _volume_named(self, name: str, *, version: int | None = None, make: bool = False) -> modal.Volume:
        """Looked up once; so nothing but the call for it is made again when the limit for volumes is reached."""
        if name not in self._named:
            found = modal.Volume.from_name(
                name, create_if_missing=make, version=version, environment_name=self._environment
            )
            self._named[name] = _patiently(found.hydrate)
        return self._named[name]

    def list_files(self, folder: str) -> list[str]:
        """The paths of all files below a folder of the state volume."""
        with translated():
            try:
                volume = self._volume
                entries = _patiently(lambda: volume.listdir(folder, recursive=True))
            except (modal.exception.NotFoundError, FileNotFoundError):
                return []
            return [entry.path for entry in entries if entry.type is FileEntryType.FILE]

    def read_file(self, path: str) -> bytes:
        """Raises `ProviderNotFound`."""
        with translated():
            volume = self._volume
            return _patiently(lambda: b"".join(volume.read_file(path)))

    def write_file(self, path: str, data: bytes) -> None:
        """Writes a file of the state volume; one that is there is replaced."""
        volume = self._volume

        def upload() -> None:
            with volume.batch_upload(force=True) as batch:
                batch.put_file(io.BytesIO(data), path)

        with translated():
            _patiently(upload)

    def remove_files(self, path: str, *, recursive: bool = False) -> None:
        """What is gone already is no error."""
        with contextlib.suppress(ProviderNotFound), translated():
            volume = self._volume
            _patiently(lambda: volume.remove_file(path, recursive=recursive))

    def make_volume(self, name: str, version: int) -> None:
        """Makes a volume unless there is one of the name."""
        with translated():
            self._volume_named(name, version=version, make=True)

    def volume_names(self) -> list[str]:
        """The names of all volumes of the environment."""
        environment = self._environment or ""
        with translated():
            return [
                f"{one.name}" for one in _patiently(lambda: modal.Volume.objects.list(environment_name=environment))
            ]

    def volume_files(self, name: str, folder: str, *, recursive: bool) -> list[HostFile]:
        """What is in a folder of a volume, nothing when either is not there."""
        try:
            with translated():
                volume = self._volume_named(name)
                entries = _patiently(lambda: volume.listdir(folder or "/", recursive=recursive))
        except ProviderNotFound:
            # One of the same name may have taken the place of the one that was found.
            self._named.pop(name, None)
            return []
        return [
            HostFile(
                entry.path.strip("/"),
                entry.type is FileEntryType.DIRECTORY,
                entry.size,
                entry.mtime,
                entry.type in (FileEntryType.FILE, FileEntryType.DIRECTORY),
            )
            for entry in entries
        ]

    def read_volume(self, name: str, path: str, start: int, length: int | None) -> bytes | None:
        """None when there is no such file or volume."""
        try:
            with translated():
                volume = self._volume_named(name)
                return bytes(_patiently(lambda: _read_range(volume, path, start, length or 0)))
        except ProviderNotFound:
            self._named.pop(name, None)
            return None

    def delete_volume(self, name: str) -> None:
        """What is gone already is no error."""
        self._named.pop(name, None)
        with contextlib.suppress(ProviderNotFound), translated():
            _patiently(lambda: modal.Volume.objects.delete(name, environment_name=self._environment))
