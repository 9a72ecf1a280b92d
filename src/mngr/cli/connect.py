"""`mngr connect`."""

from __future__ import annotations

import sys

import click

from mngr.cli.app import Output, common_options
from mngr.cli.steps import with_steps
from mngr.errors import UsageError
from mngr.operations.connecting import connect


@click.command("connect")
@click.argument("agent")
@click.option("--read-only", is_flag=True, help="Only look; nothing that is typed reaches the agent.")
@common_options
@click.pass_obj
def command(output: Output, agent: str, read_only: bool) -> int:
    """Attach this terminal to AGENT. Ctrl-b d detaches; the agent goes on.

    A stopped one is started first. When the line drops it is opened again.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError(f"connect needs a terminal; to run a command use: mngr exec {agent} COMMAND")
    return attach(output, agent, read_only=read_only)


def attach(output: Output, agent: str, *, read_only: bool = False) -> int:
    """Attaches this terminal, with what happens told on standard error."""

    def say(text: str) -> None:
        print(f"mngr: {text}", file=sys.stderr)

    return with_steps(output, lambda progress: connect(agent, progress, say, read_only=read_only))
