"""What `mngr push`, `pull` and `rsync` share: options, the question before deletions, what is printed."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence

import click

from mngr.cli import render
from mngr.cli.app import Output
from mngr.cli.steps import steps, with_steps
from mngr.errors import UsageError
from mngr.hosts.rsync import Change
from mngr.operations.sync import Confirm, Copied, Wanted

_SHOWN = 10


def options(function: Callable[..., int]) -> Callable[..., int]:
    """The options of all three, which `wanted` takes."""
    for option in (
        click.option("--include-gitignored", "ignored", is_flag=True, help="What git ignores travels too."),
        click.option("--exclude", "patterns", multiple=True, metavar="PATTERN", help="Leave out, by rsync's rules."),
        click.option("-f", "--force", "--yes", "force", is_flag=True, help="Do not ask before deleting."),
        click.option("--delete", is_flag=True, help="Delete there what is not at the source; asked first."),
        click.option("-n", "--dry-run", is_flag=True, help="Only show what would be done."),
    ):
        function = option(function)
    return function


def carry_out(
    output: Output, wanted: Wanted, force: bool, work: Callable[[Confirm, Callable[[str], None]], Copied]
) -> int:
    """Copies, while a person on a terminal sees how far it is, and prints what was done."""

    def confirm(deleted: Sequence[Change]) -> None:
        if force:
            return
        names = [os.fsdecode(change.path) for change in deleted]
        if not sys.stdin.isatty():
            raise UsageError(
                f"--delete would remove {render.counted(len(names), 'file')}; add --force where nobody can be asked"
            )
        more = f"\n  … and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        shown = "\n  ".join(repr(name)[1:-1] for name in names[:_SHOWN])
        click.confirm(f"Delete there:\n  {shown}{more}\nDelete {len(names)}?", abort=True, err=True)

    copied = with_steps(output, lambda progress: work(confirm, progress))
    counted = {kind: sum(change.kind == kind for change in copied.changes) for kind in ("send", "delete")}
    value = {
        "agent": copied.name,
        "source": copied.source,
        "destination": copied.destination,
        "dry_run": wanted.dry_run,
        "sent": counted["send"],
        "deleted": counted["delete"],
        "note": copied.note or None,
        "changes": [{"kind": change.kind, "path": os.fsdecode(change.path)} for change in copied.changes],
    }
    if copied.note and output.form == "human":
        steps(output).say(copied.note)
    lines = []
    if wanted.dry_run or output.verbose:
        lines += [f"{change.kind:6} {os.fsdecode(change.path)!r}" for change in copied.changes]
    would = "would be " if wanted.dry_run else ""
    deleted = f", {counted['delete']} {would}deleted" if counted["delete"] else ""
    lines.append(f"{render.counted(counted['send'], 'file')} {would}copied{deleted}")
    render.result({"copied": value}, output.form, "" if output.quiet else "\n".join(lines))
    return 0
