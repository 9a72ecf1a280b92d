"""Where sandboxes are kept: one row each, newest first in lists."""

from __future__ import annotations

import sqlite3
from contextlib import AbstractContextManager
from typing import Any

import msgspec

from localmodal.errors import AlreadyExists, NotFound
from localmodal.services.images.table import Image
from localmodal.services.sandboxes.spec import Sandbox
from localmodal.store import Row, Store

_SCHEMA = """
CREATE TABLE IF NOT EXISTS sandboxes (
    id TEXT PRIMARY KEY, task_id TEXT NOT NULL UNIQUE, app_id TEXT NOT NULL, environment TEXT NOT NULL,
    name TEXT NOT NULL, created_at REAL NOT NULL, running INTEGER NOT NULL, finished INTEGER NOT NULL,
    record BLOB NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS sandboxes_running_name ON sandboxes (app_id, name) WHERE running AND name != '';
CREATE INDEX IF NOT EXISTS sandboxes_listing ON sandboxes (environment, running, created_at);
"""


class SandboxTable:
    """Reads and writes whole records."""

    def __init__(self, store: Store) -> None:
        self._store = store
        store.ensure(_SCHEMA)

    def add(self, sandbox: Sandbox) -> None:
        """Raises `AlreadyExists` when a running sandbox of the app has the name."""
        try:
            self._store.execute(
                "INSERT INTO sandboxes VALUES (?, ?, ?, ?, ?, ?, 1, 0, ?)",
                (*_columns(sandbox)[:6], msgspec.json.encode(sandbox)),
            )
        except sqlite3.IntegrityError as error:
            raise AlreadyExists(f"A sandbox named '{sandbox.name}' already exists in this app.") from error

    def update(self, sandbox_id: str, **changes: Any) -> Sandbox:
        """Changes fields of a record; the new record. Raises `NotFound`, and `AlreadyExists` for a name in use."""
        with self._store.transaction():
            changed = msgspec.structs.replace(self.get(sandbox_id), **changes)
            try:
                self._store.execute(
                    "UPDATE sandboxes SET name = ?, running = ?, record = ? WHERE id = ?",
                    (changed.name, changed.running, msgspec.json.encode(changed), sandbox_id),
                )
            except sqlite3.IntegrityError as error:
                raise AlreadyExists(f"A sandbox named '{changed.name}' already exists in this app.") from error
        return changed

    def transaction(self) -> AbstractContextManager[None]:
        """What is written inside, here and by others, takes effect together or not at all."""
        return self._store.transaction()

    def finish(self, sandbox_id: str) -> None:
        """Marks that nothing of an ended sandbox is left to clean up."""
        self._store.execute("UPDATE sandboxes SET finished = 1 WHERE id = ?", (sandbox_id,))

    def get(self, sandbox_id: str) -> Sandbox:
        return self._one("id = ?", sandbox_id, f"Sandbox with ID '{sandbox_id}' not found.")

    def by_task(self, task_id: str) -> Sandbox:
        return self._one("task_id = ?", task_id, f"Task with ID '{task_id}' not found.")

    def _one(self, condition: str, value: str, missing: str) -> Sandbox:
        row = self._store.one(f"SELECT record FROM sandboxes WHERE {condition}", (value,))  # noqa: S608 (constants)
        if row is None:
            raise NotFound(missing)
        return _sandbox(row)

    def by_name(self, app_id: str, name: str, *, include_ended: bool) -> Sandbox:
        """The running sandbox of this name, or with `include_ended` the newest ended one when none runs."""
        row = self._store.one(
            "SELECT record FROM sandboxes WHERE app_id = ? AND name = ? AND running >= ? "
            "ORDER BY running DESC, created_at DESC",
            (app_id, name, 0 if include_ended else 1),
        )
        if row is None:
            raise NotFound(f"Sandbox with name '{name}' not found.")
        return _sandbox(row)

    def page(
        self,
        *,
        environment: str,
        app_id: str,
        before: float,
        include_ended: bool,
        tags: dict[str, str],
        limit: int,
        as_of: float | None = None,
    ) -> list[Sandbox]:
        """At most `limit` sandboxes made before a time, newest first, that carry all of `tags`.

        With `as_of` the list is that of an earlier moment, in seconds since 1970.
        """
        rows = self._store.all(
            "SELECT record FROM sandboxes WHERE (environment = ? OR ? = '') AND (app_id = ? OR ? = '') "
            "AND running >= ? AND created_at < ? ORDER BY created_at DESC",
            (
                environment,
                environment,
                app_id,
                app_id,
                0 if include_ended or as_of else 1,
                min(before, as_of or before),
            ),
        )
        found: list[Sandbox] = []
        for row in rows:
            sandbox = _sandbox(row)
            if as_of is not None:
                sandbox = _at(sandbox, as_of)
                if not (sandbox.running or include_ended):
                    continue
            if tags.items() <= sandbox.tags.items():
                found.append(sandbox)
            if len(found) == limit:
                break
        return found

    def images(self) -> list[Image]:
        """What sandboxes stand on which run or were not cleaned up after, and the layer that each is to leave."""
        return [
            msgspec.structs.replace(sandbox.image, layers=(*sandbox.image.layers, sandbox.exit_layer))
            for sandbox in self.unfinished()
        ]

    def unfinished(self) -> list[Sandbox]:
        """Those that run, or whose end was not cleaned up after."""
        return [_sandbox(row) for row in self._store.all("SELECT record FROM sandboxes WHERE NOT finished")]


def _at(sandbox: Sandbox, moment: float) -> Sandbox:
    """A sandbox as it was at an earlier moment, in seconds since 1970."""
    if sandbox.ended_at is not None and sandbox.ended_at > moment:
        sandbox = msgspec.structs.replace(sandbox, ended_at=None, status=None, exit_code=0, message="")
    if sandbox.ready_at is not None and sandbox.ready_at > moment:
        sandbox = msgspec.structs.replace(sandbox, ready_at=None)
    return sandbox


def _columns(sandbox: Sandbox) -> tuple[str, str, str, str, str, float]:
    return sandbox.id, sandbox.task_id, sandbox.app_id, sandbox.environment, sandbox.name, sandbox.created_at


def _sandbox(row: Row) -> Sandbox:
    return msgspec.json.decode(row["record"], type=Sandbox)
