"""`mngr list`."""

from __future__ import annotations

import click

from mngr.cli import render
from mngr.cli.app import Output, common_options
from mngr.cli.steps import with_steps
from mngr.operations.listing import listing


@click.command("list")
@common_options
@click.pass_obj
def command(output: Output) -> int:
    """List agents with what each is doing."""
    found = with_steps(output, lambda _progress: listing())
    render.listing(found.agents, found.errors, output.form)
    return 0
