"""`mngr create`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from mngr import addresses, config, durations, ids
from mngr.cli import create_extras, create_project, render
from mngr.cli.app import Output, common_options
from mngr.cli.steps import with_steps
from mngr.errors import UsageError
from mngr.models import IdleMode
from mngr.operations import consent
from mngr.operations.create import Request, create, create_on
from mngr.operations.talking import first_message, reuse

_AFTER = "mngr.after"


class _Create(click.Command):
    """Keeps what stands after ``--`` apart, and shows the build arguments below the options."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        before, ctx.meta[_AFTER] = create_extras.split(args)
        return super().parse_args(ctx, before)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_options(ctx, formatter)
        from mngr.cli.help_ import build_arguments

        with formatter.section("Build arguments (-b)"):
            formatter.write_dl([(name, f"{text}{default}") for name, text, default in build_arguments()])


@click.command("create", cls=_Create)
@click.argument("words", nargs=-1, metavar="[NAME [TYPE]] [-- ARGUMENTS]")
@click.option("--in", "--provider", "provider", help="Where the host comes from.  [default: modal]")
@click.option("--type", "agent_type", default="", help="The type of agent.  [default: claude]")
@click.option("--connect/--no-connect", default=True, help="Attach to the agent when it runs (in a terminal).")
@click.option("-b", "--build-arg", "build_args", multiple=True, metavar="KEY=VALUE", help="What the host is to be.")
@click.option("--build-args", "many", multiple=True, metavar="'KEY=VALUE …'", help="Several of them in one.")
@click.option(
    "--source",
    "--from",
    "source",
    type=click.Path(path_type=Path),
    default=Path(),
    metavar="PATH|AGENT",
    help="The folder, or agent, whose project travels with this one.  [default: this folder]",
)
@click.option("--host", metavar="AGENT|HOST", help="Put the agent on the running host of another.")
@click.option(
    "--snapshot", metavar="ID|NAME", help="Begin from a snapshot of another host: its agent or, with a TYPE, a new one."
)
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
@create_project.project_options
@create_extras.extras_options
@common_options
@click.pass_context
def command(
    ctx: click.Context,
    /,
    words: tuple[str, ...],
    provider: str | None,
    agent_type: str,
    connect: bool,
    build_args: tuple[str, ...],
    many: tuple[str, ...],
    source: Path,
    snapshot: str | None,
    host: str | None,
    **said: Any,
) -> int:
    """Create an agent called NAME on a host of its own and start it.

    TYPE is what it is: claude, codex, opencode, gemini, shell, command or one of the settings; its arguments stand
    after --. A command is one word, a line for the shell, or several. Without a NAME one is made up.

    The project in this folder travels with it: a git repository with its history, onto a new branch mngr/NAME, and with
    all uncommitted files that git does not ignore; any other folder as it is.

    What the host is to be is said with build arguments, listed below with their defaults; see also:
    mngr help build-args
    """
    from mngr.providers.modal.build_args import split

    if not source.is_dir():
        source = create_project.brought(ctx, source)
    output: Output = ctx.obj
    about = create_extras.take(said)
    travel = create_project.take(said)
    name, agent_type = create_extras.name_and_type(words, agent_type)
    address = addresses.parse(name or ids.made_up_name())
    name = address.name
    arguments: tuple[str, ...] = ctx.meta[_AFTER]
    provider = _provider(address, provider)
    host = _host(address, host)
    build_words = (*build_args, *(word for text in many for word in split(text)))
    policy = _policy(said)
    if snapshot:
        _nothing_about_the_project(ctx, host)
        _nothing_about_a_new_host("--snapshot", build_words, policy)
    existing = with_steps(output, lambda progress: reuse(name, progress)) if about.reuse else None
    if existing is not None:
        made = existing
    else:
        create_extras.confirm(consent.of_settings(), yes=about.yes)
        if not snapshot:
            wanted = consent.of_project(source, unclean=travel.unclean is not False, ignored=travel.ignored)
            create_extras.confirm(wanted, yes=about.yes)
        request = Request(
            name, agent_type, provider, arguments, build_words, source.absolute(), policy, travel, about.extras
        )
        if snapshot:
            from mngr.operations.clone import from_snapshot

            made = with_steps(output, lambda progress: from_snapshot(snapshot, request, progress))
        elif host:
            _nothing_about_a_new_host("--host", build_words, policy)
            made = with_steps(output, lambda progress: create_on(host, request, progress))
        else:
            made = with_steps(output, lambda progress: create(request, progress))
    if about.message is not None:
        text = about.message
        made = with_steps(output, lambda progress: first_message(made, text, progress))
    render.agent(made, output.form, "" if output.quiet else f"{name} is running; attach: mngr connect {name}")
    if connect and output.form == "human" and sys.stdin.isatty() and sys.stdout.isatty():
        from mngr.cli.connect import attach

        return attach(output, made.agent.id)
    return 0


def _provider(address: addresses.Address, option: str | None) -> str:
    """Where the host is to be. Raises `UsageError`."""
    if option and address.provider and option != address.provider:
        raise UsageError(f"the provider is given twice: {address.provider} and --in {option}")
    return address.provider or option or config.load().default_provider


def _host(address: addresses.Address, option: str | None) -> str | None:
    """The host that is there already, None for one of the agent's own. Raises `UsageError`."""
    if option and address.host and option != address.host:
        raise UsageError(f"the host is given twice: {address.host} and --host {option}")
    return address.host or option


_OF_THE_PROJECT = ("source", "host", "branch", "include_unclean", "include_gitignored", "target_path")


def _nothing_about_a_new_host(option: str, words: tuple[str, ...], said: dict[str, Any]) -> None:
    given = [*words, *said]
    if given:
        raise UsageError(f"{option}: the host is there already, so nothing can be said of it: {', '.join(given)}")


def _nothing_about_the_project(ctx: click.Context, host: str | None) -> None:
    """A snapshot has its project and is a host. Raises `UsageError`."""
    from click.core import ParameterSource

    given = [name for name in _OF_THE_PROJECT if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE]
    if host and "host" not in given:
        given.append("host")
    if given:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise UsageError(f"--snapshot: the agent has the snapshot's project and a host of its own, without {options}")


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
