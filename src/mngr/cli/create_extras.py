"""The options of `mngr create` about the agent itself, and how its words are read."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mngr.errors import UsageError

if TYPE_CHECKING:
    from mngr.operations.consent import Question
    from mngr.operations.provision import Extras

_TEXT = click.Path(path_type=Path, dir_okay=False)
_OPTIONS = (
    click.option("--message", metavar="TEXT", help="What to tell the agent when it is ready."),
    click.option("--message-file", type=_TEXT, metavar="FILE", help="The same from a file, - for standard input."),
    click.option("--env", multiple=True, metavar="KEY=VALUE", help="A variable for the agent."),
    click.option("--env-file", multiple=True, type=_TEXT, metavar="FILE", help="Variables, a KEY=VALUE on each line."),
    click.option("--pass-env", multiple=True, metavar="KEY", help="A variable of yours for the agent."),
    click.option("--label", multiple=True, metavar="KEY=VALUE", help="A label, for mngr list --label."),
    click.option(
        "--extra-provision-command",
        "provision_commands",
        multiple=True,
        metavar="COMMAND",
        help="Run in the work folder before the agent starts.",
    ),
    click.option("--upload-file", multiple=True, metavar="LOCAL:REMOTE", help="A file or folder for the host."),
    click.option("--share-credentials", is_flag=True, help="Copy the agent's own login from this machine too."),
    click.option("--reuse", is_flag=True, help="Use the agent of this name when there is one; start it if needed."),
    click.option(
        "-y",
        "--yes",
        is_flag=True,
        help="Say yes to what is asked: before very much is sent, or settings that came with a repository are used.",
    ),
)


def extras_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


@dataclass(frozen=True, slots=True)
class About:
    """What the options say: `message` is None when there is none."""

    extras: Extras
    message: bytes | None
    reuse: bool
    yes: bool


def take(said: dict[str, Any]) -> About:
    """Takes the values of the options out of `said`. Raises `UsageError`."""
    message, file = said.pop("message"), said.pop("message_file")
    if message is not None and file is not None:
        raise UsageError("--message and --message-file can not both be given")
    from mngr.operations.provision import Extras

    extras = Extras(
        env=said.pop("env"),
        env_files=said.pop("env_file"),
        pass_env=said.pop("pass_env"),
        labels=said.pop("label"),
        uploads=said.pop("upload_file"),
        commands=said.pop("provision_commands"),
        share_credentials=said.pop("share_credentials"),
    )
    text = message.encode() if message is not None else None if file is None else _read(file)
    return About(extras, text, said.pop("reuse"), said.pop("yes"))


def confirm(questions: Iterable[Question], *, yes: bool) -> None:
    """Asks each, unless `yes` was said. Raises `UsageError` where nobody can be asked, and `click.Abort`."""
    from mngr.operations import consent

    for question in questions:
        if not yes and not sys.stdin.isatty():
            raise UsageError(f"{question.text}; if that is meant, add --yes")
        if not yes:
            click.confirm(f"{question.text}.\nGo on?", abort=True, err=True)
        consent.remember(question)


def _read(file: Path) -> bytes:
    if str(file) == "-":
        return sys.stdin.buffer.read()
    try:
        return file.read_bytes()
    except OSError as error:
        raise UsageError(f"--message-file {file}: {error.strerror}") from error


def split(args: Sequence[str]) -> tuple[list[str], tuple[str, ...]]:
    """A command line at its first ``--``: what mngr reads, and what the agent gets as it is."""
    if "--" not in args:
        return list(args), ()
    at = args.index("--")
    return list(args[:at]), tuple(args[at + 1 :])


def name_and_type(words: Sequence[str], option: str) -> tuple[str, str]:
    """The words before ``--``, ``[NAME [TYPE]]``, each empty when it is not given. Raises `UsageError`."""
    if len(words) > 2:
        raise UsageError(f"create takes NAME and TYPE; what the agent is to get goes after --: {' '.join(words[2:])}")
    name, kind = [*words, "", ""][:2]
    if kind and option and kind != option:
        raise UsageError(f"the type is given twice: {kind} and --type {option}")
    return name, kind or option
