"""Blobs: bytes too large for a message, sent over HTTP beforehand."""

from __future__ import annotations

import hashlib
import time
from collections.abc import AsyncIterator
from pathlib import Path

from localmodal import ids
from localmodal.errors import InvalidArgument, NotFound
from localmodal.home import Home

_LIFETIME_S = 24 * 3600
_READ_BYTES = 1 << 20


class BlobsBackend:
    """The blobs of one home, each a file. One that nobody took is removed after a day."""

    def __init__(self, home: Home) -> None:
        self._folder = home.folder("blobs")

    def create(self) -> str:
        """The id of a blob that has no bytes yet."""
        self._drop_old()
        return ids.new_id("bl")

    def path(self, blob_id: str) -> Path:
        """Raises `NotFound` when its bytes have not arrived."""
        path = self._place(blob_id)
        if not path.exists():
            raise NotFound(f"Blob with ID '{blob_id}' not found.")
        return path

    async def receive(self, blob_id: str, chunks: AsyncIterator[bytes]) -> str:
        """Keeps the bytes of a blob as they arrive; their MD5 in hexadecimal."""
        digest = hashlib.md5(usedforsecurity=False)
        partial = self._place(ids.new_id("partial"))
        try:
            with partial.open("wb") as file:
                async for chunk in chunks:
                    digest.update(chunk)
                    file.write(chunk)
            partial.rename(self._place(blob_id))
        finally:
            partial.unlink(missing_ok=True)
        return digest.hexdigest()

    def move_to(self, blob_id: str, sha256: str, target: Path) -> None:
        """Makes a blob the file `target`. Raises `InvalidArgument` when its digest is not `sha256`."""
        path = self.path(blob_id)
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while chunk := file.read(_READ_BYTES):
                digest.update(chunk)
        if digest.hexdigest() != sha256:
            raise InvalidArgument(f"The blob {blob_id} does not have the digest {sha256}.")
        path.rename(target)

    def _place(self, name: str) -> Path:
        if "/" in name or name.startswith("."):
            raise InvalidArgument(f"Not a blob id: '{name}'")
        return self._folder / name

    def _drop_old(self) -> None:
        for path in self._folder.iterdir():
            if path.stat().st_mtime < time.time() - _LIFETIME_S:
                path.unlink(missing_ok=True)
