"""`mngr capture`."""

from __future__ import annotations

import click

from mngr.cli import render
from mngr.cli.app import Output, common_options
from mngr.cli.steps import steps
from mngr.operations.execution import screen


@click.command("capture")
@click.argument("agent")
@common_options
@click.pass_obj
def command(output: Output, agent: str) -> int:
    """Print what AGENT's screen shows now."""
    text = screen(agent, steps(output))
    render.result({"screen": text}, output.form, text.rstrip("\n"))
    return 0
