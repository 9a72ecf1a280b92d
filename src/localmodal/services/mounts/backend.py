"""Files that clients send: kept once by their SHA-256; a mount is a list of them with paths."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from localmodal import ids
from localmodal.errors import InvalidArgument, NotFound
from localmodal.home import Home
from localmodal.services.blobs.backend import BlobsBackend
from localmodal.services.names import Creation
from localmodal.store import Store

_SHA256 = re.compile(r"[0-9a-f]{64}")
_SCHEMA = """
CREATE TABLE IF NOT EXISTS mounts (
    id TEXT PRIMARY KEY, environment TEXT NOT NULL, name TEXT NOT NULL, files TEXT NOT NULL, digest TEXT NOT NULL
);
"""


@dataclass(frozen=True, slots=True)
class MountFile:
    """One file of a mount. `mode` 0 means that the client did not say."""

    path: str
    sha256: str
    mode: int


class MountsBackend:
    """The mounts of one home."""

    def __init__(self, store: Store, home: Home, blobs: BlobsBackend) -> None:
        self._store = store
        self._folder = home.folder("files")
        self._blobs = blobs
        store.ensure(_SCHEMA)

    def content_path(self, sha256: str) -> Path:
        """Where the content with this digest is kept. Raises `NotFound` when it never arrived."""
        path = self._folder / _checked(sha256)
        if not path.exists():
            raise NotFound(f"No file with the digest {sha256} was sent.")
        return path

    def missing(self, digests: Sequence[str]) -> list[str]:
        """Those of `digests` whose content has not been sent."""
        return [digest for digest in digests if not (self._folder / _checked(digest)).exists()]

    def put(self, sha256: str, data: bytes, blob_id: str) -> None:
        """Keeps content that came with the call, or before it as a blob. Raises `InvalidArgument` when the digest is
        not the content's."""
        target = self._folder / _checked(sha256)
        if blob_id:
            self._blobs.move_to(blob_id, sha256, target)
            return
        if hashlib.sha256(data).hexdigest() != sha256:
            raise InvalidArgument(f"The content does not have the digest {sha256}.")
        partial = self._folder / f"{ids.new_id('partial')}"
        partial.write_bytes(data)
        partial.rename(target)

    def get_or_create(self, environment: str, name: str, creation: Creation, files: Sequence[MountFile]) -> str:
        """The id of a mount; the same files give the same mount. Raises `NotFound`."""
        if creation is Creation.LOOK_UP:
            row = self._store.one("SELECT id FROM mounts WHERE name = ? AND name != ''", (name,))
            if row is None:
                raise NotFound(f"Mount '{name}' not found: localmodal has no mounts of Modal's own.")
            return str(row["id"])
        lost = self.missing([file.sha256 for file in files])
        if lost:
            raise NotFound(f"{len(lost)} files of the mount were not sent.")
        text = json.dumps(sorted((asdict(file) for file in files), key=lambda file: file["path"]))
        digest = hashlib.sha256(text.encode()).hexdigest()
        label = "" if creation.unnamed else name
        row = self._store.one("SELECT id FROM mounts WHERE digest = ? AND name = ?", (digest, label))
        if row is not None:
            return str(row["id"])
        mount_id = ids.new_id("mo")
        self._store.execute("INSERT INTO mounts VALUES (?, ?, ?, ?, ?)", (mount_id, environment, label, text, digest))
        return mount_id

    def files(self, mount_id: str) -> list[MountFile]:
        """Raises `NotFound`."""
        return [MountFile(**file) for file in json.loads(self._row(mount_id)["files"])]

    def digest(self, mount_id: str) -> str:
        """A digest of the paths, modes and contents of a mount."""
        return str(self._row(mount_id)["digest"])

    def _row(self, mount_id: str) -> dict[str, str]:
        row = self._store.one("SELECT files, digest FROM mounts WHERE id = ?", (mount_id,))
        if row is None:
            raise NotFound(f"Mount with ID '{mount_id}' not found.")
        return dict(row)


def _checked(sha256: str) -> str:
    if not _SHA256.fullmatch(sha256):
        raise InvalidArgument(f"Not a SHA-256 digest: '{sha256}'")
    return sha256
