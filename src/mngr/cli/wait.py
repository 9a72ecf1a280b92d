"""`mngr wait`."""

from __future__ import annotations

import click

from mngr.cli import render
from mngr.cli.app import Output, common_options
from mngr.cli.steps import with_steps
from mngr.cli.targets import names, seconds
from mngr.models import AgentState
from mngr.operations.talking import for_agents, wait


@click.command("wait")
@click.argument("agents", nargs=-1, required=True, metavar="AGENT…")
@click.option(
    "--for",
    "wanted",
    type=click.Choice(["waiting", "blocked", "done", "stopped"]),
    default="waiting",
    show_default=True,
)
@click.option("--timeout", metavar="TIME", help="At most so long, such as 90 or 10m.")
@common_options
@click.pass_obj
def command(output: Output, agents: tuple[str, ...], wanted: str, timeout: str | None) -> int:
    """Wait until agents (names, ids; - reads them from standard input) wait for you, are blocked, done or stopped.

    Fails when the time is over, when one that should wait for you asks for a permission, and when one has ended that
    was to do something else.
    """
    chosen = names(agents)
    timeout_s = seconds("--timeout", timeout)
    state = AgentState[wanted.upper()]
    said = with_steps(
        output,
        lambda progress: for_agents(chosen, lambda name: wait(name, state, progress, timeout_s=timeout_s)),
    )
    values = [{"name": one.name, "state": one.value.value} for one in said if one.value is not None]
    errors = [one.error for one in said if one.error is not None]
    human = "" if output.quiet else "\n".join(f"{value['name']} is {value['state']}" for value in values)
    return render.outcomes(output.form, "agent", values, errors, human)
