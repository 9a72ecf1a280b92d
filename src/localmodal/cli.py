"""The `localmodal` command."""

from __future__ import annotations

import json
import os
import shutil
import sys
from typing import Any

import click

from localmodal import faults_command
from localmodal.home import Home

_FORMAT = click.option("--format", "form", type=click.Choice(["human", "json"]), default="human", help="Output form.")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="mngr", prog_name="localmodal")
def main() -> None:
    """Modal's protocol, served on this machine: any Modal SDK can use it, and sandboxes are podman containers.

    State is kept in $LOCALMODAL_HOME (default: localmodal in the XDG data folder).
    """


main.add_command(faults_command.main)


@main.command()
@click.option("--port", type=click.IntRange(0, 65535), help="Port on the loopback address; kept for the next time.")
def serve(port: int | None) -> None:
    """Serve in the foreground until SIGINT or SIGTERM. Sandboxes go on."""
    _check_machine()
    from localmodal import daemon

    sys.exit(daemon.serve(Home.from_environment(), port))


@main.command()
@click.option("--port", type=click.IntRange(0, 65535), help="Port on the loopback address; kept for the next time.")
@_FORMAT
def up(port: int | None, form: str) -> None:
    """Start the server in the background and wait until it answers. Does nothing when it runs."""
    _check_machine()
    from localmodal import daemon

    home = Home.from_environment()
    try:
        started = daemon.up(home, port)
    except daemon.DaemonFailed as error:
        _fail(str(error))
    state = daemon.status(home)
    _show(form, state | {"started": started}, f"localmodal {'started' if started else 'is running'}: {state['url']}")


@main.command()
@click.option("--all", "end_sandboxes", is_flag=True, help="End its sandboxes too.")
@_FORMAT
def down(end_sandboxes: bool, form: str) -> None:
    """Stop the server. Sandboxes go on unless --all is given."""
    from localmodal import daemon

    home = Home.from_environment()
    try:
        stopped = daemon.down(home, end_sandboxes=end_sandboxes)
    except daemon.DaemonFailed as error:
        _fail(str(error))
    _show(form, {"stopped": stopped}, "localmodal stopped" if stopped else "localmodal was not running")


@main.command()
@_FORMAT
def status(form: str) -> None:
    """Show whether the server runs, where, and what it has."""
    from localmodal import daemon

    state = daemon.status(Home.from_environment())
    lines = [f"{name}: {'-' if value is None else value}" for name, value in state.items()]
    _show(form, state, "\n".join(lines))


@main.command()
@_FORMAT
def env(form: str) -> None:
    """Print what points a Modal SDK at this server: eval "$(localmodal env)"."""
    from localmodal import daemon

    home = Home.from_environment()
    state = daemon.status(home)
    if not state["running"]:
        _fail("localmodal is not running; type: localmodal up")
    credentials = home.credentials()
    values = {
        "MODAL_SERVER_URL": state["url"],
        "MODAL_TOKEN_ID": credentials.token_id,
        "MODAL_TOKEN_SECRET": credentials.token_secret,
    }
    _show(form, values, "\n".join(f"export {name}={value}" for name, value in values.items()))


@main.command()
@click.option("--force", is_flag=True, help="Really remove everything.")
@_FORMAT
def purge(force: bool, form: str) -> None:
    """Remove all that this localmodal ever made: sandboxes, images, networks, volumes, state."""
    home = Home.from_environment()
    if not force:
        click.echo(f"localmodal: this removes everything in {home.path} and in podman; add --force", err=True)
        sys.exit(2)
    _check_machine()
    from localmodal import daemon

    daemon.purge(home)
    _show(form, {"purged": str(home.path)}, f"removed {home.path}")


def _check_machine() -> None:
    """Ends the program, saying what to type, where localmodal can not work."""
    if sys.platform != "linux":
        _fail("localmodal runs Linux containers and needs Linux; use Modal itself: modal token new")
    if shutil.which("podman") is None:
        _fail("podman is not installed; on Debian or Ubuntu type: apt-get install podman (or make setup)")
    if os.geteuid() != 0:
        words = " ".join(sys.argv[1:])
        _fail(f'localmodal runs as root for now; type: sudo -E env "PATH=$PATH" localmodal {words}')


def _show(form: str, value: dict[str, Any], human: str) -> None:
    click.echo(json.dumps(value) if form == "json" else human)


def _fail(message: str) -> Any:
    click.echo(f"localmodal: {message}", err=True)
    sys.exit(1)
