"""`mngr events`."""

from __future__ import annotations

import json

import click

from mngr import durations
from mngr.cli import render
from mngr.cli.app import Output, common_options
from mngr.cli.steps import steps
from mngr.errors import UsageError
from mngr.operations import events


@click.command("events")
@click.argument("name", metavar="AGENT|HOST")
@click.option("-f", "--follow", is_flag=True, help="Go on with what happens, across ends and starts of the host.")
@click.option("--since", metavar="TIME", help="Only what happened in the last 10m, 2h, …")
@common_options
@click.pass_obj
def command(output: Output, name: str, follow: bool, since: str | None) -> int:
    """Show what happened to AGENT or HOST, a line of JSON each, also when it does not run."""
    try:
        since_s = None if since is None else durations.parse(since)
    except ValueError as error:
        raise UsageError(f"--since {since}: {error}") from None
    render.check_format(output.form)
    if follow:
        if output.form not in ("human", "jsonl"):
            raise UsageError(f"--follow: goes with --format human or jsonl, not {output.form}")
        for event in events.follow(name, since_s, steps(output).say):
            print(json.dumps(event), flush=True)
        return 0
    found, note = events.events(name, since_s)
    if note and output.form == "human":
        steps(output).say(note)
    render.items("events", found, output.form, "\n".join(map(json.dumps, found)))
    return 0
