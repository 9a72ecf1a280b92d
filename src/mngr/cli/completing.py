"""Answers a shell that asks how a word goes on, by click's own mechanism: ``_MNGR_COMPLETE=bash_complete mngr``.

The modules of commands take several times as long to import as a person waits for TAB. So the commands that click looks
through here are made of a table (completion.tsv, written by scripts/completion.py, held to the truth by a test), and
names come from this machine's copies of records, by plain reading.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem, shell_complete

from mngr.cli import app, completion_shells

TABLE = Path(__file__).with_name("completion.tsv")
BUILD_ARGUMENT = "build-argument"
_Row = tuple[str, str, str, str]
_Items = list[CompletionItem[Any]]


def answer(instruction: str) -> int:
    """Prints what the shell is to know; the exit code. A line that is wrong so far, or settings that are, have no
    answer."""
    completion_shells.register()
    try:
        return shell_complete(_Commands("mngr", params=app.app.params), {}, "mngr", app.COMPLETION, instruction)
    except Exception:
        # Somebody is typing: whatever it was, the command itself says so when it is called.
        return 1


def rows() -> dict[str, list[_Row]]:
    """The table: by the words of a command its parameters, each with names, kind, number of values and help."""
    found: dict[str, list[_Row]] = {}
    for line in TABLE.read_text().splitlines():
        command, names, kind, count, text = line.split("\t")
        if names:
            found.setdefault(command, []).append((names, kind, count, text))
        else:
            found.setdefault(command, [])
    return found


class _Commands(click.Group):
    """Commands as the table has them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(app.COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        table = rows()
        subcommands = {name.split(" ")[1]: name for name in table if name.startswith(f"{cmd_name} ")}
        if subcommands:
            made = {name: _command(name, table[words]) for name, words in subcommands.items()}
            return click.Group(cmd_name, commands=made, params=_common())
        return _command(cmd_name, table[cmd_name]) if cmd_name in table else None

    def shell_complete(self, ctx: click.Context, incomplete: str) -> _Items:
        if incomplete.startswith("-"):
            return super().shell_complete(ctx, incomplete)
        return [CompletionItem(name, help=text) for name, text in app.COMMANDS.items() if name.startswith(incomplete)]


def _common() -> list[click.Parameter]:
    """The options that every command takes."""
    made: Any = app.common_options(click.Command("common"))
    return list(made.params)


def _command(name: str, parameters: Iterable[_Row]) -> click.Command:
    made = [_parameter(*row) for row in parameters]
    return click.Command(name, params=[*made, *_common()])


def _parameter(names: str, kind: str, count: str, text: str) -> click.Parameter:
    shown = _completer(kind)
    if not names.startswith("-"):
        return click.Argument([names], nargs=int(count), required=False, shell_complete=shown)
    flag = kind == "flag"
    return click.Option(names.split(" "), is_flag=flag, multiple=count == "many", help=text, shell_complete=shown)


def _completer(kind: str) -> Callable[[click.Context, click.Parameter, str], _Items]:
    def complete(ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> _Items:
        if kind == "file":
            return [CompletionItem(incomplete, type="file")]
        if "|" in kind:
            return _beginning(dict.fromkeys(kind.split("|"), ""), incomplete)
        if kind == BUILD_ARGUMENT:
            wanted = {f"{one[0]}=": one[3] for one in rows()[BUILD_ARGUMENT]}
            return _beginning(wanted, incomplete)
        if kind == "provider":
            return _beginning(dict.fromkeys(_providers(), ""), incomplete)
        if kind not in _NAMES:
            return []
        found = _beginning(dict(_NAMES[kind](ctx, incomplete)), incomplete)
        return found or ([CompletionItem(incomplete, type="file")] if kind == "remote" else [])

    return complete


def _beginning(texts: Mapping[str, str], incomplete: str) -> _Items:
    return [CompletionItem(word, help=text or None) for word, text in texts.items() if word.startswith(incomplete)]


def _providers() -> list[str]:
    from mngr import config

    return list(config.load().providers)


def _agents(ctx: click.Context, incomplete: str) -> Iterator[tuple[str, str]]:
    """Names that are not there yet, with the host where the name alone does not tell."""
    from mngr.providers import known_names

    hosts = known_names.read()
    names = [agent for host in hosts for agent in host.agents]
    there = {word for value in ctx.params.values() if isinstance(value, tuple) for word in value}
    for host in hosts:
        for agent in host.agents:
            word = f"{agent}@{host.name}" if "@" in incomplete or names.count(agent) > 1 else agent
            if word not in there:
                yield word, host.state.lower()


def _remotes(ctx: click.Context, incomplete: str) -> Iterator[tuple[str, str]]:
    return ((f"{name}:", text) for name, text in _agents(ctx, incomplete))


def _hosts(_ctx: click.Context, _incomplete: str) -> Iterator[tuple[str, str]]:
    from mngr.providers import known_names

    return ((host.name, host.state.lower()) for host in known_names.read())


def _agents_and_hosts(ctx: click.Context, incomplete: str) -> Iterator[tuple[str, str]]:
    yield from _hosts(ctx, incomplete)
    yield from _agents(ctx, incomplete)


def _snapshots(ctx: click.Context, _incomplete: str) -> Iterator[tuple[str, str]]:
    """Names, and ids of those that have none; of the agents that are named already only theirs."""
    from mngr.providers import known_names

    values = ctx.params.get("agents") or ()
    wanted = {str(value).split("@")[0] for value in values}
    for host in known_names.read(destroyed=True):
        if not wanted or wanted & {host.name, *host.agents}:
            for name in host.snapshots:
                yield name, f"of {host.name}"


_NAMES: dict[str, Callable[[click.Context, str], Iterator[tuple[str, str]]]] = {
    "agent": _agents,
    "agent-or-host": _agents_and_hosts,
    "host": _hosts,
    "remote": _remotes,
    "snapshot": _snapshots,
}
