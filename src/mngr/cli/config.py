"""`mngr config`."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path
from typing import Any

import click
import msgspec

from mngr import config, paths
from mngr.cli import render
from mngr.cli.app import Output, common_options
from mngr.config import layers
from mngr.errors import NotFound, UsageError

_SCOPES = ("user", "project", "local")
_SCOPE = click.option("--scope", type=click.Choice(_SCOPES), default="user", show_default=True, help="Whose file.")


@click.group("config")
@common_options
def command() -> None:
    """Show and change settings.

    Lowest first they come from: what is built in, $MNGR_HOME/settings.toml (user), the repository's
    .mngr/settings.toml (project) and .mngr/settings.local.toml (local), MNGR__KEY__OF__SETTING in the environment,
    --setting, and a command's own options.
    """


def _file(scope: str) -> Path:
    found = dict(zip(_SCOPES, layers.files(), strict=False))
    if scope not in found:
        raise UsageError(f"--scope {scope}: this folder is in no git repository")
    return found[scope]


def _values() -> dict[str, Any]:
    values: dict[str, Any] = msgspec.to_builtins(config.load())
    return values


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in values.items():
        found |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return found


@command.command("list")
@common_options
@click.pass_obj
def list_values(output: Output) -> int:
    """List all settings in force."""
    values = _values()
    render.result(values, output.form, "\n".join(f"{key} = {_shown(value)}" for key, value in _flat(values).items()))
    return 0


@command.command("get")
@click.argument("key")
@common_options
@click.pass_obj
def get_value(output: Output, key: str) -> int:
    """Print the setting KEY that is in force."""
    flat = _flat(_values())
    if key not in flat:
        problems = layers.check(layers.Layer("config get", layers.nest(key.split("."), "")))
        raise NotFound(problems[0] if problems else f"there is no setting {key!r}; see: mngr config list")
    render.result({"key": key, "value": flat[key]}, output.form, _shown(flat[key]).strip('"'))
    return 0


@command.command("set")
@click.argument("key")
@click.argument("value")
@_SCOPE
@common_options
@click.pass_obj
def set_value(output: Output, key: str, value: str, scope: str) -> int:
    """Set KEY to VALUE in a file; comments in it stay."""
    from mngr.config import edit

    path = _file(scope)
    understood = edit.set_value(path, key, value)
    result = {"key": key, "value": understood, "path": str(path)}
    render.result(result, output.form, "" if output.quiet else f"{key} = {_shown(understood)} in {path}")
    return 0


@command.command("unset")
@click.argument("key")
@_SCOPE
@common_options
@click.pass_obj
def unset_value(output: Output, key: str, scope: str) -> int:
    """Take KEY out of a file."""
    from mngr.config import edit

    path = _file(scope)
    edit.unset(path, key)
    render.result({"key": key, "path": str(path)}, output.form, "" if output.quiet else f"{key} is out of {path}")
    return 0


@command.command("path")
@_SCOPE
@common_options
@click.pass_obj
def show_path(output: Output, scope: str) -> int:
    """Print where a file of settings is."""
    path = _file(scope)
    render.result({"path": str(path), "exists": path.exists()}, output.form, str(path))
    return 0


@command.command("edit")
@_SCOPE
@common_options
@click.pass_obj
def edit_file(_output: Output, scope: str) -> int:
    """Open a file of settings in $VISUAL or $EDITOR and check it afterwards."""
    path = _file(scope)
    if not path.exists():
        paths.write_private(path, b"")
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    code = subprocess.run([*shlex.split(editor), str(path)]).returncode
    config.load()
    return code


def _shown(value: Any) -> str:
    return msgspec.json.encode(value).decode()
