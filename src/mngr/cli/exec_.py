"""`mngr exec`."""

from __future__ import annotations

import click

from mngr.cli.app import Output, common_options
from mngr.cli.steps import steps
from mngr.operations.execution import execute


@click.command("exec", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("agent")
@click.argument("words", nargs=-1, required=True, type=click.UNPROCESSED, metavar="COMMAND…")
@common_options
@click.pass_obj
def command(output: Output, agent: str, words: tuple[str, ...]) -> int:
    """Run COMMAND where AGENT is: in its work folder and environment, on this terminal's input and outputs.

    One word is a line for the shell, several are one command. Ends with the command's own exit code.
    """
    words = words[1:] if words[0] == "--" and len(words) > 1 else words
    return execute(agent, words, steps(output))
