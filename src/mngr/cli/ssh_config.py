"""`mngr ssh-config`."""

from __future__ import annotations

from pathlib import Path

import click

from mngr.cli import render
from mngr.cli.app import Output, common_options
from mngr.cli.steps import with_steps
from mngr.operations.finding import all_hosts
from mngr.providers import ssh_config


@click.command("ssh-config")
@click.option("--install/--uninstall", default=None, help="Put an Include line into ~/.ssh/config, or take it out.")
@common_options
@click.pass_obj
def command(output: Output, install: bool | None) -> int:
    """Let ssh, scp, sftp, git and editors reach agents as NAME.mngr.

    Writes an ssh config file of mngr's own, and prints it unless told to install or uninstall. From then on it is kept
    up to date whenever an agent is made, started, stopped, renamed or destroyed.
    """
    # So that agents are in it that were made on other machines.
    with_steps(output, lambda _progress: all_hosts())
    names = ssh_config.refresh(create=True)
    users = Path.home() / ".ssh" / "config"
    if install is None:
        changed, human = False, ssh_config.path().read_text().rstrip("\n")
    elif install:
        changed = ssh_config.install(users)
        human = f"{users} includes {ssh_config.path()}{'' if changed else ' already'}; for example: ssh NAME.mngr"
    else:
        changed = ssh_config.uninstall(users)
        ssh_config.path().unlink()
        human = f"{users} does not include {ssh_config.path()} any more"
    value = {"path": str(ssh_config.path()), "hosts": names, "changed": str(users) if changed else None}
    render.result({"ssh_config": value}, output.form, "" if output.quiet else human)
    return 0
