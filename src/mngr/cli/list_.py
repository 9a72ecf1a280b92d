"""`mngr list`."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import click
import msgspec

from mngr.cli import interrupts, render, shapes
from mngr.cli.app import Output, common_options
from mngr.cli.steps import steps, with_steps
from mngr.errors import UsageError
from mngr.models import AgentState, AgentView
from mngr.operations.listing import Listing, listing
from mngr.operations.selecting import Selection, choose
from mngr.providers.base import Progress

_WATCH_S = 3
_STATES = ("running", "waiting", "blocked", "done", "stopped")


@dataclass(frozen=True, slots=True)
class _Wish:
    """What of the agents is to be shown, and how."""

    selection: Selection
    ids: bool
    columns: tuple[str, ...]
    sort: str
    limit: int | None

    def chosen(self, found: Listing) -> list[tuple[dict[str, Any], AgentView]]:
        """The agents that are meant, as they are printed, in the order that was asked for."""
        shown = [(shapes.agent_value(view), view) for view in choose(found.agents, self.selection)]
        if self.sort:
            field, backwards = self.sort.removeprefix("-"), self.sort.startswith("-")
            shown.sort(key=lambda one: _order(one[0], field), reverse=backwards)
        return shown[: self.limit]

    def show(self, shown: Sequence[tuple[dict[str, Any], AgentView]], errors: Sequence[str], form: str) -> None:
        """Prints them."""
        values = [value for value, _view in shown]
        if self.ids:
            render.ids([value["id"] for value in values], form)
        elif self.columns:
            render.fields(values, self.columns, errors, form)
        else:
            render.listing(shown, errors, form)


def _look(progress: Progress) -> Listing:
    found = listing()
    if not any(view.host.record.policy.auto_restart for view in found.agents):
        return found
    from mngr.operations.keeper import let_go_on

    hosts = {view.host.record.id: view.host for view in found.agents}
    return listing() if let_go_on(hosts.values(), progress) else found


def _watch(output: Output, wish: _Wish, every_s: int) -> int:
    """Shows it again and again. Ctrl-C, which is how one leaves it, is no failure."""
    from mngr.cli import watching
    from mngr.operations.watching import watch

    progress = steps(output)
    with interrupts.welcome(), contextlib.closing(watch(every_s, progress)) as listings:
        if output.form == "human" and sys.stdout.isatty():
            with watching.place() as place:
                for found in listings:
                    progress.done()
                    shown = wish.chosen(found)
                    place.draw(watching.printed(partial(wish.show, shown, found.errors, "human")))
        form = "json" if output.form == "human" else output.form
        changes = watching.Changes()
        for found in listings:
            shown = wish.chosen(found)
            timeless = [(value | {"idle_s": None}, msgspec.structs.replace(view, idle_s=None)) for value, view in shown]
            now = watching.printed(partial(wish.show, timeless, found.errors, form))
            changes.show(now, partial(watching.printed, partial(wish.show, shown, found.errors, form)))
    return 0


@click.command("list")
@click.option("--running", is_flag=True, help="Only those at work.")
@click.option("--waiting", is_flag=True, help="Only those that wait for you.")
@click.option("--blocked", is_flag=True, help="Only those that ask for a permission.")
@click.option("--done", is_flag=True, help="Only those whose command has ended.")
@click.option("--stopped", is_flag=True, help="Only stopped ones.")
@click.option("--label", "labels", multiple=True, metavar="KEY=VALUE", help="Only those with this label.")
@click.option("--host", "hosts", multiple=True, metavar="HOST", help="Only those on this host.")
@click.option("--ids", is_flag=True, help="Print ids only, for - of other commands.")
@click.option("--fields", metavar="A,B,…", help="Show these fields: name,state,idle_s,host.name,labels.KEY …")
@click.option("--sort", metavar="FIELD", help="In the order of a field, -FIELD the other way.  [default: created_at]")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="At most so many.")
@click.option(
    "--watch",
    type=click.IntRange(1, 3600),
    is_flag=False,
    flag_value=_WATCH_S,
    metavar="[SECONDS]",
    help=f"Go on, looking every so many seconds ({_WATCH_S} without a number); Ctrl-C ends it, with exit code 0.",
)
@common_options
@click.pass_obj
def command(
    output: Output,
    /,
    labels: tuple[str, ...],
    hosts: tuple[str, ...],
    ids: bool,
    fields: str | None,
    sort: str | None,
    limit: int | None,
    watch: int | None,
    **states: bool,
) -> int:
    """List agents with what each is doing.

    Of several states, those in any of them are shown. Hosts that are to outlive their sandboxes (--run-past-timeout)
    go on in new ones when this sees that they ended.

    With --watch a terminal shows the table in its place. Elsewhere it is a line of JSON (with --format jsonl or a
    template a line for each agent that did) whenever something has changed; that time passes is no change.
    """
    wanted = [AgentState[name.upper()] for name in _STATES if states[name]]
    selection = Selection(wanted, dict(_label(text) for text in labels), hosts)
    columns = tuple(part.strip() for part in fields.split(",")) if fields else ()
    wish = _Wish(selection, ids, columns, sort or "", limit)
    if watch:
        return _watch(output, wish, watch)
    found = with_steps(output, _look)
    wish.show(wish.chosen(found), found.errors, output.form)
    return 0


def _label(text: str) -> tuple[str, str]:
    key, found, value = text.partition("=")
    if not found or not key:
        raise UsageError(f"--label {text}: must be KEY=VALUE")
    return key, value


def _order(value: dict[str, Any], field: str) -> tuple[bool, Any]:
    """What has no value comes last."""
    found = render.field_of(value, field, "--sort")
    if isinstance(found, str):
        found = found.lower()
    return found is None, "" if found is None else found
