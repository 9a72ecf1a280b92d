"""`mngr list`."""

from __future__ import annotations

from typing import Any

import click

from mngr.cli import render, shapes
from mngr.cli.app import Output, common_options
from mngr.cli.steps import with_steps
from mngr.errors import UsageError
from mngr.models import AgentState
from mngr.operations.listing import Listing, listing
from mngr.operations.selecting import Selection, choose
from mngr.providers.base import Progress

_STATES = ("running", "waiting", "blocked", "done", "stopped")


def _look(progress: Progress) -> Listing:
    found = listing()
    if not any(view.host.record.policy.auto_restart for view in found.agents):
        return found
    from mngr.operations.keeper import go_on, wants_to_go_on

    ended = {view.host.record.id: view.host for view in found.agents if wants_to_go_on(view.host)}
    for host in ended.values():
        go_on(host, progress)
    return listing() if ended else found


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
    **states: bool,
) -> int:
    """List agents with what each is doing.

    Of several states, those in any of them are shown. Hosts that are to outlive their sandboxes (--run-past-timeout)
    go on in new ones when this sees that they ended.
    """
    wanted = [AgentState[name.upper()] for name in _STATES if states[name]]
    selection = Selection(wanted, dict(_label(text) for text in labels), hosts)
    columns = tuple(part.strip() for part in fields.split(",")) if fields else ()
    found = with_steps(output, _look)
    shown: list[tuple[dict[str, Any], Any]] = [(shapes.agent_value(view), view) for view in found.agents]
    meant = {view.agent.id for view in choose(found.agents, selection)}
    shown = [one for one in shown if one[1].agent.id in meant]
    if sort:
        shown.sort(key=lambda one: _order(one[0], sort.removeprefix("-")), reverse=sort.startswith("-"))
    values = [value for value, _view in shown][:limit]
    if ids:
        render.ids([value["id"] for value in values], output.form)
    elif columns:
        render.fields(values, columns, found.errors, output.form)
    else:
        render.listing([view for _value, view in shown][:limit], found.errors, output.form)
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
