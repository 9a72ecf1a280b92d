"""`mngr push`."""

from __future__ import annotations

import click

from mngr.cli import copying
from mngr.cli.app import Output, common_options
from mngr.operations import sync
from mngr.operations.sync import Wanted


@click.command("push")
@click.argument("agent")
@click.argument("source", default=".", metavar="[SRC]")
@click.argument("destination", default="", metavar="[DST]")
@copying.options
@common_options
@click.pass_obj
def command(
    output: Output,
    agent: str,
    source: str,
    destination: str,
    dry_run: bool,
    delete: bool,
    force: bool,
    patterns: tuple[str, ...],
    ignored: bool,
) -> int:
    """Copy SRC to AGENT: a file, or what is in a folder.

    SRC is this folder if it is not named. DST is below the work folder unless absolute; without it, it is the same path
    there. What git ignores on either side, and .git, stay as they are.
    """
    wanted = Wanted(delete, dry_run, ignored, patterns)
    return copying.carry_out(
        output,
        wanted,
        force,
        lambda confirm, progress: sync.push(agent, source, destination, wanted, confirm, progress),
    )
