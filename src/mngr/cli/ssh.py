"""`mngr ssh`."""

from __future__ import annotations

import click

from mngr.cli import render
from mngr.cli.app import Output, common_options
from mngr.cli.steps import steps
from mngr.operations import shell


@click.command("ssh")
@click.argument("agent")
@common_options
@click.pass_obj
def command(output: Output, agent: str) -> int:
    """Open a shell where AGENT is: in its work folder, with its environment, beside it.

    To see the agent itself use: mngr connect. With --format json nothing is opened: how to connect is printed.
    """
    told = steps(output)
    if output.form != "human":
        render.result({"ssh": shell.address(agent)}, output.form, "")
        return 0
    return shell.open_shell(agent, told)
