"""`mngr list`."""

from __future__ import annotations

import click

from mngr.cli import render
from mngr.cli.app import Output, common_options
from mngr.cli.steps import with_steps
from mngr.operations.listing import Listing, listing
from mngr.providers.base import Progress


def _look(progress: Progress) -> Listing:
    found = listing()
    if not any(view.host.record.policy.auto_restart for view in found.agents):
        return found
    from mngr.operations.keeper import go_on, wants_to_go_on

    ended = {view.host.record.id: view.host for view in found.agents if wants_to_go_on(view.host)}
    for host in ended.values():
        go_on(host, progress)
    return listing() if ended else found


@click.command("list")
@common_options
@click.pass_obj
def command(output: Output) -> int:
    """List agents with what each is doing.

    Hosts that are to outlive their sandboxes (--run-past-timeout) go on in new ones when this sees that they ended.
    """
    found = with_steps(output, _look)
    render.listing(found.agents, found.errors, output.form)
    return 0
