"""`mngr stop`."""

from __future__ import annotations

import click

from mngr.cli import render
from mngr.cli.app import Output, common_options
from mngr.cli.steps import with_steps
from mngr.operations.lifecycle import stop


@click.command("stop")
@click.argument("agent")
@common_options
@click.pass_obj
def command(output: Output, agent: str) -> int:
    """End AGENT's sandbox and keep its file system; mngr start brings it back."""
    stopped = with_steps(output, lambda progress: stop(agent, progress))
    name = stopped.agent.name
    render.agent(stopped, output.form, "" if output.quiet else f"{name} is stopped; bring it back: mngr start {name}")
    return 0
