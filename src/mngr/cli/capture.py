"""`mngr capture`."""

from __future__ import annotations

import click

from mngr.cli import render
from mngr.cli.app import Output, common_options
from mngr.cli.steps import steps
from mngr.operations.talking import screen


@click.command("capture")
@click.argument("agent")
@click.option("--ansi", is_flag=True, help="With colours and styles.")
@click.option("--history", is_flag=True, help="With what has scrolled away.")
@common_options
@click.pass_obj
def command(output: Output, agent: str, ansi: bool, history: bool) -> int:
    """Print what AGENT's screen shows now."""
    text = screen(agent, steps(output), ansi=ansi, history=history)
    render.result({"screen": text}, output.form, text.rstrip("\n"))
    return 0
