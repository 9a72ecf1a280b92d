"""The committed state of each volume, and the snapshots of it that running sandboxes stand on.

The state is a plain folder (``files``). A sandbox must not see what others commit while it runs, so it stands on a
snapshot: a tree of hard links to the same files, which is why a committed file is replaced and never written to (its
end excepted, while no snapshot shares it). What changed since a snapshot is noted, so that one which nobody uses any
more is brought up to date at the cost of the changes and not of the whole volume.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
from collections.abc import Coroutine, Iterable
from pathlib import Path
from typing import Any, TypeVar

from localmodal.engine.layers import remove_tree
from localmodal.services.volumes.written import is_reached, make_room, remove
from localmodal.store import Store

T = TypeVar("T")
_SCHEMA = """
CREATE TABLE IF NOT EXISTS volume_heads (volume TEXT PRIMARY KEY, sequence INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS volume_snapshots (
    volume TEXT NOT NULL, number INTEGER NOT NULL, sequence INTEGER NOT NULL, PRIMARY KEY (volume, number)
);
CREATE TABLE IF NOT EXISTS volume_changes (
    volume TEXT NOT NULL, path BLOB NOT NULL, sequence INTEGER NOT NULL, PRIMARY KEY (volume, path)
);
"""


class Committed:
    """The folders of all volumes of one home. Whoever changes or snapshots one holds its lock."""

    def __init__(self, store: Store, folder: Path) -> None:
        self._store = store
        self._folder = folder
        self._locks: dict[str, asyncio.Lock] = {}
        self._work: set[asyncio.Task[Any]] = set()
        store.ensure(_SCHEMA)

    def lock(self, volume_id: str) -> asyncio.Lock:
        """Held while the volume changes, and by those who must see it whole."""
        return self._locks.setdefault(volume_id, asyncio.Lock())

    async def to_its_end(self, work: Coroutine[Any, Any, T]) -> T:
        """Awaits `work`, which goes on when the caller is cancelled: a thread can not be stopped, and the lock must be
        held while it runs."""
        task = asyncio.create_task(work)
        self._work.add(task)
        task.add_done_callback(self._work.discard)
        return await asyncio.shield(task)

    def in_background(self, work: Coroutine[Any, Any, None]) -> None:
        """Begins `work` and returns at once."""
        task = asyncio.create_task(work)
        self._work.add(task)
        task.add_done_callback(self._work.discard)

    async def finish(self) -> None:
        """Waits for all work that was begun."""
        await asyncio.gather(*self._work, return_exceptions=True)

    def head(self, volume_id: str) -> Path:
        """The committed files."""
        return self._folder / volume_id / "files"

    def spare(self, volume_id: str) -> Path:
        """Where a file is written before it takes its place."""
        return self._folder / volume_id / "spare"

    def snapshot(self, volume_id: str, number: int) -> Path:
        return self._folder / volume_id / str(number)

    def make(self, volume_id: str) -> None:
        """Makes the folder of a new volume."""
        head = self.head(volume_id)
        head.mkdir(parents=True, mode=0o700)
        head.chmod(0o755)

    def note(self, volume_id: str, paths: Iterable[str]) -> None:
        """Notes which paths are about to change. To be called before they do, so that a crash loses no note."""
        rows = [(volume_id, os.fsencode(path)) for path in paths]
        if not rows:
            return
        with self._store.transaction():
            sequence = self._sequence(volume_id) + 1
            self._store.execute("INSERT OR REPLACE INTO volume_heads VALUES (?, ?)", (volume_id, sequence))
            if self._store.one("SELECT 1 FROM volume_snapshots WHERE volume = ?", (volume_id,)):
                values = ((*row, sequence) for row in rows)
                self._store.many("INSERT OR REPLACE INTO volume_changes VALUES (?, ?, ?)", values)

    def _sequence(self, volume_id: str) -> int:
        row = self._store.one("SELECT sequence FROM volume_heads WHERE volume = ?", (volume_id,))
        return int(row["sequence"]) if row else 0

    def is_newest(self, volume_id: str, number: int) -> bool:
        """Whether nothing was committed since a snapshot was made."""
        return self._snapshots(volume_id).get(number) == self._sequence(volume_id)

    def _snapshots(self, volume_id: str) -> dict[int, int]:
        """How far each snapshot has come, by its number."""
        rows = self._store.all("SELECT number, sequence FROM volume_snapshots WHERE volume = ?", (volume_id,))
        return {row["number"]: row["sequence"] for row in rows}

    async def take(self, volume_id: str, in_use: set[int]) -> int:
        """The number of a snapshot of the state as it is now. `in_use` are those that must not change."""
        now = self._sequence(volume_id)
        known = self._snapshots(volume_id)
        for number, sequence in known.items():
            if sequence == now:
                return number
        free = {number: sequence for number, sequence in known.items() if number not in in_use}
        if free:
            number = max(free, key=lambda number: free[number])
            await asyncio.to_thread(self._bring_up, volume_id, number, self._changes(volume_id, free[number]))
        else:
            number = max(known, default=0) + 1
            target = self.snapshot(volume_id, number)
            await remove_tree(target)
            await asyncio.to_thread(_link_tree, self.head(volume_id), target)
        self._store.execute("INSERT OR REPLACE INTO volume_snapshots VALUES (?, ?, ?)", (volume_id, number, now))
        return number

    def _changes(self, volume_id: str, since: int) -> list[str]:
        rows = self._store.all(
            "SELECT path FROM volume_changes WHERE volume = ? AND sequence > ? ORDER BY path", (volume_id, since)
        )
        return [os.fsdecode(row["path"]) for row in rows]

    def _bring_up(self, volume_id: str, number: int, paths: list[str]) -> None:
        head, snapshot = self.head(volume_id), self.snapshot(volume_id, number)
        for path in paths:
            _mirror(head, snapshot, path)

    async def drop_unused(self, volume_id: str, in_use: set[int]) -> None:
        """Removes the snapshots that nobody stands on, but for the newest: the next sandbox begins with it."""
        free = {number: at for number, at in self._snapshots(volume_id).items() if number not in in_use}
        keep = max(free, key=lambda number: free[number]) if free else None
        for number in free:
            if number != keep:
                self._store.execute("DELETE FROM volume_snapshots WHERE volume = ? AND number = ?", (volume_id, number))
                await remove_tree(self.snapshot(volume_id, number))
        oldest = min(self._snapshots(volume_id).values(), default=self._sequence(volume_id))
        self._store.execute("DELETE FROM volume_changes WHERE volume = ? AND sequence <= ?", (volume_id, oldest))

    async def delete(self, volume_id: str, *, in_use: bool) -> None:
        """Removes the committed files; the snapshots too once no sandbox stands on one."""
        await remove_tree(self.head(volume_id))
        if not in_use:
            await remove_tree(self._folder / volume_id)
            for table in ("volume_heads", "volume_snapshots", "volume_changes"):
                self._store.execute(f"DELETE FROM {table} WHERE volume = ?", (volume_id,))  # noqa: S608 (constants)
            self._locks.pop(volume_id, None)


def _link_tree(source: Path, target: Path) -> None:
    """Makes `target` a tree of hard links to `source`."""
    _folder_like(source, target)
    with os.scandir(source) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                _link_tree(Path(entry.path), target / entry.name)
            else:
                os.link(entry.path, target / entry.name, follow_symlinks=False)


def _mirror(head: Path, snapshot: Path, path: str) -> None:
    """Makes one path of a snapshot what it is in `head`; of a folder only the folder itself."""
    source, target = head / path, snapshot / path
    try:
        status = source.lstat() if is_reached(head, path) else None
    except FileNotFoundError:
        status = None
    if status is None:
        if is_reached(snapshot, path):
            remove(target)
        return
    make_room(snapshot, path)
    if not stat.S_ISDIR(status.st_mode):
        remove(target)
        os.link(source, target, follow_symlinks=False)
    else:
        if target.is_symlink() or not target.is_dir():
            remove(target)
        _folder_like(source, target)


def _folder_like(source: Path, target: Path) -> None:
    status = source.stat()
    with contextlib.suppress(FileExistsError):
        target.mkdir()
    os.chown(target, status.st_uid, status.st_gid)
    target.chmod(stat.S_IMODE(status.st_mode))
