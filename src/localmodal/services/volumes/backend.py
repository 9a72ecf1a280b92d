"""Volumes of both versions: made, found, listed, read, written, mounted."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from localmodal import ids
from localmodal.engine.layers import Layers
from localmodal.engine.syncs import Syncs
from localmodal.errors import AlreadyExists, InvalidArgument, NotFound, ResourceExhausted
from localmodal.home import Home
from localmodal.services.environments.backend import EnvironmentsBackend
from localmodal.services.mounts.backend import MountFile, MountsBackend
from localmodal.services.names import Creation, check_name
from localmodal.services.volumes.committed import Committed
from localmodal.services.volumes.tree import Entry, Tree
from localmodal.services.volumes.views import Views
from localmodal.store import Row, Store

BLOCK_BYTES = 8 * 1024 * 1024
V1, V2 = 1, 2
V1_MAX_FILES = 500_000
V2_MAX_FILES_IN_FOLDER = 262_144
_SCHEMA = """
CREATE TABLE IF NOT EXISTS volumes (
    id TEXT PRIMARY KEY, environment TEXT NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL,
    created_at REAL NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS volumes_name ON volumes (environment, name) WHERE name != '';
"""


@dataclass(frozen=True, slots=True)
class Volume:
    """`name` is empty for an ephemeral one."""

    id: str
    environment: str
    name: str
    version: int
    created_at: float


@dataclass(frozen=True, slots=True)
class Upload:
    """A file for a v2 volume: the SHA-256 digests of its blocks, and what was answered when they were put."""

    path: str
    size: int
    mode: int
    digests: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class MissingBlock:
    file_index: int
    block_index: int
    digest: bytes


class VolumesBackend:
    """The volumes of one home."""

    def __init__(
        self,
        store: Store,
        home: Home,
        environments: EnvironmentsBackend,
        mounts: MountsBackend,
        layers: Layers,
        syncs: Syncs,
    ) -> None:
        self._store = store
        self._committed = Committed(store, home.folder("volumes"))
        self._blocks = home.folder("blocks")
        self._environments = environments
        self._mounts = mounts
        store.ensure(_SCHEMA)
        self.views = Views(store, self._committed, layers, syncs, self._version_of)

    def _version_of(self, volume_id: str) -> int | None:
        row = self._store.one("SELECT version FROM volumes WHERE id = ?", (volume_id,))
        return int(row["version"]) if row else None

    def get_or_create(self, environment: str, name: str, creation: Creation, version: int) -> Volume:
        """Raises `NotFound`, `AlreadyExists`, `InvalidArgument`, each where `creation` says so."""
        environment = self._environments.resolve(environment)
        if creation.unnamed:
            return self._create(environment, "", version)
        check_name(name, "Volume")
        row = self._store.one("SELECT * FROM volumes WHERE environment = ? AND name = ?", (environment, name))
        if row is None:
            if creation is Creation.LOOK_UP:
                raise NotFound(f"Volume '{name}' not found in environment '{environment}'.")
            return self._create(environment, name, version)
        if creation is Creation.FAIL_IF_EXISTS:
            raise AlreadyExists(f"Volume '{name}' already exists in environment '{environment}'.")
        return _volume(row)

    def _create(self, environment: str, name: str, version: int) -> Volume:
        volume_id = ids.new_id("vo")
        self._store.execute(
            "INSERT INTO volumes VALUES (?, ?, ?, ?, ?)", (volume_id, environment, name, version or V1, time.time())
        )
        self._committed.make(volume_id)
        return self.get(volume_id)

    def get(self, volume_id: str) -> Volume:
        """Raises `NotFound`."""
        row = self._store.one("SELECT * FROM volumes WHERE id = ?", (volume_id,))
        if row is None:
            raise NotFound(f"Volume with ID '{volume_id}' not found.")
        return _volume(row)

    def named(self, environment: str) -> list[Volume]:
        """All named volumes of an environment, the newest first."""
        rows = self._store.all(
            "SELECT * FROM volumes WHERE environment = ? AND name != '' ORDER BY created_at DESC",
            (self._environments.resolve(environment),),
        )
        return [_volume(row) for row in rows]

    async def delete(self, volume_id: str) -> None:
        """Removes a volume and its files. Sandboxes that use it keep what they see; what they write is lost.

        Raises `NotFound`.
        """
        self.get(volume_id)
        async with self._committed.lock(volume_id):
            self._store.execute("DELETE FROM volumes WHERE id = ?", (volume_id,))
            await self._committed.delete(volume_id, in_use=bool(self.views.in_use(volume_id)))

    def rename(self, volume_id: str, name: str) -> None:
        """Raises `NotFound`, `InvalidArgument`, `AlreadyExists`."""
        check_name(name, "Volume")
        volume = self.get(volume_id)
        taken = self._store.one("SELECT id FROM volumes WHERE environment = ? AND name = ?", (volume.environment, name))
        if taken is not None and taken["id"] != volume_id:
            raise AlreadyExists(f"Volume '{name}' already exists.")
        self._store.execute("UPDATE volumes SET name = ? WHERE id = ?", (name, volume_id))

    async def files(self, volume_id: str, path: str, *, recursive: bool, limit: int = 0) -> list[Entry]:
        """What is committed in a folder of the volume. Raises `NotFound`."""
        async with self._observed(volume_id) as tree:
            return await asyncio.to_thread(tree.entries, path, recursive=recursive, limit=limit)

    async def size(self, volume_id: str, path: str) -> int:
        """The bytes of one committed file. Raises `NotFound`."""
        async with self._observed(volume_id) as tree:
            return tree.file(path).stat().st_size

    def file(self, volume_id: str, path: str) -> Path:
        """One committed file, as it is without looking for what is to be committed. Raises `NotFound`."""
        return self._tree(volume_id).file(path)

    async def commit(self, volume_id: str) -> None:
        """Commits what running sandboxes wrote. Raises `NotFound`."""
        self.get(volume_id)
        await self.views.commit(volume_id)

    @contextlib.asynccontextmanager
    async def _observed(self, volume_id: str) -> AsyncIterator[Tree]:
        """The volume with all in it that must be seen, and not changed meanwhile. Raises `NotFound`."""
        self.get(volume_id)
        await self.views.observe(volume_id)
        async with self._committed.lock(volume_id):
            yield self._tree(volume_id)

    async def put_v1(self, volume_id: str, files: Sequence[MountFile], *, overwrite: bool) -> None:
        """Writes files whose contents were sent before. Raises `AlreadyExists`, `NotFound`, `ResourceExhausted`."""
        await self._committed.to_its_end(self._put_v1(volume_id, files, overwrite=overwrite))

    async def _put_v1(self, volume_id: str, files: Sequence[MountFile], *, overwrite: bool) -> None:
        async with self._observed(volume_id) as tree:
            if await asyncio.to_thread(tree.count) + len(files) > V1_MAX_FILES:
                raise ResourceExhausted(f"A v1 volume holds at most {V1_MAX_FILES} files and folders.")
            if not overwrite:
                for file in files:
                    tree.check_free(file.path)
            for file in files:
                self._committed.note(volume_id, tree.with_parents(file.path))
                content = self._mounts.content_path(file.sha256)
                size = content.stat().st_size
                await asyncio.to_thread(tree.put, file.path, [content], mode=file.mode, size=size)

    async def put_v2(self, volume_id: str, uploads: Sequence[Upload], *, overwrite: bool) -> list[MissingBlock]:
        """Writes the files when all of their blocks have been put; otherwise the blocks that are missing."""
        return await self._committed.to_its_end(self._put_v2(volume_id, uploads, overwrite=overwrite))

    async def _put_v2(self, volume_id: str, uploads: Sequence[Upload], *, overwrite: bool) -> list[MissingBlock]:
        async with self._observed(volume_id) as tree:
            if not overwrite:
                for upload in uploads:
                    tree.check_free(upload.path)
            tree.check_folders([upload.path for upload in uploads], V2_MAX_FILES_IN_FOLDER)
            missing = [
                MissingBlock(file_index, block_index, digest)
                for file_index, upload in enumerate(uploads)
                for block_index, digest in enumerate(upload.digests)
                if not self._block(digest).exists()
            ]
            if missing:
                return missing
            for upload in uploads:
                blocks = [self._block(digest) for digest in upload.digests]
                _check_blocks(upload, [block.stat().st_size for block in blocks])
                self._committed.note(volume_id, tree.with_parents(upload.path))
                await asyncio.to_thread(
                    tree.put, upload.path, blocks, mode=upload.mode, size=upload.size, piece_bytes=BLOCK_BYTES
                )
        for digest in {digest for upload in uploads for digest in upload.digests}:
            self._block(digest).unlink(missing_ok=True)
        return []

    async def receive_block(self, digest: bytes, chunks: AsyncIterator[bytes]) -> None:
        """Keeps a block as it arrives. Raises `InvalidArgument` when its digest is another."""
        actual = hashlib.sha256()
        partial = self._blocks / ids.new_id("partial")
        try:
            with partial.open("wb") as file:
                async for chunk in chunks:
                    actual.update(chunk)
                    file.write(chunk)
            if actual.digest() != digest:
                raise InvalidArgument("the block does not have the digest that was announced")
            partial.rename(self._block(digest))
        finally:
            partial.unlink(missing_ok=True)

    async def remove_file(self, volume_id: str, path: str, *, recursive: bool) -> None:
        """Raises `NotFound`, and `InvalidArgument` for a folder that is not empty without `recursive`."""
        await self._committed.to_its_end(self._remove_file(volume_id, path, recursive=recursive))

    async def _remove_file(self, volume_id: str, path: str, *, recursive: bool) -> None:
        async with self._observed(volume_id) as tree:
            self._committed.note(volume_id, await asyncio.to_thread(tree.all_below, path))
            await asyncio.to_thread(tree.remove, path, recursive=recursive)

    async def copy_files(self, volume_id: str, sources: Sequence[str], target: str, *, recursive: bool) -> None:
        """Copies as ``cp`` does, within the volume. Raises `NotFound`, `InvalidArgument`."""
        await self._committed.to_its_end(self._copy_files(volume_id, sources, target, recursive=recursive))

    async def _copy_files(self, volume_id: str, sources: Sequence[str], target: str, *, recursive: bool) -> None:
        async with self._observed(volume_id) as tree:
            plan = await asyncio.to_thread(tree.plan_copy, list(sources), target, recursive=recursive)
            self._committed.note(volume_id, [path for _source, onto in plan for path in tree.with_parents(onto)])
            for source, onto in plan:
                await asyncio.to_thread(tree.copy, source, onto)

    def _tree(self, volume_id: str) -> Tree:
        self.get(volume_id)
        return Tree(self._committed.head(volume_id))

    def _block(self, digest: bytes) -> Path:
        return self._blocks / digest.hex()


def _check_blocks(upload: Upload, sizes: Sequence[int]) -> None:
    """Raises `InvalidArgument` when blocks of these sizes can not be the file. SDKs cut the zeros at a block's end."""
    spans = [min(BLOCK_BYTES, upload.size - start) for start in range(0, upload.size, BLOCK_BYTES)]
    if len(sizes) != len(spans) or any(size > span for size, span in zip(sizes, spans, strict=True)):
        raise InvalidArgument(f"{upload.path}: the blocks do not add up to {upload.size} bytes")


def _volume(row: Row) -> Volume:
    return Volume(**dict(row))
