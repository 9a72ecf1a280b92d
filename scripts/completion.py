"""Writes src/mngr/cli/completion.tsv: what completion knows of commands without importing them."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import click

from mngr.cli import app, completing
from mngr.providers.modal.build_args import ARGUMENTS

_BY_OPTION = {"--snapshot": "snapshot", "--in": "provider", "-b": completing.BUILD_ARGUMENT}
_BY_METAVAR = {"AGENT": "agent", "AGENT|HOST": "agent-or-host", "HOST": "host", "VOLUME|HOST": "host"}
_BY_PLACE = {
    "push source": "file",
    "pull destination": "file",
    "rsync sources": "remote",
    "rsync destination": "remote",
    "create --from": "file",
}


def table() -> str:
    """The file's text."""
    context = click.Context(app.app)
    common = {name for one in app.common_options(click.Command("common")).params for name in one.opts}
    lines = []
    for name in app.COMMANDS:
        command = app.app.get_command(context, name)
        if isinstance(command, click.Group):
            for sub, one in command.commands.items():
                lines += _lines(f"{name} {sub}", one, common)
        elif command is not None:
            lines += _lines(name, command, common)
    lines += [f"{completing.BUILD_ARGUMENT}\t{one.name}\ttext\t1\t{one.help}" for one in ARGUMENTS]
    return "\n".join(lines) + "\n"


def _lines(words: str, command: click.Command, common: set[str]) -> Iterator[str]:
    mine = [one for one in command.params if not common & set(one.opts)]
    if not mine:
        yield f"{words}\t\t\t\t"
    for one in mine:
        many = "many" if isinstance(one, click.Option) and one.multiple else str(one.nargs)
        names = " ".join([*one.opts, *one.secondary_opts]) if isinstance(one, click.Option) else str(one.name)
        text = " ".join((getattr(one, "help", "") or "").split())
        yield f"{words}\t{names}\t{_kind(words, one)}\t{many}\t{text}"


def _kind(words: str, one: click.Parameter) -> str:
    if isinstance(one, click.Option) and (one.is_flag or one.count):
        return "flag"
    for name in (*one.opts, one.name):
        if kind := _BY_PLACE.get(f"{words} {name}") or _BY_OPTION.get(str(name)):
            return kind
    metavar = (one.metavar or str(one.name)).strip("[]…").split("…")[0].upper().removesuffix("S")
    if metavar in _BY_METAVAR:
        return _BY_METAVAR[metavar]
    if isinstance(one.type, click.Choice):
        return "|".join(str(choice) for choice in one.type.choices)
    return "file" if isinstance(one.type, click.Path) else "text"


if __name__ == "__main__":
    if "--check" not in sys.argv:
        completing.TABLE.write_text(table())
    elif completing.TABLE.read_text() != table():
        sys.exit(f"{completing.TABLE} is old; type: python scripts/completion.py")
