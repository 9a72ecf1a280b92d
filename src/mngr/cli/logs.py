"""`mngr logs`."""

from __future__ import annotations

import sys

import click

from mngr.cli import render
from mngr.cli.app import Output, common_options
from mngr.operations.logs import build_log


@click.command("logs")
@click.argument("agent")
@click.option("--source", type=click.Choice(["build"]), default="build", show_default=True, help="Whose log.")
@common_options
@click.pass_obj
def command(output: Output, agent: str, source: str) -> int:
    """Show what the build of AGENT's image wrote, also of a creation that failed."""
    text = build_log(agent)
    if output.form == "human":
        sys.stdout.write(text)
    else:
        render.result({"source": source, "log": text}, output.form, "")
    return 0
