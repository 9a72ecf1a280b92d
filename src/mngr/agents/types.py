"""What a type of agent is: facts that the rest of mngr acts on, so that a type is one small file."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mngr.errors import UsageError
from mngr.hosts.agents import SCRIPTS


@dataclass(frozen=True, slots=True)
class Screen:
    """How to tell from the last lines of an agent's screen what it is doing: extended regular expressions.

    `blocked` on a permission, `busy` at work, `ready` for the user. Without any the screen is not looked at.
    """

    blocked: tuple[str, ...] = ()
    busy: tuple[str, ...] = ()
    ready: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Package:
    """A program from npm. `node` is the major version of Node that it needs, 0 where any will do."""

    name: str
    program: str
    node: int = 0


@dataclass(frozen=True, slots=True)
class AgentType:
    """One type of agent.

    `program` is a line for the host's shell that the arguments follow; `own_arguments` are what it needs from mngr.
    `install` are lines for the shell that go into the image after `package`. `forwards` names variables of the user's
    that the agent gets when they are set. `settings` and `credentials` are the user's files, below the home folder here
    and there. `reports` says that hooks of the program tell its state; `setup` is a script of ours that runs before
    each start; `transcript` names the form of its record of the conversation, and `transcripts` where on the host the
    newest one is looked for when no hook has told it (globs for the shell). An Enter sooner than `paste_rest_s` after a
    paste is a part of that for the program.
    """

    name: str
    program: str = ""
    own_arguments: tuple[str, ...] = ()
    package: Package | None = None
    version: str = "latest"
    install: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    forwards: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    credentials: tuple[str, ...] = ()
    screen: Screen = Screen()
    reports: bool = False
    setup: str = ""
    transcript: str = ""
    transcripts: str = ""
    paste_rest_s: float = 0.0

    def command(self, arguments: Sequence[str]) -> str:
        """The line for the host's shell that starts the agent. Raises `UsageError`."""
        if self.program:
            return " ".join([self.program, *(shlex.quote(word) for word in (*self.own_arguments, *arguments))])
        if not arguments:
            raise UsageError(f"an agent of type {self.name!r} needs a command; give it after --")
        return arguments[0] if len(arguments) == 1 else shlex.join(arguments)

    def image_lines(self) -> tuple[str, ...]:
        """What the image needs, a line for the shell each, the ones that change least first."""
        if self.package is None:
            return self.install
        script = f"sh {SCRIPTS}/install-npm.sh"
        package = shlex.join([self.package.name, self.version, self.package.program])
        # The first line is the same for all types, so that they share what it makes.
        newer = (f"{script} newer-node {self.package.node}",) if self.package.node else ()
        return (f"{script} node", *newer, f"{script} package {package}", *self.install)

    def state_files(self) -> dict[str, str]:
        """What is put into the agent's state folder, for the scripts in the sandbox to act on."""
        found = {
            f"screen-{name}": "\n".join(patterns) + "\n"
            for name, patterns in (
                ("blocked", self.screen.blocked),
                ("busy", self.screen.busy),
                ("ready", self.screen.ready),
            )
            if patterns
        }
        if self.reports:
            found["reports"] = ""
        if self.transcripts:
            found["transcripts"] = f"{self.transcripts}\n"
        if self.paste_rest_s:
            found["paste_rest"] = f"{self.paste_rest_s:g}\n"
        if self.setup:
            found["before"] = f"sh {SCRIPTS}/{self.setup}\n"
        return found
