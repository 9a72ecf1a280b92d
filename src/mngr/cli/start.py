"""`mngr start`."""

from __future__ import annotations

import click

from mngr.cli import render
from mngr.cli.app import Output, common_options
from mngr.cli.steps import with_steps
from mngr.operations.lifecycle import start


@click.command("start")
@click.argument("agent")
@common_options
@click.pass_obj
def command(output: Output, agent: str) -> int:
    """Bring AGENT back in a new sandbox, from the state in which it ended."""
    started = with_steps(output, lambda progress: start(agent, progress))
    name = started.agent.name
    render.agent(started, output.form, "" if output.quiet else f"{name} is running; attach: mngr connect {name}")
    return 0
