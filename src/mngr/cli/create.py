"""`mngr create`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from mngr import durations
from mngr.cli import render
from mngr.cli.app import Output, common_options
from mngr.cli.steps import steps, with_steps
from mngr.errors import UsageError
from mngr.models import AgentView, IdleMode
from mngr.operations.create import Request, create, create_on
from mngr.providers.base import Progress


class _Create(click.Command):
    """Shows the build arguments below the options."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_options(ctx, formatter)
        from mngr.cli.help_ import build_arguments

        with formatter.section("Build arguments (-b)"):
            formatter.write_dl([(name, f"{text}{default}") for name, text, default in build_arguments()])


@click.command("create", cls=_Create)
@click.argument("name")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.option("--in", "--provider", "provider", default="modal", show_default=True, help="Where the host comes from.")
@click.option("--type", "agent_type", default="command", show_default=True, help="The type of agent.")
@click.option("--connect/--no-connect", default=True, help="Attach to the agent when it runs (in a terminal).")
@click.option("-b", "--build-arg", "build_args", multiple=True, metavar="KEY=VALUE", help="What the host is to be.")
@click.option("--build-args", "many", multiple=True, metavar="'KEY=VALUE …'", help="Several of them in one.")
@click.option(
    "--source",
    type=click.Path(path_type=Path),
    default=Path(),
    help="The folder of the project that travels with the agent.  [default: this one]",
)
@click.option("--host", metavar="AGENT|HOST", help="Put the agent on the running host of another.")
@click.option("--snapshot", metavar="ID|NAME", help="Begin from a snapshot of another host instead of an image.")
@click.option("--idle-timeout", metavar="TIME", help="End the host when it was idle so long.  [default: 30m]")
@click.option(
    "--idle-mode",
    type=click.Choice([mode.value for mode in IdleMode]),
    help="What counts as activity; see: mngr help idle.  [default: io]",
)
@click.option(
    "--run-past-timeout", is_flag=True, default=None, help="Go on in a new sandbox when the lifetime is over."
)
@click.option("--snapshot-every", metavar="TIME", help="Take snapshots by the clock (with mngr keeper run).")
@click.option("--keep-snapshots", type=click.IntRange(min=1), help="Of these keep so many.  [default: 10]")
@common_options
@click.pass_obj
def command(
    output: Output,
    /,
    name: str,
    arguments: tuple[str, ...],
    provider: str,
    agent_type: str,
    connect: bool,
    build_args: tuple[str, ...],
    many: tuple[str, ...],
    source: Path,
    snapshot: str | None,
    host: str | None,
    **policy: Any,
) -> int:
    """Create an agent called NAME on a host of its own and start it.

    What the agent runs stands after --: one word is a line for the shell, several are one command. The project in this
    folder travels with it: a git repository with its history, onto a new branch mngr/NAME, and with all uncommitted
    files that git does not ignore; any other folder as it is.

    What the host is to be is said with build arguments, listed below with their defaults; see also:
    mngr help build-args
    """
    from mngr.providers.modal.build_args import split

    if not source.is_dir():
        raise UsageError(f"--source {source}: there is no such folder")
    words = (*build_args, *(word for text in many for word in split(text)))
    said = _policy(policy)
    if snapshot:
        made = with_steps(output, lambda progress: _from_snapshot(snapshot, name, agent_type, arguments, progress))
    else:
        request = Request(name, agent_type, provider, arguments, words, source.absolute(), said)
        if host:
            _nothing_about_a_new_host(words, said)
            made = with_steps(output, lambda progress: create_on(host, request, progress))
        else:
            made = with_steps(output, lambda progress: create(request, progress))
    render.agent(made, output.form, "" if output.quiet else f"{name} is running; attach: mngr connect {name}")
    if connect and output.form == "human" and sys.stdin.isatty() and sys.stdout.isatty():
        from mngr.operations.execution import connect as attach

        return attach(name, steps(output))
    return 0


def _nothing_about_a_new_host(words: tuple[str, ...], said: dict[str, Any]) -> None:
    given = [*words, *said]
    if given:
        raise UsageError(f"--host: the host is there already, so nothing can be said of it: {', '.join(given)}")


def _policy(said: dict[str, Any]) -> dict[str, Any]:
    """What was said of the host's end, by the names of `Policy`'s fields. Raises `UsageError`."""
    found: dict[str, Any] = {}
    for option, field in (("idle_timeout", "idle_timeout_s"), ("snapshot_every", "snapshot_every_s")):
        if said[option] is not None:
            try:
                found[field] = durations.parse(said[option])
            except ValueError as error:
                raise UsageError(f"--{option.replace('_', '-')} {said[option]}: {error}") from None
    if said["idle_mode"] is not None:
        found["idle_mode"] = IdleMode(said["idle_mode"])
    if said["run_past_timeout"]:
        found["auto_restart"] = True
    if said["keep_snapshots"] is not None:
        found["keep_snapshots"] = said["keep_snapshots"]
    return found


def _from_snapshot(
    snapshot: str, name: str, agent_type: str, arguments: tuple[str, ...], progress: Progress
) -> AgentView:
    from mngr.agents import registry
    from mngr.operations.clone import from_snapshot

    command = registry.agent_type(agent_type).command(arguments) if arguments else None
    return from_snapshot(snapshot, name, progress, command=command, agent_type=agent_type)
