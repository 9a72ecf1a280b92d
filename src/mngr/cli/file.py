"""`mngr file`."""

from __future__ import annotations

from pathlib import Path

import click

from mngr.cli import render
from mngr.cli.app import Output, common_options
from mngr.cli.steps import steps, with_steps
from mngr.operations import files


@click.group("file")
@common_options
def command() -> None:
    """Read files where an agent is. Paths that are not absolute are in its work folder.

    The host's data directory, /mngr, can be read when the host does not run too; everything else needs it to run.
    """


@command.command("ls")
@click.argument("agent")
@click.argument("path", default=".")
@common_options
@click.pass_obj
def ls(output: Output, agent: str, path: str) -> int:
    """List the folder PATH.  [default: the work folder]"""
    found = with_steps(output, lambda _progress: files.ls(agent, path))
    if found.note and output.form == "human":
        steps(output).say(found.note)
    render.files(found.files, output.form)
    return 0


@command.command("cat")
@click.argument("agent")
@click.argument("path")
@common_options
@click.pass_obj
def cat(output: Output, agent: str, path: str) -> int:
    """Print the file PATH."""
    found = with_steps(output, lambda _progress: files.cat(agent, path))
    if output.form == "human":
        if found.note:
            steps(output).say(found.note)
        for piece in found.pieces:
            render.text(piece)
    else:
        text = b"".join(found.pieces).decode(errors="replace")
        render.result({"path": path, "text": text, "note": found.note or None}, output.form, "")
    return 0


@command.command("get")
@click.argument("agent")
@click.argument("path")
@click.argument("destination", type=click.Path(path_type=Path), default=Path())
@common_options
@click.pass_obj
def get(output: Output, agent: str, path: str, destination: Path) -> int:
    """Copy the file or folder PATH to DESTINATION here.  [default: this folder]"""
    got = with_steps(output, lambda _progress: files.get(agent, path, destination))
    if got.note and output.form == "human":
        steps(output).say(got.note)
    human = "" if output.quiet else f"{render.counted(got.count, 'file')} copied"
    render.result({"path": path, "files": got.count, "note": got.note or None}, output.form, human)
    return 0
