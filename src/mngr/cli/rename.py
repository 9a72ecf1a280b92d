"""`mngr rename`."""

from __future__ import annotations

import click

from mngr.cli import render
from mngr.cli.app import Output, common_options
from mngr.cli.steps import with_steps
from mngr.operations.changes import rename


@click.command("rename")
@click.argument("agent")
@click.argument("new")
@common_options
@click.pass_obj
def command(output: Output, agent: str, new: str) -> int:
    """Give AGENT the name NEW. Its work folder and branch stay as they are."""
    changed = with_steps(output, lambda progress: rename(agent, new, progress))
    render.changed(changed.agent, changed.now, changed.later, output.form, quiet=output.quiet)
    return 0
