"""`mngr help TOPIC`."""

from __future__ import annotations

import click

from mngr.cli import render
from mngr.cli.app import Output, common_options
from mngr.errors import UsageError

_TOPICS = ("build-args", "idle")
_IDLE_MODES = {
    "io": "keys, messages, output of agents, SSH sessions, creation and start of an agent, boot",
    "user": "keys, messages, SSH sessions, creation and start of an agent, boot",
    "agent": "output of agents, SSH sessions, creation and start of an agent, boot",
    "ssh": "SSH sessions, creation and start of an agent, boot",
    "create": "creation of an agent, boot",
    "start": "creation and start of an agent, boot",
    "boot": "boot",
    "run": "a program of an agent lives; creation and start of an agent, boot",
    "disabled": "the host never ends for idleness, nor because its agents have ended",
}


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
    """Explain TOPIC (build-args, idle), or list the commands."""
    output: Output = ctx.obj
    if topic is None:
        click.echo(ctx.find_root().get_help())
        return 0
    if topic not in _TOPICS:
        raise UsageError(f"there is no help on {topic!r}; there is: {', '.join(_TOPICS)}")
    if topic == "idle":
        render.result({"idle_modes": _IDLE_MODES}, output.form, _columns(list(_IDLE_MODES.items())))
        return 0
    rows = build_arguments()
    value = {name: {"help": text, "default": default.strip(" []")} for name, text, default in rows}
    human = _columns([(name, f"{text}{default}") for name, text, default in rows])
    render.result({"build_args": value}, output.form, human)
    return 0


def _columns(rows: list[tuple[str, str]]) -> str:
    width = max(len(name) for name, _text in rows)
    return "\n".join(f"{name.ljust(width)}  {text}" for name, text in rows)
