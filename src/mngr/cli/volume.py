"""`mngr volume`."""

from __future__ import annotations

import sys

import click

from mngr.cli import render
from mngr.cli.app import Output, common_options
from mngr.cli.steps import with_steps
from mngr.errors import UsageError
from mngr.operations import volumes


@click.group("volume")
@common_options
def command() -> None:
    """See and remove host volumes: the data directories of hosts, with their logs and events."""


@command.command("list")
@common_options
@click.pass_obj
def list_volumes(output: Output) -> int:
    """List the host volumes that there are, with their hosts; those of destroyed hosts (--keep-volume) too."""
    found = with_steps(output, lambda _progress: volumes.listed())
    render.volumes([(one.name, one.host_id, one.host) for one in found], output.form)
    return 0


@command.command("destroy")
@click.argument("wanted", nargs=-1, required=True, metavar="VOLUME|HOST…")
@click.option("-f", "--force", is_flag=True, help="Do not ask.")
@common_options
@click.pass_obj
def destroy(output: Output, wanted: tuple[str, ...], force: bool) -> int:
    """Remove host volumes, by their names or their hosts' names or ids. The host must not run.

    A stopped host starts with an empty one; what its agents need is in its snapshot, its logs and events are gone.
    """
    if not force and not sys.stdin.isatty():
        raise UsageError(f"this removes the logs of {', '.join(wanted)}; add --force where nobody can be asked")
    chosen = with_steps(output, lambda _progress: volumes.choose(wanted))
    if not force:
        click.confirm(f"Destroy {', '.join(one.name for one in chosen)}?", abort=True, err=True)
    with_steps(output, lambda progress: volumes.destroy(chosen, progress))
    human = "" if output.quiet else "\n".join(f"{one.name} is destroyed" for one in chosen)
    render.result({"destroyed": [{"name": one.name, "host_id": one.host_id} for one in chosen]}, output.form, human)
    return 0
