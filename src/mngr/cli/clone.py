"""`mngr clone`."""

from __future__ import annotations

import click

from mngr.cli import render, shapes
from mngr.cli.app import Output, common_options
from mngr.cli.steps import with_steps
from mngr.operations.clone import clone


@click.command("clone")
@click.argument("agent")
@click.argument("new")
@click.option("--count", type=click.IntRange(1, 100), help="Make so many: NEW-1, NEW-2, …")
@common_options
@click.pass_obj
def command(output: Output, agent: str, new: str, count: int | None) -> int:
    """Make NEW as AGENT is now, on a host of its own with keys of its own; of a running one a snapshot is taken first.

    The program is started anew in the same work folder; the git branch is a new one, mngr/NEW.
    """
    made = [new] if count is None else [f"{new}-{number}" for number in range(1, count + 1)]
    views = with_steps(output, lambda progress: clone(agent, made, progress))
    human = "" if output.quiet else "\n".join(f"{view.agent.name} is running" for view in views)
    return render.outcomes(output.form, "agent", [shapes.agent_value(view) for view in views], [], human)
