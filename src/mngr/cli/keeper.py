"""`mngr keeper`."""

from __future__ import annotations

import shutil
import sys
import time

import click
import msgspec

from mngr import durations, paths
from mngr.cli import render
from mngr.cli.app import Output, common_options
from mngr.cli.steps import with_steps
from mngr.errors import UsageError
from mngr.operations import keeper

_UNIT = """[Unit]
Description=Snapshots by the clock and agents that outlive their sandboxes (mngr keeper)

[Service]
ExecStart={command} keeper run
Environment=MNGR_HOME={home}
Restart=on-failure

[Install]
WantedBy=default.target
"""


@click.group("keeper")
@common_options
def command() -> None:
    """Do what is due by the clock: periodic snapshots (--snapshot-every), and agents that go on in a new sandbox when
    the lifetime of the old one is over (--run-past-timeout)."""


@command.command("run")
@click.option("--once", is_flag=True, help="One round, for cron.")
@click.option("--every", default="30s", show_default=True, metavar="TIME", help="How often to look.")
@common_options
@click.pass_obj
def run(output: Output, once: bool, every: str) -> int:
    """Look at all hosts again and again, in the foreground, until Ctrl-C. Prints what it does."""
    try:
        every_s = max(1, durations.parse(every))
    except ValueError as error:
        raise UsageError(f"--every {every}: {error}") from None
    failed = False
    while True:
        for deed in with_steps(output, keeper.round_):
            failed = failed or deed.failed
            render.result(msgspec.to_builtins(deed), _line_form(output.form), f"{deed.host}: {deed.what}")
            sys.stdout.flush()
        if once:
            return 1 if failed else 0
        time.sleep(every_s)


def _line_form(form: str) -> str:
    """It never ends, so JSON is one document a line."""
    return "jsonl" if form == "json" else form


@command.command("unit")
@common_options
@click.pass_obj
def unit(output: Output) -> int:
    """Print a systemd user unit that runs it.

    mngr keeper unit >~/.config/systemd/user/mngr-keeper.service && systemctl --user enable --now mngr-keeper
    """
    text = _UNIT.format(command=shutil.which("mngr") or sys.argv[0], home=paths.home())
    render.result({"unit": text}, output.form, text.rstrip("\n"))
    return 0
