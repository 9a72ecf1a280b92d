"""The agent type ``command``: any command at all."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from mngr.errors import UsageError


class Command:
    """Runs what stands after ``--``. One word is a line for the shell, several are one command."""

    name = "command"

    def command(self, arguments: Sequence[str]) -> str:
        if not arguments:
            raise UsageError("an agent of type 'command' needs a command; give it after --")
        return arguments[0] if len(arguments) == 1 else shlex.join(arguments)
