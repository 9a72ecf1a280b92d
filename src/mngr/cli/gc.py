"""`mngr gc`."""

from __future__ import annotations

import click
import msgspec

from mngr.cli import render
from mngr.cli.app import Output, common_options
from mngr.cli.steps import with_steps
from mngr.operations.gc import collect


@click.command("gc")
@click.option("--dry-run", is_flag=True, help="Only show what is wrong.")
@common_options
@click.pass_obj
def command(output: Output, dry_run: bool) -> int:
    """Put right what was cut off: records that say what is not so, sandboxes that no record knows, leftovers here."""
    actions = with_steps(output, lambda progress: collect(progress, dry_run=dry_run))
    lines = [f"{action.kind} {action.id}: {action.what}" for action in actions]
    human = "\n".join(lines) if lines else "" if output.quiet else "everything is as the records say"
    render.result({"actions": [msgspec.to_builtins(action) for action in actions]}, output.form, human)
    return 0
