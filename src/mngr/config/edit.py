"""Changes a file of settings and leaves everything else in it, comments too, as it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tomlkit
import tomlkit.exceptions
import tomlkit.items

from mngr import paths
from mngr.config.layers import Layer, check, nest, parse_value
from mngr.errors import NotFound, UsageError


def set_value(path: Path, key: str, text: str) -> Any:
    """Sets one setting in a file, which is made when it is not there; the value as it was understood.

    Raises `UsageError` for a key or value that is wrong; then nothing is changed.
    """
    value = parse_value(text)
    problems = check(Layer(key, nest(key.split("."), value)))
    if problems:
        raise UsageError("\n".join(problems))
    document = _read(path)
    table: Any = document
    *folders, last = key.split(".")
    for name in folders:
        if name not in table:
            table[name] = tomlkit.table()
        table = table[name]
    table[last] = value
    paths.write_private(path, tomlkit.dumps(document).encode())
    return value


def unset(path: Path, key: str) -> None:
    """Takes one setting out of a file. Raises `NotFound` when it is not in it."""
    document = _read(path)
    table: Any = document
    *folders, last = key.split(".")
    for name in folders:
        table = table.get(name, {})
    if last not in table:
        raise NotFound(f"{path}: {key} is not set there")
    del table[last]
    paths.write_private(path, tomlkit.dumps(document).encode())


def _read(path: Path) -> tomlkit.TOMLDocument:
    try:
        return tomlkit.parse(path.read_text()) if path.exists() else tomlkit.document()
    except tomlkit.exceptions.TOMLKitError as error:
        raise UsageError(f"{path}: {error}") from error
