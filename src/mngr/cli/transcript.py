"""`mngr transcript`."""

from __future__ import annotations

import sys

import click
import msgspec

from mngr.cli import render
from mngr.cli.app import Output, common_options
from mngr.cli.steps import with_steps
from mngr.operations.talking import raw_transcript, transcript


@click.command("transcript")
@click.argument("agent")
@click.option("--raw", is_flag=True, help="Print the agent's own file as it is.")
@click.option("--last", type=click.IntRange(min=1), metavar="N", help="Only the last N entries.")
@common_options
@click.pass_obj
def command(output: Output, agent: str, raw: bool, last: int | None) -> int:
    """Show what was said and done in AGENT's conversation.

    Of an agent that keeps no record, what its screen has shown.
    """
    if raw:
        _form, data = with_steps(output, lambda progress: raw_transcript(agent, progress))
        sys.stdout.buffer.write(data)
        return 0
    entries = with_steps(output, lambda progress: transcript(agent, progress))
    entries = entries[-last:] if last else entries
    render.transcript([msgspec.to_builtins(entry) for entry in entries], output.form)
    return 0
