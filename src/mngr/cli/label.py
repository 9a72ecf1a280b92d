"""`mngr label`."""

from __future__ import annotations

import click

from mngr.cli import render
from mngr.cli.app import Output, common_options
from mngr.cli.steps import with_steps
from mngr.operations.changes import label, parse_labels


@click.command("label")
@click.argument("agent")
@click.argument("labels", nargs=-1, required=True, metavar="KEY=VALUE|KEY-…")
@common_options
@click.pass_obj
def command(output: Output, agent: str, labels: tuple[str, ...]) -> int:
    """Set labels of AGENT (KEY=VALUE), and remove some (KEY-)."""
    wanted = parse_labels(labels)
    changed = with_steps(output, lambda progress: label(agent, wanted, progress))
    now = sorted(f"{key}={value}" for key, value in changed.agent.agent.labels.items())
    human = f"{changed.agent.agent.name}: {' '.join(now) or 'no labels'}"
    render.agent(changed.agent, output.form, "" if output.quiet else human)
    return 0
