"""`mngr connect`."""

from __future__ import annotations

import sys

import click

from mngr.cli.app import Output, common_options
from mngr.cli.steps import steps
from mngr.errors import UsageError
from mngr.operations.execution import connect


@click.command("connect")
@click.argument("agent")
@common_options
@click.pass_obj
def command(output: Output, agent: str) -> int:
    """Attach this terminal to AGENT. Ctrl-b d detaches; the agent goes on."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError(f"connect needs a terminal; to run a command use: mngr exec {agent} COMMAND")
    return connect(agent, steps(output))
