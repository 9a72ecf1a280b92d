"""What of a project travels with `mngr create`, and to where: the options, and what they mean."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from mngr.errors import AgentNotFound, UsageError
from mngr.operations.create import Travel
from mngr.operations.sync import copy_project


def project_options(function: Callable[..., int]) -> Callable[..., int]:
    """Options that `take` takes."""
    for option in (
        click.option("--target-path", metavar="PATH", help="The work folder there.  [default: /work/NAME]"),
        click.option("--include-gitignored", is_flag=True, help="Files that git ignores travel too."),
        click.option(
            "--include-unclean/--exclude-unclean",
            default=None,
            help="Whether uncommitted work travels.  [default: yes, unless BASE is not HEAD]",
        ),
        click.option(
            "--branch",
            metavar="[BASE][:NEW]",
            help="Begin at BASE instead of HEAD, on a branch NEW instead of mngr/NAME (* is the name).",
        ),
    ):
        function = option(function)
    return function


def take(said: dict[str, Any]) -> Travel:
    """Takes these options' values out of all that was said."""
    branch, target_path = said.pop("branch"), said.pop("target_path")
    unclean, ignored = said.pop("include_unclean"), said.pop("include_gitignored")
    return Travel(branch=branch or "", unclean=unclean, ignored=ignored, target_path=target_path or "")


def brought(ctx: click.Context, source: Path) -> Path:
    """A folder with the project of the agent that `source` names, for as long as the command runs. Raises `UsageError`
    when it names none."""
    if "/" in str(source):
        raise UsageError(f"--from {source}: there is no such folder")
    folder = ctx.with_resource(tempfile.TemporaryDirectory(prefix="mngr-project-"))
    try:
        copy_project(str(source), Path(folder))
    except AgentNotFound as error:
        raise UsageError(f"--from {source}: there is no such folder or agent") from error
    return Path(folder)
