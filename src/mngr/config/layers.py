"""Where settings come from, lowest first: built in, the user's file, the repository's two files, the environment,
``--setting`` on the command line. A command's own options go before all of them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from mngr import paths
from mngr.config.schema import DEFAULT_PROVIDER, AgentTypeSettings, ModalSettings, Settings
from mngr.errors import UsageError

ENVIRONMENT_PREFIX = "MNGR__"
FILE_NAME = "settings.toml"
LOCAL_FILE_NAME = "settings.local.toml"
REPOSITORY_FOLDER = ".mngr"
overrides: ContextVar[tuple[str, ...]] = ContextVar("overrides", default=())
"""What ``--setting`` gave, as ``key.of.setting=value``."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One source of settings; `name` is what an error calls it, `lines` what it is written in, for line numbers."""

    name: str
    values: dict[str, Any]
    lines: tuple[str, ...] = ()

    def place(self, key: str) -> str:
        """Where the last part of `key` stands: the name, with the line where there are lines."""
        word = key.rsplit(".", 1)[-1]
        for number, line in enumerate(self.lines, start=1):
            if line.split("=")[0].strip().strip('"') == word or line.strip().rstrip("]").endswith(f".{word}"):
                return f"{self.name}, line {number}"
        return self.name


def load() -> Settings:
    """The settings in force. Raises `UsageError` naming each key that is unknown or wrong, and where it stands."""
    merged: dict[str, Any] = {}
    problems: list[str] = []
    for layer in layers():
        problems += check(layer)
        merged = _merge(merged, layer.values)
    if problems:
        raise UsageError("\n".join(problems))
    providers = merged.get("providers", {})
    providers.setdefault(DEFAULT_PROVIDER, {})
    return msgspec.convert(merged | {"providers": providers}, Settings, strict=False)


def layers() -> list[Layer]:
    """All sources that there are, lowest first. Raises `UsageError` for a file that is no TOML."""
    found = [_file(path) for path in files() if path.exists()]
    return [*found, *_environment(os.environ), *(_override(text) for text in overrides.get())]


def files() -> list[Path]:
    """The files that are looked at, lowest first, there or not."""
    repository = _repository(Path.cwd())
    local = [repository / name for name in (FILE_NAME, LOCAL_FILE_NAME)] if repository else []
    return [paths.home() / FILE_NAME, *local]


def of_repository() -> list[Layer]:
    """What came with the repository that we are in, or was put there. Raises `UsageError`."""
    own, *local = files()
    return [_file(path) for path in local if path.exists() and path != own]


def _repository(start: Path) -> Path | None:
    """The settings folder of the repository that `start` is in, when it has one."""
    for folder in (start, *start.parents):
        if (folder / ".git").exists():
            return folder / REPOSITORY_FOLDER
    return None


def _file(path: Path) -> Layer:
    import tomllib

    text = path.read_text()
    try:
        return Layer(str(path), tomllib.loads(text), tuple(text.splitlines()))
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path}: {error}") from error


def _environment(environment: Mapping[str, str]) -> list[Layer]:
    """``MNGR__PROVIDERS__MODAL__DEFAULT_CPU=2`` is ``providers.modal.default_cpu = 2``."""
    found = []
    for name, text in sorted(environment.items()):
        if name.startswith(ENVIRONMENT_PREFIX):
            key = name.removeprefix(ENVIRONMENT_PREFIX).lower().split("__")
            found.append(Layer(f"{name} in the environment", nest(key, parse_value(text))))
    return found


def _override(text: str) -> Layer:
    key, found, value = text.partition("=")
    if not found or not key:
        raise UsageError(f"--setting {text!r}: must be KEY=VALUE, such as providers.modal.default_cpu=2")
    return Layer(f"--setting {text}", nest(key.split("."), parse_value(value)))


def parse_value(text: str) -> Any:
    """A value as TOML has it; what is no TOML is a string as it stands."""
    import tomllib

    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def nest(key: list[str], value: Any) -> dict[str, Any]:
    """``{"a": {"b": value}}`` for the key ``a.b``."""
    for part in reversed(key):
        value = {part: value}
    return value  # type: ignore[no-any-return]


def _merge(lower: dict[str, Any], upper: dict[str, Any]) -> dict[str, Any]:
    merged = dict(lower)
    for key, value in upper.items():
        below = merged.get(key)
        merged[key] = _merge(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


def check(layer: Layer) -> list[str]:
    """What is wrong in a layer, a line each."""
    problems = _unknown(layer, layer.values, Settings, "")
    for section, kind in (("providers", ModalSettings), ("agent_types", AgentTypeSettings)):
        named = layer.values.get(section, {})
        for name, values in named.items() if isinstance(named, dict) else ():
            if isinstance(values, dict):
                problems += _unknown(layer, values, kind, f"{section}.{name}.")
                problems += _wrong(layer, values, kind, f"{section}.{name}.")
    return problems


def _unknown(layer: Layer, values: dict[str, Any], kind: type[msgspec.Struct], prefix: str) -> list[str]:
    known = kind.__struct_fields__
    problems = []
    for key in values:
        if key not in known:
            import difflib

            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(known)}"
            problems.append(f"{layer.place(prefix + key)}: unknown setting {prefix + key!r}; {hint}")
    return problems


def _wrong(layer: Layer, values: dict[str, Any], kind: type[msgspec.Struct], prefix: str) -> list[str]:
    problems = []
    for key, value in values.items():
        if key in kind.__struct_fields__:
            try:
                msgspec.convert({key: value}, kind, strict=False)
            except msgspec.ValidationError as error:
                reason = str(error).split(" - at")[0]
                problems.append(f"{layer.place(prefix + key)}: {prefix + key} = {value!r}: {reason}")
    return problems
