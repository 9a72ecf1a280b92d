"""Reads the data directory of a host that does not run, from its volume, as it was committed last."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import msgspec

from mngr.errors import NotFound, ProviderNotFound
from mngr.hosts.host_dir import Where
from mngr.models import Host, HostVolume
from mngr.operations.finding import provider_of
from mngr.providers.base import SupportsHostVolume

_LOOK_BYTES = 1 << 18
PIECE_BYTES = 8 << 20


class Status(msgspec.Struct, frozen=True):
    """What a host wrote down with each commit: when, in which boot, and whether it was its last."""

    time: float
    boot: str
    ended: bool


@dataclass(frozen=True, slots=True)
class Committed:
    """What a log holds from `place` on, in pieces. `boot` looks up in which its end was reached, empty for a log that
    has none noted."""

    place: int
    pieces: Iterator[bytes]
    boot: Callable[[], str]


@dataclass(frozen=True, slots=True)
class HostFiles:
    """The volume of one host, and who can read it."""

    store: SupportsHostVolume
    volume: HostVolume

    def status(self) -> Status | None:
        """None when the host was never up for long enough to write it."""
        try:
            return msgspec.json.decode(self.store.read_volume(self.volume, "status.json"), type=Status)
        except (ProviderNotFound, msgspec.DecodeError):
            return None

    def log(self, path: str, where: Where) -> Committed:
        """What a log holds from `where` on; nothing when it was never written."""
        log = _Log(self, path)
        start = log.place(where)
        return Committed(start, log.read(start), log.boot)


def files_of(host: Host) -> HostFiles:
    """Raises `NotFound` for a host without a volume, with the reason."""
    provider, volume = provider_of(host), host.record.volume
    if volume is None or not isinstance(provider, SupportsHostVolume):
        raise NotFound(
            f"host {host.record.name} is {host.state.value} and has no volume (is_host_volume_created = false when it "
            f"was made), so its logs and files can be read only while it runs: mngr start {host.record.name}"
        )
    return HostFiles(provider, volume)


@dataclass(frozen=True, slots=True)
class _Part:
    path: str
    place: int
    size: int


class _Log:
    """A log in its parts; see log-lib.sh for how it lies on disk."""

    def __init__(self, files: HostFiles, path: str) -> None:
        self._files = files
        self._path = path
        sizes = {file.path: file.size for file in files.store.volume_files(files.volume, path.rpartition("/")[0])}
        older = sorted(name for name in sizes if name.startswith(f"{path}.") and name[len(path) + 1 :].isdigit())
        self._parts = [_Part(name, int(name[len(path) + 1 :]), sizes[name]) for name in older]
        begin = self._parts[-1].place + self._parts[-1].size if self._parts else 0
        self._parts.append(_Part(path, begin, sizes.get(path, 0)))
        self._beside = {name for name in (f"{path}.boots", f"{path}.times") if name in sizes}
        self._first, self._end = self._parts[0].place, begin + sizes.get(path, 0)
        self._held = (self._end, b"")

    def place(self, where: Where) -> int:
        """The place that `where` means, within what is there."""
        if where.place is not None:
            place = self._reached(where.boot, where.place)
        elif where.tail is not None:
            place = self._tail(where.tail)
        elif where.since_s is not None:
            place = self._since(time.time() - where.since_s)
        else:
            place = self._first
        return min(max(place, self._first), self._end)

    def read(self, start: int) -> Iterator[bytes]:
        """All from a place on. What was looked at to find the place is not read again."""
        held_from, held = self._held
        if start >= held_from:
            yield held[start - held_from :]
            return
        while start < self._end:
            piece = self._between(start, min(start + PIECE_BYTES, self._end))
            if not piece:
                return
            yield piece
            start += len(piece)

    def _between(self, start: int, stop: int) -> bytes:
        pieces = []
        for part in self._parts:
            begin, end = max(start, part.place), min(stop, part.place + part.size)
            if begin < end:
                store, volume = self._files.store, self._files.volume
                pieces.append(store.read_volume(volume, part.path, begin - part.place, end - begin))
        return b"".join(pieces)

    def _tail(self, lines: int) -> int:
        """Where the last `lines` lines begin, found from the end, in steps that double."""
        if lines == 0:
            return self._end
        start, step, data = self._end, _LOOK_BYTES, b""
        while start > self._first and data.removesuffix(b"\n").count(b"\n") < lines:
            before = max(self._first, start - step)
            data = self._between(before, start) + data
            start, step = before, step * 2
        self._held = (start, data)
        at = len(data.removesuffix(b"\n"))
        for _line in range(lines):
            at = data.rfind(b"\n", 0, at)
            if at < 0:
                return start
        return start + at + 1

    def _pairs(self, suffix: str) -> list[list[str]]:
        name = f"{self._path}.{suffix}"
        if name not in self._beside:
            return []
        text = self._files.store.read_volume(self._files.volume, name).decode(errors="replace")
        return [words for words in map(str.split, text.splitlines()) if len(words) == len(("key", "place"))]

    def _since(self, moment: float) -> int:
        at = self._first
        for time_, place in self._pairs("times"):
            # One that is later and lower is of a boot that went on where the one before it had not committed.
            if float(time_) <= moment or int(place) < at:
                at = int(place)
        return at

    def boot(self) -> str:
        """The boot in which the end was reached. What else was committed may be of an earlier moment, or a later."""
        began = [name for name, place in self._pairs("boots") if int(place) <= self._end]
        return began[-1] if began else ""

    def _reached(self, boot: str, place: int) -> int:
        """What a boot wrote after its last commit was lost with it, and others wrote at the same places since."""
        boots = self._pairs("boots")
        names = [name for name, _place in boots]
        later = boots[names.index(boot) + 1 :] if boot in names else boots
        return min([place, *(int(begun) for _name, begun in later)])
