"""Apps: what sandboxes belong to."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass

from localmodal import ids
from localmodal.errors import AlreadyExists, NotFound
from localmodal.services.environments.backend import EnvironmentsBackend
from localmodal.services.names import Creation, check_name
from localmodal.store import Row, Store

DEPLOYED = "APP_STATE_DEPLOYED"
STOPPED = "APP_STATE_STOPPED"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS apps (
    id TEXT PRIMARY KEY, environment TEXT NOT NULL, name TEXT NOT NULL, description TEXT NOT NULL,
    state TEXT NOT NULL, created_at REAL NOT NULL, stopped_at REAL NOT NULL, tags TEXT NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS apps_name ON apps (environment, name) WHERE name != '' AND stopped_at = 0;
"""


@dataclass(frozen=True, slots=True)
class App:
    """`state` is the name of one of Modal's app states; `stopped_at` is 0 while the app is there."""

    id: str
    environment: str
    name: str
    description: str
    state: str
    created_at: float
    stopped_at: float
    tags: dict[str, str]


class AppsBackend:
    """The apps of one home."""

    def __init__(self, store: Store, environments: EnvironmentsBackend) -> None:
        self._store = store
        self._environments = environments
        store.ensure(_SCHEMA)

    def get(self, app_id: str) -> App:
        """Raises `NotFound`."""
        row = self._store.one("SELECT * FROM apps WHERE id = ?", (app_id,))
        if row is None:
            raise NotFound(f"App with ID '{app_id}' not found.")
        return _app(row)

    def by_name(self, environment: str, name: str) -> App:
        """The app of this name that has not been stopped. Raises `NotFound`."""
        environment = self._environments.resolve(environment)
        row = self._store.one(
            "SELECT * FROM apps WHERE environment = ? AND name = ? AND stopped_at = 0", (environment, name)
        )
        if row is None:
            raise NotFound(f"App '{name}' not found in environment '{environment}'.")
        return _app(row)

    def get_or_create(self, environment: str, name: str, creation: Creation) -> App:
        """Raises `NotFound`, `AlreadyExists`, `InvalidArgument`, each where `creation` says so."""
        check_name(name, "App")
        try:
            app = self.by_name(environment, name)
        except NotFound:
            if creation is Creation.LOOK_UP:
                raise
            return self.create(environment, name=name, description=name, state=DEPLOYED)
        if creation is Creation.FAIL_IF_EXISTS:
            raise AlreadyExists(f"App '{name}' already exists.")
        return app

    def create(
        self, environment: str, *, name: str, description: str, state: str, tags: Mapping[str, str] | None = None
    ) -> App:
        """A new app, without a name where `name` is empty."""
        app_id = ids.new_id("ap")
        environment = self._environments.resolve(environment)
        self._store.execute(
            "INSERT INTO apps VALUES (?, ?, ?, ?, ?, ?, 0, ?)",
            (app_id, environment, name, description, state, time.time(), json.dumps(dict(tags or {}))),
        )
        return self.get(app_id)

    def list(self, environment: str) -> list[App]:
        """All apps of an environment, the newest first."""
        rows = self._store.all(
            "SELECT * FROM apps WHERE environment = ? ORDER BY created_at DESC",
            (self._environments.resolve(environment),),
        )
        return [_app(row) for row in rows]

    def stop(self, app_id: str) -> None:
        """Ends an app. A second call changes nothing."""
        app = self.get(app_id)
        self._store.execute(
            "UPDATE apps SET state = ?, stopped_at = ? WHERE id = ? AND stopped_at = 0", (STOPPED, time.time(), app.id)
        )

    def publish(self, app_id: str, name: str, state: str) -> None:
        """Gives an app its name and state."""
        app = self.get(app_id)
        self._store.execute(
            "UPDATE apps SET name = ?, state = ? WHERE id = ?", (name or app.name, state or app.state, app.id)
        )

    def set_tags(self, app_id: str, tags: Mapping[str, str]) -> None:
        self._store.execute("UPDATE apps SET tags = ? WHERE id = ?", (json.dumps(dict(tags)), self.get(app_id).id))


def _app(row: Row) -> App:
    values = dict(row)
    return App(**(values | {"tags": json.loads(values["tags"])}))
