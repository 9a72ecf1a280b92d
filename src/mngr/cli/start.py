"""`mngr start`."""

from __future__ import annotations

import click

from mngr.cli.app import Output, common_options
from mngr.cli.steps import with_steps
from mngr.cli.targets import agents_done, names
from mngr.errors import UsageError
from mngr.operations.lifecycle import StartRequest, start


@click.command("start")
@click.argument("agents", nargs=-1, required=True, metavar="AGENT…")
@click.option("--snapshot", default="", metavar="ID|NAME", help="The snapshot to go back to.  [default: the newest]")
@click.option("--restart", is_flag=True, help="End agents that run and start them anew.")
@click.option("--no-start-agents", is_flag=True, help="Bring back the host only.")
@common_options
@click.pass_obj
def command(output: Output, agents: tuple[str, ...], snapshot: str, restart: bool, no_start_agents: bool) -> int:
    """Bring agents back (names, ids, hosts; - reads them from standard input).

    A host that has ended comes back in a new sandbox, from the state in which it ended or from --snapshot, with the
    same resources, and those of its agents run that ran then.
    """
    wanted = names(agents)
    if snapshot and len(wanted) > 1:
        raise UsageError("--snapshot: is for one agent; these are several")
    request = StartRequest(snapshot=snapshot, restart=restart, run_agents=not no_start_agents)
    outcomes = with_steps(output, lambda progress: start(wanted, progress, request))
    if no_start_agents:
        return agents_done(output, outcomes, "the host of {name} is running; start the agent: mngr start {name}")
    return agents_done(output, outcomes, "{name} is running; attach: mngr connect {name}")
