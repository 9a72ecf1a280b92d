"""The state of one localmodal, in SQLite, so that it survives a restart."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Row = sqlite3.Row


class Store:
    """One database. All calls come from the server's event loop, so a statement never waits for another."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        path.chmod(0o600)
        self._db.row_factory = sqlite3.Row
        self._db.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;")
        self._depth = 0

    def ensure(self, schema: str) -> None:
        """Runs a service's ``CREATE … IF NOT EXISTS`` statements."""
        self._db.executescript(schema)

    def execute(self, sql: str, values: Sequence[Any] = ()) -> int:
        """Runs one statement; the number of rows that it changed."""
        return self._db.execute(sql, values).rowcount

    def many(self, sql: str, values: Iterable[Sequence[Any]]) -> None:
        """Runs one statement for each row of `values`."""
        self._db.executemany(sql, values)

    def one(self, sql: str, values: Sequence[Any] = ()) -> Row | None:
        """The first row of a query, or None."""
        row: Row | None = self._db.execute(sql, values).fetchone()
        return row

    def all(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        """All rows of a query."""
        return self._db.execute(sql, values).fetchall()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All statements inside take effect together or not at all. May be nested; the outermost one counts.

        There must be no ``await`` inside: other calls would become part of it.
        """
        if self._depth:
            yield
            return
        self._db.execute("BEGIN IMMEDIATE")
        self._depth += 1
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        else:
            self._db.execute("COMMIT")
        finally:
            self._depth -= 1

    def close(self) -> None:
        self._db.close()
