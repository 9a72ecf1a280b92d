"""The `localmodal faults` commands."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Any, NoReturn

import click
import msgspec

from localmodal import faults
from localmodal.faults import BadFault, ErrorRule, FaultSettings, RateLimit
from localmodal.home import Home

_FORMAT = click.option("--format", "form", type=click.Choice(["human", "json"]), default="human", help="Output form.")
_TAKE_S = 10.0
_LOOK_S = 0.01


@click.group("faults")
def main() -> None:
    """Make the server slow or unreliable on purpose, at once, until told otherwise. Off by default."""


@main.command("set")
@click.option("--latency", metavar="TIME", help="Added to each call and each new connection through a tunnel: 100ms.")
@click.option(
    *("--error", "errors"),
    metavar="RPC=STATUS[:RATE]",
    multiple=True,
    help="Answer calls with an error: 'Volume*=RESOURCE_EXHAUSTED:1/3' is every third call whose name begins so.",
)
@click.option(
    *("--rate-limit", "limits"),
    metavar="RPC=N/TIME",
    multiple=True,
    help="Refuse more calls than that with RESOURCE_EXHAUSTED, all versions of the RPC together: VolumeListFiles=5/s.",
)
@click.option("--stale-listings", "stale", metavar="TIME", help="Lists of sandboxes show the state of that long ago.")
@click.option("--no-exit-snapshots", is_flag=True, help="Refuse sandboxes that ask for an exit snapshot.")
@_FORMAT
def set_faults(
    latency: str | None,
    errors: Sequence[str],
    limits: Sequence[str],
    stale: str | None,
    no_exit_snapshots: bool,
    form: str,
) -> None:
    """Add to the faults; one of the same kind (and RPC) replaces the earlier one. 0s and :0 take one back."""
    if latency is None and stale is None and not (errors or limits or no_exit_snapshots):
        _refuse("say which fault to set; see: localmodal faults set --help")
    home = Home.from_environment()
    changes: dict[str, Any] = {}
    try:
        before = faults.read(home)
        rpcs = _rpcs() if errors or limits else set()
        if latency is not None:
            changes["latency_s"] = faults.duration_s(latency)
        if stale is not None:
            changes["stale_listings_s"] = faults.duration_s(stale)
        if no_exit_snapshots:
            changes["no_exit_snapshots"] = True
        rules: dict[str, ErrorRule] = {rule.rpc: rule for rule in before.errors}
        rules |= {rule.rpc: rule for rule in (faults.error_rule(text, rpcs) for text in errors)}
        by_rpc: dict[str, RateLimit] = {limit.rpc: limit for limit in before.rate_limits}
        by_rpc |= {limit.rpc: limit for limit in (faults.rate_limit(text, rpcs) for text in limits)}
    except (BadFault, msgspec.MsgspecError) as error:
        _refuse(str(error))
    changes["errors"] = tuple(rule for rule in rules.values() if rule.share)
    changes["rate_limits"] = tuple(by_rpc.values())
    settings = msgspec.structs.replace(before, **changes)
    faults.write(home, settings)
    _until_in_force(home)
    _show(form, settings)


@main.command()
@_FORMAT
def show(form: str) -> None:
    """Show the faults that are set."""
    try:
        _show(form, faults.read(Home.from_environment()))
    except msgspec.MsgspecError as error:
        _refuse(str(error))


@main.command()
@_FORMAT
def clear(form: str) -> None:
    """End all faults."""
    home = Home.from_environment()
    faults.clear(home)
    _until_in_force(home)
    _show(form, FaultSettings())


def _show(form: str, settings: FaultSettings) -> None:
    if form == "json":
        click.echo(msgspec.json.encode(settings).decode())
    else:
        click.echo("\n".join(settings.lines()) or "no faults are set")


def _until_in_force(home: Home) -> None:
    """Waits until a running server goes by what was set, so that what is typed next meets it."""
    from localmodal import daemon

    deadline = time.monotonic() + _TAKE_S
    while daemon.status(home)["running"] and not faults.in_force(home):
        if time.monotonic() > deadline:
            click.echo("localmodal: the server has not taken the faults over; see its log", err=True)
            sys.exit(1)
        time.sleep(_LOOK_S)


def _rpcs() -> set[str]:
    """The names of all RPCs of both protocols; they take a moment to import."""
    from modal_proto.api_pb2 import DESCRIPTOR as CONTROL_PLANE
    from modal_proto.task_command_router_pb2 import DESCRIPTOR as COMMAND_ROUTER

    services = [CONTROL_PLANE.services_by_name["ModalClient"], COMMAND_ROUTER.services_by_name["TaskCommandRouter"]]
    return {method.name for service in services for method in service.methods}


def _refuse(message: str) -> NoReturn:
    click.echo(f"localmodal: {message}", err=True)
    sys.exit(2)
