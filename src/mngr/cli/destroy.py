"""`mngr destroy`."""

from __future__ import annotations

import sys

import click

from mngr.cli import render
from mngr.cli.app import Output, common_options
from mngr.cli.steps import with_steps
from mngr.cli.targets import names
from mngr.errors import UsageError
from mngr.operations.finding import Target, targets
from mngr.operations.lifecycle import Kept, destroy


@click.command("destroy")
@click.argument("agents", nargs=-1, required=True, metavar="AGENT…")
@click.option("-f", "--force", is_flag=True, help="Do not ask.")
@click.option("--keep-snapshots", is_flag=True, help="Keep the snapshots; a running host leaves one more.")
@click.option("--keep-volume", is_flag=True, help="Keep the volume with logs and events; see: mngr volume.")
@click.option("--dry-run", is_flag=True, help="Only show what would go.")
@common_options
@click.pass_obj
def command(
    output: Output, agents: tuple[str, ...], force: bool, keep_snapshots: bool, keep_volume: bool, dry_run: bool
) -> int:
    """Remove agents (names, ids, hosts; - reads them from standard input).

    A host goes with its last agent: its sandbox, snapshots, volume, keys and records. Its work is gone then, unless
    --keep-snapshots: mngr create NEW --snapshot ID begins from one.
    """
    kept = Kept(keep_snapshots, keep_volume)
    if not (force or dry_run) and (not sys.stdin.isatty() or "-" in agents):
        raise UsageError(f"destroy removes {', '.join(agents)} and all work; add --force where nobody can be asked")
    wanted = names(agents)
    # Who is not asked is not shown it either.
    found = [] if force and not dry_run else with_steps(output, lambda _progress: targets(wanted))
    if dry_run:
        lines = "\n".join(_would_go(target, kept) for target in found)
        render.result({"would_destroy": [_value(target) for target in found]}, output.form, lines)
        return 0
    if not force:
        title = ", ".join(agent.name for target in found for agent in target.agents)
        click.echo("\n".join(_would_go(target, kept) for target in found), err=True)
        click.confirm(f"Destroy {title}?", abort=True, err=True)
    outcomes = with_steps(output, lambda progress: destroy(wanted, progress, kept))
    values = [
        {"id": agent.id, "name": agent.name, "host": outcome.target.host.record.id}
        for outcome in outcomes
        for agent in outcome.value or ()
    ]
    errors = [outcome.error for outcome in outcomes if outcome.error is not None]
    human = "" if output.quiet else "\n".join(f"{value['name']} is destroyed" for value in values)
    return render.outcomes(output.form, "destroyed", values, errors, human)


def _value(target: Target) -> dict[str, object]:
    return {
        "host": target.host.record.id,
        "agents": [agent.name for agent in target.agents],
        "whole_host": target.is_whole_host,
        "snapshots": [snapshot.id for snapshot in target.host.record.snapshots] if target.is_whole_host else [],
        "volume": target.host.record.volume.name if target.is_whole_host and target.host.record.volume else None,
    }


def _would_go(target: Target, kept: Kept) -> str:
    record = target.host.record
    agents = ", ".join(agent.name for agent in target.agents)
    if not target.is_whole_host:
        return f"{agents}: the agent with its work folder; host {record.name} stays"
    snapshots, volume = ("kept" if keep else "removed" for keep in (kept.snapshots, kept.volume))
    about = f"{agents}: host {record.name} ({target.host.state.value})"
    about = f"{about}, {render.counted(len(record.snapshots), 'snapshot')} {snapshots}"
    return f"{about}, volume {volume}" if record.volume else about
