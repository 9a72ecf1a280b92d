"""`mngr completion`."""

from __future__ import annotations

import click

from mngr.cli import completing
from mngr.cli.app import common_options

_SHELLS = ("bash", "zsh", "fish")


@click.command("completion")
@click.argument("shell", type=click.Choice(_SHELLS))
@common_options
def command(shell: str) -> int:
    """Print the script that lets SHELL complete commands, options and names of agents.

    In ~/.bashrc: eval "$(mngr completion bash)". In ~/.zshrc: eval "$(mngr completion zsh)". For fish:
    mngr completion fish >~/.config/fish/completions/mngr.fish. Names come from what this machine knows; nobody is
    asked for them.
    """
    return completing.answer(f"{shell}_source")
