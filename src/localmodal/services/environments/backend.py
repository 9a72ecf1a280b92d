"""Environments: the outermost names of an account. ``main`` is there from the start."""

from __future__ import annotations

import time
from dataclasses import dataclass

from localmodal import ids
from localmodal.errors import AlreadyExists, FailedPrecondition, NotFound
from localmodal.services.names import check_name
from localmodal.store import Store

DEFAULT = "main"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS environments (name TEXT PRIMARY KEY, id TEXT NOT NULL, created_at REAL NOT NULL);
"""


@dataclass(frozen=True, slots=True)
class Environment:
    name: str
    id: str
    created_at: float


class EnvironmentsBackend:
    """The environments of one home."""

    def __init__(self, store: Store) -> None:
        self._store = store
        store.ensure(_SCHEMA)
        store.execute("INSERT OR IGNORE INTO environments VALUES (?, ?, ?)", (DEFAULT, ids.new_id("en"), time.time()))

    def resolve(self, name: str) -> str:
        """The name of an environment, empty meaning the default one. Raises `NotFound`."""
        return self.get(name or DEFAULT).name

    def get(self, name: str) -> Environment:
        row = self._store.one("SELECT * FROM environments WHERE name = ?", (name or DEFAULT,))
        if row is None:
            raise NotFound(f"Environment '{name}' not found.")
        return Environment(row["name"], row["id"], row["created_at"])

    def all(self) -> list[Environment]:
        rows = self._store.all("SELECT * FROM environments ORDER BY created_at")
        return [Environment(row["name"], row["id"], row["created_at"]) for row in rows]

    def create(self, name: str) -> Environment:
        """Raises `AlreadyExists`, `InvalidArgument`."""
        check_name(name, "Environment")
        made = self._store.execute(
            "INSERT OR IGNORE INTO environments VALUES (?, ?, ?)", (name, ids.new_id("en"), time.time())
        )
        if not made:
            raise AlreadyExists(f"Environment '{name}' already exists.")
        return self.get(name)

    def delete(self, name: str) -> None:
        """Raises `NotFound`, and `FailedPrecondition` for the default one."""
        if name == DEFAULT:
            raise FailedPrecondition("The default environment cannot be deleted.")
        self._store.execute("DELETE FROM environments WHERE name = ?", (self.get(name).name,))
