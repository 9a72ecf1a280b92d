"""`mngr pull`."""

from __future__ import annotations

import click

from mngr.cli import copying
from mngr.cli.app import Output, common_options
from mngr.errors import UsageError
from mngr.operations import sync
from mngr.operations.sync import Wanted


@click.command("pull")
@click.argument("agent", metavar="AGENT")
@click.argument("source", default="", metavar="[SRC]")
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
    """Copy SRC of AGENT here: a file, or what is in a folder.

    SRC is below the work folder unless absolute, and that itself if it is not named. Without DST it is the same path
    here. AGENT:SRC is AGENT SRC. What git ignores on either side, and .git, stay as they are. The host's data
    directory, /mngr, can be copied when the host does not run too; everything else needs it to run.
    """
    if ":" in agent:
        if destination:
            raise UsageError(f"{agent} {source} {destination}: AGENT:SRC takes one more argument, DST")
        agent, source, destination = (*agent.split(":", 1), source)
    wanted = Wanted(delete, dry_run, ignored, patterns)
    return copying.carry_out(
        output,
        wanted,
        force,
        lambda confirm, progress: sync.pull(agent, source, destination, wanted, confirm, progress),
    )
