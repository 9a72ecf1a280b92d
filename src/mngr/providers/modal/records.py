"""Host records: immutable files on the state volume, the newest revision of each counts.

``hosts/<host id>/<revision>-<digest>.json``. One listing shows the names of all; since the content of a name never
changes, what was read once is read from the disk of this machine afterwards.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from mngr import paths
from mngr.errors import ProviderNotFound
from mngr.models import RECORDS, HostRecord
from mngr.providers import copies, ssh_config

if TYPE_CHECKING:
    from mngr.providers.modal.storage import Storage

_FOLDER = "hosts"
_READERS = 64


class Records:
    """The records of one provider, and this machine's copies of them."""

    def __init__(self, provider: str, client: Storage) -> None:
        self._client = client
        self._cache = copies.folder(provider)
        # Of those that were listed last, for who lists again and again.
        self._at_hand: dict[str, HostRecord] = {}
        self._writing: dict[str, Future[HostRecord]] = {}
        self._staged: dict[str, tuple[HostRecord, Callable[[], HostRecord]]] = {}

    def all(self) -> list[HostRecord]:
        """The newest record of every host, oldest host first."""
        newest: dict[str, str] = {}
        for path in sorted(self._client.list_files(_FOLDER)):
            newest[path.split("/")[1]] = path
        current = set(newest.values())
        if current != self._at_hand.keys() or not current:
            self._forget(current)
        missing = [path for path in newest.values() if path not in self._at_hand and not self._local(path).exists()]
        if missing:
            with ThreadPoolExecutor(_READERS) as pool:
                read = dict(zip(missing, pool.map(self._read, missing), strict=True))
        else:
            read = {}
        found = (read[path] if path in read else self._read(path) for path in newest.values())
        self._at_hand = {
            path: record for path, record in zip(newest.values(), found, strict=True) if record is not None
        }
        records = list(self._at_hand.values())
        return sorted(records, key=lambda record: record.created_at)

    def get(self, host_id: str) -> HostRecord | None:
        """The newest record of one host, or None."""
        self.wait(host_id)
        found = sorted(self._client.list_files(f"{_FOLDER}/{host_id}"))
        return self._read(found[-1]) if found else None

    def write(self, record: HostRecord) -> HostRecord:
        """Writes the next revision and removes the one before; the record with its revision."""
        self.wait(record.id)
        return self._take_staged(record)[1]()

    def write_ahead(self, record: HostRecord) -> HostRecord:
        """As `write`, but returns before it is done: `wait` raises what went wrong."""
        record, commit = self._take_staged(record)
        pool = ThreadPoolExecutor(1)
        self._writing[record.id] = pool.submit(commit)
        pool.shutdown(wait=False)
        return _following(record)

    def wait(self, host_id: str) -> None:
        """Waits until what was begun for a host is written."""
        writing = self._writing.get(host_id)
        if writing is not None:
            try:
                # Interrupted here, whoever cleans up waits again: what is written behind its back would be newer.
                writing.result()
            finally:
                if writing.done():
                    self._writing.pop(host_id, None)

    def stage_ahead(self, record: HostRecord) -> None:
        """Brings a revision to the server that is likely to be the next, and then has the time of its making from here;
        one that is not costs nothing."""
        self._staged[record.id] = (record, self._stage(record))

    def _take_staged(self, record: HostRecord) -> tuple[HostRecord, Callable[[], HostRecord]]:
        """What was staged ahead when it is this record, else the record, staged now."""
        ahead, commit = self._staged.pop(record.id, (record, None))
        if commit is not None and ahead == msgspec.structs.replace(record, changed_at=ahead.changed_at):
            return ahead, commit
        return record, self._stage(record)

    def _stage(self, record: HostRecord) -> Callable[[], HostRecord]:
        """Brings the next revision to the server, where it counts once the result was called, which gives it."""
        before = self._written(record)
        following = _following(record)
        path = _path(following)
        commit = self._client.stage(path, msgspec.json.encode(following))

        def written() -> HostRecord:
            commit()
            self._remember(path, following)
            if before is not None:
                self._client.remove_later(before)
                self._local(before).unlink(missing_ok=True)
            ssh_config.refresh()
            return following

        return written

    def remove(self, host_id: str) -> None:
        """Removes all records of a host. A second call does nothing."""
        self.wait(host_id)
        self._client.remove_files(f"{_FOLDER}/{host_id}", recursive=True)
        for path in self._cache.glob(f"{host_id}.*"):
            path.unlink(missing_ok=True)
        ssh_config.refresh()

    def _written(self, record: HostRecord) -> str | None:
        """The path of the revision that a record was made from, by this machine's copy of it; None when it has none,
        and then the file stays until the host goes. Its digest is not that of `record`, which was changed since."""
        found = sorted(self._cache.glob(f"{record.id}.{record.revision:06d}-*"))
        return f"{_FOLDER}/{record.id}/{found[-1].name.split('.', 1)[1]}" if found else None

    def _read(self, path: str) -> HostRecord | None:
        """A record by its path; None when it was replaced since it was listed and none followed."""
        if path in self._at_hand:
            return self._at_hand[path]
        # Another mngr may remove a copy at any moment.
        with contextlib.suppress(FileNotFoundError):
            return RECORDS.decode(self._local(path).read_bytes())
        try:
            data = self._client.read_file(path)
        except ProviderNotFound:
            found = sorted(self._client.list_files(path.rsplit("/", 1)[0]))
            return self._read(found[-1]) if found and found[-1] != path else None
        record = RECORDS.decode(data)
        self._remember(path, record)
        return record

    def _remember(self, path: str, record: HostRecord) -> None:
        paths.write_private(self._local(path), msgspec.json.encode(record))

    def _local(self, path: str) -> Path:
        _folder, host_id, name = path.split("/")
        return self._cache / f"{host_id}.{name}"

    def _forget(self, current: set[str]) -> None:
        """Drops copies of records that are no longer the newest."""
        keep = {self._local(path).name for path in current}
        for path in self._cache.iterdir():
            if path.name not in keep:
                path.unlink(missing_ok=True)


def _following(record: HostRecord) -> HostRecord:
    return msgspec.structs.replace(record, revision=record.revision + 1)


def _path(record: HostRecord) -> str:
    digest = hashlib.sha256(msgspec.json.encode(record)).hexdigest()[:12]
    return f"{_FOLDER}/{record.id}/{record.revision:06d}-{digest}.json"
