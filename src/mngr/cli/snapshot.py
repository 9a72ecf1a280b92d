"""`mngr snapshot`."""

from __future__ import annotations

import sys
import time
from typing import Any

import click

from mngr import durations
from mngr.cli import render, shapes
from mngr.cli.app import Output, common_options
from mngr.cli.steps import with_steps
from mngr.cli.targets import names
from mngr.errors import UsageError
from mngr.operations import snapshots
from mngr.operations.snapshots import Selection, SnapshotRequest

_VERBS = ("create", "list", "destroy")


class _Snapshot(click.Group):
    """``mngr snapshot AGENT`` is short for ``mngr snapshot create AGENT``."""

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        if args and args[0] not in _VERBS:
            args = ["create", *args]
        return super().resolve_command(ctx, args)


@click.group("snapshot", cls=_Snapshot)
@common_options
def command() -> None:
    """Keep the file systems of hosts: take snapshots, list and destroy them."""


@command.command("create")
@click.argument("agents", nargs=-1, required=True, metavar="AGENT…")
@click.option("--name", default="", help="A name to call it by, of its own among the host's snapshots.")
@click.option("--description", default="", help="What it is for.")
@click.option("--tag", "tags", multiple=True, metavar="KEY=VALUE", help="A mark of your own; repeatable.")
@click.option(
    "--on-error",
    type=click.Choice(["abort", "continue"]),
    default="continue",
    show_default=True,
    help="What to do when one of several fails.",
)
@common_options
@click.pass_obj
def create(
    output: Output, agents: tuple[str, ...], name: str, description: str, tags: tuple[str, ...], on_error: str
) -> int:
    """Take a snapshot of agents' hosts (names, ids; - reads them from standard input) and print its id.

    Agents that share a host make one. The host goes on; what programs have not written to disk yet is not in it.
    """
    request = SnapshotRequest(name=_checked_name(name), description=description, tags=_pairs(tags))
    wanted = names(agents)
    done = with_steps(
        output, lambda progress: snapshots.create(wanted, progress, request, go_on=on_error == "continue")
    )
    made = [outcome.value for outcome in done if outcome.value is not None]
    values = [shapes.snapshot_value(one.host.record, one.snapshot) for one in made]
    errors = [outcome.error for outcome in done if outcome.error is not None]
    return render.outcomes(output.form, "snapshot", values, errors, "\n".join(one.snapshot.id for one in made))


def _checked_name(name: str) -> str:
    if name and (name.startswith(("im-", "-")) or any(character.isspace() for character in name)):
        raise UsageError(f"--name {name!r}: must be one word that does not begin with '-' or, as ids do, with 'im-'")
    return name


def _pairs(tags: tuple[str, ...]) -> dict[str, str]:
    pairs = {}
    for tag in tags:
        key, found, value = tag.partition("=")
        if not found or not key:
            raise UsageError(f"--tag {tag!r}: must be KEY=VALUE")
        pairs[key] = value
    return pairs


class _Moment(click.ParamType[float]):
    """A date such as ``2026-11-24`` or ``2026-11-24T18:00``, or how long ago: ``2h``. Seconds since 1970."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        from datetime import datetime

        try:
            return datetime.fromisoformat(value).timestamp()
        except ValueError:
            pass
        try:
            return time.time() - durations.parse(value)
        except ValueError:
            self.fail(f"{value!r} must be a date such as 2026-11-24T18:00, or how long ago, such as 2h", param, ctx)


@command.command("list")
@click.argument("agents", nargs=-1, metavar="[AGENT…]")
@click.option("--limit", type=click.IntRange(min=1), help="Only so many, the newest.")
@click.option("--after", type=_Moment(), help="Only those taken after: a date, or how long ago (2h).")
@click.option("--before", type=_Moment(), help="Only those taken before.")
@common_options
@click.pass_obj
def list_snapshots(
    output: Output, agents: tuple[str, ...], limit: int | None, after: float | None, before: float | None
) -> int:
    """List snapshots, of all hosts without AGENT; the oldest first. Stopped and destroyed hosts are among them."""
    wanted = names(agents) if agents else []
    found = with_steps(output, lambda _progress: snapshots.listed(wanted))
    found = [one for one in found if (after or 0) < one.snapshot.created_at < (before or float("inf"))]
    found = found[-limit:] if limit else found
    render.snapshots([(one.host.record, one.snapshot) for one in found], output.form)
    return 0


@command.command("destroy")
@click.argument("agents", nargs=-1, required=True, metavar="AGENT…")
@click.option("--snapshot", "wanted", multiple=True, metavar="ID|NAME", help="Which; repeatable.")
@click.option("--all-snapshots", is_flag=True, help="All of them.")
@click.option("--older-than", metavar="TIME", help="With --all-snapshots: only those older than 7d, 12h, …")
@click.option("--keep", type=click.IntRange(min=0), default=0, help="With --all-snapshots: not the newest so many.")
@click.option("-f", "--force", is_flag=True, help="Do not ask, and remove the last that a host can come back from too.")
@click.option("--dry-run", is_flag=True, help="Only show what would go.")
@common_options
@click.pass_obj
def destroy(
    output: Output,
    agents: tuple[str, ...],
    wanted: tuple[str, ...],
    all_snapshots: bool,
    older_than: str | None,
    keep: int,
    force: bool,
    dry_run: bool,
) -> int:
    """Destroy snapshots of AGENT's host, with the images that hold them."""
    if bool(wanted) == all_snapshots:
        raise UsageError("say which: --snapshot ID (repeatable), or --all-snapshots [--older-than 7d] [--keep 5]")
    try:
        older_than_s = durations.parse(older_than) if older_than else None
    except ValueError as error:
        raise UsageError(f"--older-than {older_than}: {error}") from None
    if not (force or dry_run) and (not sys.stdin.isatty() or "-" in agents):
        raise UsageError("this destroys snapshots; add --force where nobody can be asked")
    selection = Selection(wanted, all_snapshots, older_than_s, keep)
    asked = names(agents)
    chosen = with_steps(output, lambda _progress: snapshots.select(asked, selection))
    pairs = [(one.host.record, one.snapshot) for one in chosen]
    value = [shapes.snapshot_value(*pair) for pair in pairs]
    if dry_run:
        render.result({"would_destroy": value}, output.form, _shown(pairs, "would be destroyed"))
        return 0
    if not force:
        snapshots.check_destroy(chosen)
        click.echo(_shown(pairs, "will be destroyed"), err=True)
        click.confirm("Go on?", abort=True, err=True)
    with_steps(output, lambda progress: snapshots.destroy(chosen, progress))
    human = "" if output.quiet else _shown(pairs, "is destroyed" if len(pairs) == 1 else "are destroyed")
    render.result({"destroyed": value}, output.form, human)
    return 0


def _shown(pairs: list[tuple[Any, Any]], what: str) -> str:
    lines = [
        f"{snapshot.id} {snapshot.name or '-'} {snapshot.kind.value} of {record.name}" for record, snapshot in pairs
    ]
    size = sum(snapshot.size or 0 for _record, snapshot in pairs)
    return "\n".join([*lines, f"{render.counted(len(pairs), 'snapshot')} ({render.human_bytes(size)} at most) {what}"])
