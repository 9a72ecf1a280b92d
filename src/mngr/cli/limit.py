"""`mngr limit`."""

from __future__ import annotations

from typing import Any

import click

from mngr import durations
from mngr.cli import render
from mngr.cli.app import Output, common_options
from mngr.cli.steps import with_steps
from mngr.errors import UsageError
from mngr.models import IdleMode
from mngr.operations.changes import limit

_TIMES = {"idle_timeout": "idle_timeout_s", "snapshot_every": "snapshot_every_s"}


@click.command("limit")
@click.argument("agent")
@click.option("--idle-timeout", metavar="TIME", help="End the host when it was idle so long.")
@click.option("--idle-mode", type=click.Choice([mode.value for mode in IdleMode]), help="What counts as activity.")
@click.option("--run-past-timeout/--no-run-past-timeout", default=None, help="Go on when the lifetime is over.")
@click.option("--snapshot-every", metavar="TIME", help="Take snapshots by the clock; 0 takes none.")
@click.option("--keep-snapshots", type=click.IntRange(min=1), help="Of these keep so many.")
@click.option("-b", "--build-arg", "build_args", multiple=True, metavar="KEY=VALUE", help="Such as timeout, cpu, gpu.")
@common_options
@click.pass_obj
def command(output: Output, /, agent: str, build_args: tuple[str, ...], **said: Any) -> int:
    """Change when the host of AGENT ends itself, and what it is given.

    Times and modes count at once; build arguments from the host's next start on. What counts when is printed.
    """
    policy = _policy(said)
    if not policy and not build_args:
        raise UsageError("nothing to change was said; see: mngr limit --help")
    changed = with_steps(output, lambda progress: limit(agent, policy, build_args, progress))
    render.changed(changed.agent, changed.now, changed.later, output.form, quiet=output.quiet)
    return 0


def _policy(said: dict[str, Any]) -> dict[str, Any]:
    """What was said, by the names of `Policy`'s fields. Raises `UsageError`."""
    found: dict[str, Any] = {}
    for option, field in _TIMES.items():
        if said[option] is None:
            continue
        try:
            found[field] = 0 if field == "snapshot_every_s" and said[option] == "0" else durations.parse(said[option])
        except ValueError as error:
            raise UsageError(f"--{option.replace('_', '-')} {said[option]}: {error}") from None
    if said["idle_mode"] is not None:
        found["idle_mode"] = IdleMode(said["idle_mode"])
    if said["run_past_timeout"] is not None:
        found["auto_restart"] = said["run_past_timeout"]
    if said["keep_snapshots"] is not None:
        found["keep_snapshots"] = said["keep_snapshots"]
    return found
