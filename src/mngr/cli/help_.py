"""`mngr help TOPIC`."""

from __future__ import annotations

import click

from mngr.cli import render
from mngr.cli.app import Output, common_options
from mngr.errors import UsageError

_TOPICS = ("build-args",)


def build_arguments() -> list[tuple[str, str, str]]:
    """Each build argument: its name, what it is, and its default in brackets, empty where it has none."""
    from mngr.config import ModalSettings
    from mngr.providers.modal.build_args import ARGUMENTS, default_of

    shown = []
    for argument in ARGUMENTS:
        default = default_of(argument, ModalSettings())
        many = ", repeatable" if argument.many else ""
        shown.append((argument.name, f"{argument.help}{many}", f"  [{default}]" if default else ""))
    return shown


@click.command("help")
@click.argument("topic", required=False)
@common_options
@click.pass_context
def command(ctx: click.Context, topic: str | None) -> int:
    """Explain TOPIC (build-args), or list the commands."""
    output: Output = ctx.obj
    if topic is None:
        click.echo(ctx.find_root().get_help())
        return 0
    if topic not in _TOPICS:
        raise UsageError(f"there is no help on {topic!r}; there is: {', '.join(_TOPICS)}")
    rows = build_arguments()
    width = max(len(name) for name, _text, _default in rows)
    human = "\n".join(f"{name.ljust(width)}  {text}{default}" for name, text, default in rows)
    value = {name: {"help": text, "default": default.strip(" []")} for name, text, default in rows}
    render.result({"build_args": value}, output.form, human)
    return 0
