"""Host volumes: a Modal Volume for the data directory of each host, named after what holds its record and the host."""

from __future__ import annotations

import contextlib
import hashlib
import re
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from mngr.config import ModalSettings
from mngr.errors import MngrError, ProviderNotFound
from mngr.models import HostFile, HostRecord, HostVolume
from mngr.providers.modal.account import Account

if TYPE_CHECKING:
    from mngr.providers.modal.wire import Wire

# Modal takes names shorter than 64 characters.
_NAME_MAX = 63
_HOST_ID_LENGTH = 25
_HOST = re.compile(r"host-[a-z2-7]{20}")


def name_of(state_volume: str, host_id: str) -> str:
    """The name of a host's volume. Hosts of different state volumes never share a prefix, so that each `mngr gc` sees
    only what its own records account for."""
    return f"{_prefix(state_volume)}-{host_id}"


def host_of(state_volume: str, name: str) -> str | None:
    """The id of the host that a volume of this name is for, None for one that is nobody's or of other records."""
    prefix, host_id = name[: -_HOST_ID_LENGTH - 1], name[-_HOST_ID_LENGTH:]
    return host_id if prefix == _prefix(state_volume) and _HOST.fullmatch(host_id) else None


def _prefix(state_volume: str) -> str:
    room = _NAME_MAX - _HOST_ID_LENGTH - 1
    if len(state_volume) <= room:
        return state_volume
    digest = hashlib.sha256(state_volume.encode()).hexdigest()[:8]
    return f"{state_volume[: room - 9]}-{digest}"


class HostVolumes(Account):
    """The part of the provider that keeps host volumes. See `SupportsHostVolume` for what each method promises."""

    def __init__(self, name: str, settings: ModalSettings) -> None:
        super().__init__(name, settings)
        self._making: dict[str, Future[None]] = {}

    def expect_start(self, record: HostRecord) -> None:
        if record.volume is not None:
            pool = ThreadPoolExecutor(1)
            self._making[record.id] = pool.submit(self._make_volume, record)
            pool.shutdown(wait=False)

    def _make_volume(self, record: HostRecord) -> None:
        """Once the record that names it is written."""
        if record.volume is not None:
            self._records.wait(record.id)
            self._client.make_volume(record.volume.name, record.volume.version)

    def _finish_volume(self, record: HostRecord) -> None:
        """The host's volume is there afterwards."""
        making = self._making.pop(record.id, None)
        if making is not None:
            making.result()
        else:
            self._make_volume(record)

    def _unmake_volume(self, record: HostRecord) -> None:
        """Of a host that will never start."""
        making = self._making.pop(record.id, None)
        if making is not None and record.volume is not None:
            with contextlib.suppress(MngrError):
                making.result()
                self.delete_volume(record.volume)

    def new_volume(self, host_id: str) -> HostVolume | None:
        if not self._settings.is_host_volume_created:
            return None
        name = name_of(self._settings.state_volume, host_id)
        return HostVolume(name=name, version=self._settings.host_volume_version)

    def volumes(self) -> list[tuple[str, HostVolume]]:
        found = []
        for name in self._client.volume_names():
            host_id = host_of(self._settings.state_volume, name)
            if host_id is not None:
                found.append((host_id, HostVolume(name=name)))
        return found

    def volume_files(self, volume: HostVolume, folder: str, *, recursive: bool = False) -> list[HostFile]:
        async def over(wire: Wire) -> list[HostFile]:
            from mngr.providers.modal import volume_wire

            return await volume_wire.files(wire, volume.name, folder, recursive=recursive)

        return self._storage.ask(over, lambda client: client.volume_files(volume.name, folder, recursive=recursive))

    def read_volume(self, volume: HostVolume, path: str, start: int = 0, length: int | None = None) -> bytes:
        if length == 0:
            return b""

        async def over(wire: Wire) -> bytes | None:
            from mngr.providers.modal import volume_wire

            return await volume_wire.read(wire, volume.name, path, start, length or 0)

        found = self._storage.ask(over, lambda client: client.read_volume(volume.name, path, start, length))
        if found is None:
            raise ProviderNotFound(f"volume {volume.name} has no file {path}")
        return found

    def delete_volume(self, volume: HostVolume) -> None:
        async def over(wire: Wire) -> None:
            from mngr.providers.modal import volume_wire

            await volume_wire.delete(wire, volume.name)

        self._storage.ask(over, lambda client: client.delete_volume(volume.name))
