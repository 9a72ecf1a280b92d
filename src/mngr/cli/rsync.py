"""`mngr rsync`."""

from __future__ import annotations

import click

from mngr.cli import copying
from mngr.cli.app import Output, common_options
from mngr.operations import sync
from mngr.operations.sync import Wanted


@click.command("rsync")
@click.argument("sources", nargs=-1, required=True, metavar="SRC…")
@click.argument("destination", metavar="DST")
@copying.options
@common_options
@click.pass_obj
def command(
    output: Output,
    sources: tuple[str, ...],
    destination: str,
    dry_run: bool,
    delete: bool,
    force: bool,
    patterns: tuple[str, ...],
    ignored: bool,
) -> int:
    """Copy as rsync does, with AGENT:path on one side.

    SRC/ is what is in a folder, SRC the folder itself. Paths there are below the work folder unless absolute. What git
    ignores stays where what is in a folder travels, and .git always.
    """
    wanted = Wanted(delete, dry_run, ignored, patterns)
    return copying.carry_out(
        output, wanted, force, lambda confirm, progress: sync.between(sources, destination, wanted, confirm, progress)
    )
