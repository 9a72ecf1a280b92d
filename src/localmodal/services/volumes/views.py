"""What running sandboxes see of volumes, and when what they write is committed.

A view is an overlay: below a snapshot of the committed state, above a folder of the sandbox's own. What is written
there is committed every few seconds, on ``sync`` (version 2), and when the sandbox ends; other sandboxes see it when
they start or reload. All of it survives a restart of the server.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from localmodal.engine import remount
from localmodal.engine.containers import Bind
from localmodal.engine.layers import Layers
from localmodal.engine.syncs import Syncs
from localmodal.errors import FailedPrecondition, Internal, LocalModalError, NotFound
from localmodal.services.sandboxes.spec import VolumeMount
from localmodal.services.volumes.committed import Committed
from localmodal.services.volumes.open_files import check_closed
from localmodal.services.volumes.written import apply, below, is_reached, look
from localmodal.store import Row, Store

log = logging.getLogger("localmodal.volumes")

COMMIT_EVERY_S = 5.0
# A commit takes at most this share of the time, however large the files are that it has to look at.
_COMMIT_SHARE = 0.05
_TICK_S = 1.0
V2 = 2
_SCHEMA = """
CREATE TABLE IF NOT EXISTS volume_views (
    key TEXT PRIMARY KEY, sandbox TEXT NOT NULL, volume TEXT NOT NULL, version INTEGER NOT NULL,
    snapshot INTEGER NOT NULL, target TEXT NOT NULL, read_only INTEGER NOT NULL, sub_path TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS volume_marks (
    view TEXT NOT NULL, path BLOB NOT NULL, mark TEXT NOT NULL, PRIMARY KEY (view, path)
);
"""


@dataclass
class View:
    """One volume in one sandbox. `target` is its mount point there, `key` the name of its mount here.

    `wanted` is set when a commit must happen before anybody looks; `next_at` is when it is due anyway (monotonic). A
    commit that nobody looks at can wait until then: with many sandboxes that all call `sync`, of which each counts for
    all, committing at once would never come to an end.
    """

    key: str
    sandbox_id: str
    volume_id: str
    version: int
    snapshot: int
    target: str
    read_only: bool
    sub_path: str
    wanted: bool = False
    next_at: float = field(default_factory=lambda: time.monotonic() + COMMIT_EVERY_S)
    marks: dict[str, str] | None = None


class Views:
    """The views of all running sandboxes of one home."""

    def __init__(
        self, store: Store, committed: Committed, layers: Layers, syncs: Syncs, version_of: Callable[[str], int | None]
    ) -> None:
        """`version_of` gives the version of a volume, None for one that is gone."""
        self._store = store
        self._committed = committed
        self._layers = layers
        self._syncs = syncs
        self._version_of = version_of
        self._task: asyncio.Task[None] | None = None
        store.ensure(_SCHEMA)
        self._views = {view.key: view for view in map(_view, store.all("SELECT * FROM volume_views"))}

    async def start(self, sandbox_ids: set[str]) -> None:
        """Begins to commit. Views of sandboxes that are none of `sandbox_ids` any more are let go."""
        for sandbox_id in {view.sandbox_id for view in self._views.values()} - sandbox_ids:
            await self.release(sandbox_id)
        self._syncs.start()
        if not self._syncs.available:
            log.warning("this kernel does not tell of `sync`: version 2 volumes are committed whenever they are read")
        self._task = asyncio.create_task(self._keep_committing())

    async def stop(self) -> None:
        """Ends committing until the next start, once what was begun is done and what was synced is committed. Sandboxes
        keep their views."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        self._note_syncs()
        for view in [view for view in self._views.values() if view.wanted]:
            await self._commit(view)
        await self._committed.finish()
        self._syncs.stop()

    def in_use(self, volume_id: str) -> set[int]:
        """The snapshots of a volume that sandboxes stand on."""
        return {view.snapshot for view in self._of_volume(volume_id)}

    def _of_volume(self, volume_id: str) -> list[View]:
        return [view for view in self._views.values() if view.volume_id == volume_id]

    def _of_sandbox(self, sandbox_id: str) -> list[View]:
        return [view for view in self._views.values() if view.sandbox_id == sandbox_id]

    async def open(self, sandbox_id: str, mounts: Sequence[VolumeMount]) -> list[Bind]:
        """Gives a sandbox its volumes as they are committed now. Raises `NotFound`."""
        return [
            await self._committed.to_its_end(self._open(sandbox_id, mount, f"{sandbox_id}-{number}"))
            for number, mount in enumerate(mounts)
        ]

    async def _open(self, sandbox_id: str, mount: VolumeMount, key: str) -> Bind:
        volume_id = mount.volume_id
        await self.observe(volume_id)
        async with self._committed.lock(volume_id):
            version = self._version_of(volume_id)
            if version is None:
                raise NotFound(f"Volume with ID '{volume_id}' not found.")
            snapshot = await self._committed.take(volume_id, self.in_use(volume_id))
            view = View(
                *(key, sandbox_id, volume_id, version, snapshot, mount.path, mount.read_only, mount.sub_path.strip("/"))
            )
            self._add(view)
            return Bind(await self._mount(view), mount.path, mount.read_only)

    def _add(self, view: View) -> None:
        self._views[view.key] = view
        self._store.execute(
            "INSERT INTO volume_views VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(view.key, view.sandbox_id, view.volume_id, view.version, view.snapshot),
                *(view.target, view.read_only, view.sub_path),
            ),
        )

    async def _mount(self, view: View) -> Path:
        root = snapshot = self._committed.snapshot(view.volume_id, view.snapshot)
        if not view.read_only:
            root = await self._layers.mount(view.key, [os.path.relpath(snapshot, self._layers.path("."))])
            _make_folder(root, view.sub_path)
        # The last step is the folder itself, so that all above it are looked at, it included.
        if not is_reached(root, f"{view.sub_path}/"):
            raise FailedPrecondition(f"'{view.sub_path}' is no folder of the volume")
        return root / view.sub_path

    async def observe(self, volume_id: str) -> None:
        """Commits what must be seen by whoever looks at the volume next, under its lock."""
        self._note_syncs()
        for view in self._of_volume(volume_id):
            if view.version == V2 and not self._syncs.available:
                view.wanted = True
            if view.wanted:
                await self._commit(view)

    async def commit(self, volume_id: str) -> None:
        """Commits what all sandboxes have written to a volume."""
        for view in self._of_volume(volume_id):
            await self._commit(view)

    def _note_syncs(self) -> None:
        if self._syncs.take():
            for view in self._views.values():
                view.wanted = view.wanted or (view.version == V2 and not view.read_only)

    async def _keep_committing(self) -> None:
        while True:
            await asyncio.sleep(_TICK_S)
            for view in list(self._views.values()):
                if time.monotonic() >= view.next_at:
                    await self._commit(view)

    async def _commit(self, view: View) -> None:
        """Commits one view; an error is logged, and the next commit tries again."""
        await self._committed.to_its_end(self._commit_now(view))

    async def _commit_now(self, view: View) -> None:
        began = time.monotonic()
        async with self._committed.lock(view.volume_id):
            if view.key in self._views:
                try:
                    await self._commit_locked(view)
                except (LocalModalError, OSError):
                    log.exception("%s: what %s wrote is not committed", view.volume_id, view.sandbox_id)
        now = time.monotonic()
        view.next_at = now + max(COMMIT_EVERY_S, (now - began) / _COMMIT_SHARE)

    async def _commit_locked(self, view: View) -> None:
        view.wanted = False
        if view.read_only or self._version_of(view.volume_id) is None:
            return
        if view.marks is None:
            rows = self._store.all("SELECT path, mark FROM volume_marks WHERE view = ?", (view.key,))
            view.marks = {os.fsdecode(row["path"]): row["mark"] for row in rows}
        upper = self._layers.upper(view.key)
        snapshot = self._committed.snapshot(view.volume_id, view.snapshot)
        head = self._committed.head(view.volume_id)
        found = await asyncio.to_thread(look, upper, snapshot, view.marks)
        if not found.marks:
            return
        paths = found.paths()
        if paths or found.folders:
            inside = await asyncio.to_thread(below, head, paths)
            self._committed.note(view.volume_id, [*paths, *found.folders, *inside])
            await asyncio.to_thread(apply, found, upper, head, self._committed.spare(view.volume_id))
        kept = {path: mark for path, mark in found.marks.items() if mark is not None}
        dropped = found.marks.keys() - kept.keys()
        with self._store.transaction():
            gone = [(view.key, os.fsencode(path)) for path in dropped]
            self._store.many("DELETE FROM volume_marks WHERE view = ? AND path = ?", gone)
            fresh = [(view.key, os.fsencode(path), mark) for path, mark in kept.items()]
            self._store.many("INSERT OR REPLACE INTO volume_marks VALUES (?, ?, ?)", fresh)
        view.marks |= kept
        for path in dropped:
            view.marks.pop(path, None)

    async def reload(self, sandbox_id: str, init_pid: int) -> None:
        """Shows a sandbox the newest committed state of its volumes, once what it wrote is committed.

        Its programs are held still by the caller. Raises `FailedPrecondition` while one has a file of them open.
        """
        await self._committed.to_its_end(self._reload(sandbox_id, init_pid))

    async def _reload(self, sandbox_id: str, init_pid: int) -> None:
        views = self._of_sandbox(sandbox_id)
        await asyncio.to_thread(check_closed, init_pid, [view.target for view in views])
        for view in views:
            await self.observe(view.volume_id)
            async with self._committed.lock(view.volume_id):
                await self._commit_locked(view)
                if self._version_of(view.volume_id) is None:
                    continue
                if not self._committed.is_newest(view.volume_id, view.snapshot):
                    await self._replace(view, init_pid)

    async def _replace(self, view: View, init_pid: int) -> None:
        base, _, number = view.key.rpartition("-")
        snapshot = await self._committed.take(view.volume_id, self.in_use(view.volume_id))
        index, _, times = number.partition(".")
        new = View(
            *(f"{base}-{index}.{int(times or 0) + 1}", view.sandbox_id, view.volume_id, view.version, snapshot),
            *(view.target, view.read_only, view.sub_path),
        )
        self._add(new)
        try:
            source = await self._mount(new)
            await _remount(init_pid, source, view)
        except BaseException:
            await self._forget(new)
            raise
        await self._forget(view)
        await self._committed.drop_unused(view.volume_id, self.in_use(view.volume_id))

    async def settle(self, sandbox_id: str, *, commit: bool) -> None:
        """The last commit of a sandbox that has ended. Without `commit` only what a `sync` asked for is kept."""
        self._note_syncs()
        for view in self._of_sandbox(sandbox_id):
            if commit or view.wanted:
                await self._commit(view)

    async def release(self, sandbox_id: str) -> None:
        """Lets go of an ended sandbox's views; what was not committed is lost. A second call does nothing."""
        for view in self._of_sandbox(sandbox_id):
            async with self._committed.lock(view.volume_id):
                await self._forget(view)
            self._committed.in_background(self._tidy(view.volume_id))

    async def _tidy(self, volume_id: str) -> None:
        """Removes what nobody stands on any more, and makes ready what the next sandbox will stand on."""
        async with self._committed.lock(volume_id):
            used = self.in_use(volume_id)
            if self._version_of(volume_id) is not None:
                await self._committed.drop_unused(volume_id, used)
                await self._committed.take(volume_id, used)
            elif not used:
                await self._committed.delete(volume_id, in_use=False)

    async def _forget(self, view: View) -> None:
        if not view.read_only:
            await self._layers.discard(view.key)
        self._views.pop(view.key, None)
        with self._store.transaction():
            self._store.execute("DELETE FROM volume_views WHERE key = ?", (view.key,))
            self._store.execute("DELETE FROM volume_marks WHERE view = ?", (view.key,))


def _make_folder(root: Path, path: str) -> None:
    """Makes the folders of `path` that are not there, never through a link or in the place of a file."""
    place = root
    for part in path.split("/") if path else ():
        place = place / part
        if place.is_symlink() or (place.exists() and not place.is_dir()):
            return
        place.mkdir(exist_ok=True)


async def _remount(init_pid: int, source: Path, view: View) -> None:
    mode = "ro" if view.read_only else "rw"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-S", remount.__file__, str(init_pid), str(source), view.target, mode),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _stdout, stderr = await process.communicate()
    if process.returncode:
        raise Internal(f"{view.target} can not be mounted anew: {stderr.decode(errors='replace').strip()[-300:]}")


def _view(row: Row) -> View:
    values = dict(row)
    return View(
        *(values["key"], values["sandbox"], values["volume"], values["version"], values["snapshot"]),
        *(values["target"], bool(values["read_only"]), values["sub_path"]),
    )
