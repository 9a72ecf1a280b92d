"""Where images are kept: one row each, the names that they were published under, and the ids of snapshots."""

from __future__ import annotations

import time

import msgspec

from localmodal.errors import NotFound
from localmodal.store import Row, Store

_SCHEMA = """
CREATE TABLE IF NOT EXISTS images (
    id TEXT PRIMARY KEY, key TEXT NOT NULL, record BLOB NOT NULL, expires_at REAL
);
CREATE INDEX IF NOT EXISTS images_key ON images (key) WHERE key != '';
CREATE INDEX IF NOT EXISTS images_expiry ON images (expires_at) WHERE expires_at IS NOT NULL;
CREATE TABLE IF NOT EXISTS image_tags (
    environment TEXT NOT NULL, tag TEXT NOT NULL, image_id TEXT NOT NULL, PRIMARY KEY (environment, tag)
);
CREATE TABLE IF NOT EXISTS image_logs (image_id TEXT PRIMARY KEY, log TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS image_snapshots (
    task_id TEXT NOT NULL, snapshot_id TEXT NOT NULL, image_id TEXT NOT NULL, PRIMARY KEY (task_id, snapshot_id)
);
"""


class Image(msgspec.Struct, frozen=True, kw_only=True):
    """An image that sandboxes can run. `podman_ref` is in podman's store; `layers` lie on top of it, oldest first.

    Times are seconds since 1970.
    """

    id: str
    podman_ref: str
    layers: tuple[str, ...] = ()
    env: dict[str, str] = {}
    workdir: str = ""
    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    created_at: float = 0.0
    expires_at: float | None = None


class ImageTable:
    """Reads and writes whole records."""

    def __init__(self, store: Store) -> None:
        self._store = store
        store.ensure(_SCHEMA)

    def get(self, image_id: str) -> Image:
        """Raises `NotFound`, also for one that has expired."""
        row = self._store.one(
            "SELECT record FROM images WHERE id = ? AND (expires_at IS NULL OR expires_at > ?)",
            (image_id, time.time()),
        )
        if row is None:
            raise NotFound(f"Image with ID '{image_id}' not found.")
        return _image(row)

    def all(self) -> list[Image]:
        """All images, those too that have expired and are still to be removed."""
        return [_image(row) for row in self._store.all("SELECT record FROM images")]

    def expired(self) -> list[str]:
        """The ids of those whose time is over."""
        rows = self._store.all("SELECT id FROM images WHERE expires_at <= ?", (time.time(),))
        return [str(row["id"]) for row in rows]

    def next_expiry(self) -> float | None:
        """When the next one expires."""
        row = self._store.one("SELECT min(expires_at) AS next FROM images")
        return None if row is None else row["next"]

    def built(self, key: str) -> str | None:
        """The id of an image that was built from the definition `key`."""
        row = self._store.one("SELECT id FROM images WHERE key = ? AND expires_at IS NULL", (key,))
        return None if row is None else str(row["id"])

    def add_built(self, image: Image, key: str, log: str) -> None:
        with self._store.transaction():
            self._add(image, key)
            self._store.execute("INSERT OR REPLACE INTO image_logs VALUES (?, ?)", (image.id, log))

    def add_snapshot(self, image: Image, task_id: str = "", snapshot_id: str = "") -> None:
        """With ids, `snapshot` finds it again."""
        with self._store.transaction():
            self._add(image, "")
            if snapshot_id:
                self._store.execute(
                    "INSERT OR REPLACE INTO image_snapshots VALUES (?, ?, ?)", (task_id, snapshot_id, image.id)
                )

    def _add(self, image: Image, key: str) -> None:
        self._store.execute(
            "INSERT INTO images VALUES (?, ?, ?, ?)", (image.id, key, msgspec.json.encode(image), image.expires_at)
        )

    def set_layers(self, image_id: str, layers: tuple[str, ...]) -> None:
        """Puts layers that say the same in the place of an image's. Raises `NotFound`."""
        with self._store.transaction():
            changed = msgspec.structs.replace(self.get(image_id), layers=layers)
            self._store.execute("UPDATE images SET record = ? WHERE id = ?", (msgspec.json.encode(changed), image_id))

    def delete(self, image_id: str) -> Image:
        """Forgets an image and its names; what it was. Raises `NotFound`."""
        with self._store.transaction():
            row = self._store.one("SELECT record FROM images WHERE id = ?", (image_id,))
            if row is None:
                raise NotFound(f"Image with ID '{image_id}' not found.")
            self._store.execute("DELETE FROM images WHERE id = ?", (image_id,))
            for table in ("image_tags", "image_logs", "image_snapshots"):
                self._store.execute(f"DELETE FROM {table} WHERE image_id = ?", (image_id,))  # noqa: S608 (constants)
        return _image(row)

    def log(self, image_id: str) -> str | None:
        """The log of a build that went well."""
        row = self._store.one("SELECT log FROM image_logs WHERE image_id = ?", (image_id,))
        return None if row is None else str(row["log"])

    def snapshot(self, task_id: str, snapshot_id: str) -> str | None:
        """The image that a snapshot of this id became."""
        row = self._store.one(
            "SELECT image_id FROM image_snapshots WHERE task_id = ? AND snapshot_id = ?", (task_id, snapshot_id)
        )
        return None if row is None else str(row["image_id"])

    def publish(self, image_id: str, environment: str, tag: str) -> None:
        """Gives an image a name in an environment; the name leaves the image that had it. Raises `NotFound`."""
        self.get(image_id)
        self._store.execute("INSERT OR REPLACE INTO image_tags VALUES (?, ?, ?)", (environment, tag, image_id))

    def by_tag(self, environment: str, tag: str) -> str:
        """Raises `NotFound`."""
        row = self._store.one("SELECT image_id FROM image_tags WHERE environment = ? AND tag = ?", (environment, tag))
        if row is None:
            raise NotFound(f"Image '{tag}' not found.")
        return str(row["image_id"])


def _image(row: Row) -> Image:
    return msgspec.json.decode(row["record"], type=Image)
