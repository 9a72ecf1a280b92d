"""`mngr stop`."""

from __future__ import annotations

import click

from mngr.cli.app import Output, common_options
from mngr.cli.steps import with_steps
from mngr.cli.targets import agents_done, names
from mngr.models import AgentView
from mngr.operations.changing import Outcome
from mngr.operations.lifecycle import stop
from mngr.providers.base import Progress


@click.command("stop")
@click.argument("agents", nargs=-1, required=True, metavar="AGENT…")
@click.option("--keep-host", is_flag=True, help="End the agents only; their hosts go on, and go on costing.")
@click.option("--no-snapshot", is_flag=True, help="Keep nothing of what was done since the last snapshot.")
@common_options
@click.pass_obj
def command(output: Output, agents: tuple[str, ...], keep_host: bool, no_snapshot: bool) -> int:
    """End agents (names, ids, hosts; - reads them from standard input).

    A host whose last running agent ends this way ends too, and its file system is kept: mngr start brings it back.
    """
    wanted = names(agents)

    def work(progress: Progress) -> list[Outcome[list[AgentView]]]:
        if no_snapshot:
            progress.warn("--no-snapshot: what was changed since the last snapshot is lost")
        return stop(wanted, progress, keep_host=keep_host, keep_work=not no_snapshot)

    return agents_done(output, with_steps(output, work), "{name} is stopped; bring it back: mngr start {name}")
