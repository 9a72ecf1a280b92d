"""Secrets: named ones, and the nameless ones that SDKs make for one call.

Values are kept out of the database, each secret's in a file of its own that only the owner can read.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from localmodal import ids
from localmodal.errors import AlreadyExists, InvalidArgument, NotFound
from localmodal.home import Home
from localmodal.services.environments.backend import EnvironmentsBackend
from localmodal.services.names import Creation, check_name
from localmodal.store import Row, Store

# A nameless secret is used by the call that follows at once; what a crashed client left is removed later.
_UNNAMED_LIFETIME_S = 3600
_SCHEMA = """
CREATE TABLE IF NOT EXISTS secrets (
    id TEXT PRIMARY KEY, environment TEXT NOT NULL, name TEXT NOT NULL, created_at REAL NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS secrets_name ON secrets (environment, name) WHERE name != '';
"""


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret without its values."""

    id: str
    environment: str
    name: str
    created_at: float


class SecretsBackend:
    """The secrets of one home."""

    def __init__(self, store: Store, home: Home, environments: EnvironmentsBackend) -> None:
        self._store = store
        self._folder = home.folder("secrets")
        self._environments = environments
        store.ensure(_SCHEMA)

    def get_or_create(
        self,
        environment: str,
        name: str,
        creation: Creation,
        values: Mapping[str, str],
        required_keys: Sequence[str] = (),
    ) -> Secret:
        """Raises `NotFound`, `AlreadyExists`, `InvalidArgument`, each where `creation` says so."""
        environment = self._environments.resolve(environment)
        if creation.unnamed:
            self._drop_old_unnamed()
            return self._create(environment, "", values)
        check_name(name, "Secret")
        row = self._store.one("SELECT * FROM secrets WHERE environment = ? AND name = ?", (environment, name))
        if row is None:
            if creation is Creation.LOOK_UP:
                raise NotFound(f"Secret '{name}' not found in environment '{environment}'.")
            return self._create(environment, name, values)
        secret = _secret(row)
        if creation is Creation.FAIL_IF_EXISTS:
            raise AlreadyExists(f"Secret '{name}' already exists.")
        if creation is Creation.OVERWRITE:
            self._write(secret.id, values)
        missing = [key for key in required_keys if key not in self.values(secret.id)]
        if missing:
            raise NotFound(f"Secret is missing key(s) {', '.join(missing)}")
        return secret

    def get(self, secret_id: str) -> Secret:
        row = self._store.one("SELECT * FROM secrets WHERE id = ?", (secret_id,))
        if row is None:
            raise NotFound(f"Secret with ID '{secret_id}' not found.")
        return _secret(row)

    def values(self, secret_id: str) -> dict[str, str]:
        """What the secret holds. Raises `NotFound`."""
        self.get(secret_id)
        values: dict[str, str] = json.loads((self._folder / secret_id).read_text())
        return values

    def named(self, environment: str) -> list[Secret]:
        """All named secrets of an environment, the newest first."""
        rows = self._store.all(
            "SELECT * FROM secrets WHERE environment = ? AND name != '' ORDER BY created_at DESC",
            (self._environments.resolve(environment),),
        )
        return [_secret(row) for row in rows]

    def update(self, secret_id: str, changes: Mapping[str, str | None]) -> None:
        """Sets keys, and removes those whose value is None."""
        values: dict[str, str | None] = {**self.values(secret_id), **changes}
        self._write(secret_id, {key: value for key, value in values.items() if value is not None})

    def delete(self, secret_id: str) -> None:
        """Raises `NotFound`."""
        self.get(secret_id)
        self._store.execute("DELETE FROM secrets WHERE id = ?", (secret_id,))
        (self._folder / secret_id).unlink(missing_ok=True)

    def _create(self, environment: str, name: str, values: Mapping[str, str]) -> Secret:
        secret_id = ids.new_id("st")
        self._write(secret_id, values)
        self._store.execute("INSERT INTO secrets VALUES (?, ?, ?, ?)", (secret_id, environment, name, time.time()))
        return self.get(secret_id)

    def _write(self, secret_id: str, values: Mapping[str, str]) -> None:
        for key in values:
            if not key or "=" in key or "\0" in key:
                raise InvalidArgument(f"Invalid key of a secret: '{key}'")
        descriptor = os.open(self._folder / secret_id, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(dict(values), file)

    def _drop_old_unnamed(self) -> None:
        rows = self._store.all(
            "SELECT id FROM secrets WHERE name = '' AND created_at < ?", (time.time() - _UNNAMED_LIFETIME_S,)
        )
        for row in rows:
            self.delete(row["id"])


def _secret(row: Row) -> Secret:
    return Secret(**dict(row))
