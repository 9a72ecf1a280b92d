"""`mngr destroy`."""

from __future__ import annotations

import sys

import click

from mngr.cli import render
from mngr.cli.app import Output, common_options
from mngr.cli.steps import with_steps
from mngr.errors import UsageError
from mngr.operations.lifecycle import destroy


@click.command("destroy")
@click.argument("agent")
@click.option("-f", "--force", is_flag=True, help="Do not ask.")
@common_options
@click.pass_obj
def command(output: Output, agent: str, force: bool) -> int:
    """Remove AGENT with its sandbox, its snapshots and its keys. Its work is gone then."""
    if not force:
        if not sys.stdin.isatty():
            raise UsageError(f"destroy removes {agent} and its work; add --force where nobody can be asked")
        click.confirm(f"Destroy {agent} and all of its work?", abort=True, err=True)
    host, gone = with_steps(output, lambda progress: destroy(agent, progress))
    value = {"destroyed": {"id": gone.id, "name": gone.name, "host": host.record.id}}
    render.result(value, output.form, "" if output.quiet else f"{gone.name} is destroyed")
    return 0
