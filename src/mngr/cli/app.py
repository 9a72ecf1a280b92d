"""The command group: global options, commands that are imported when they are run, errors to exit codes."""

from __future__ import annotations

import gc
import importlib
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

import click

from mngr.cli import interrupts
from mngr.cli.leaving import Leaving
from mngr.errors import MngrError

_INTERRUPTED = 130
COMPLETION = "_MNGR_COMPLETE"
"""The variable by which a shell asks how a word goes on."""
COMMANDS = {
    "create": "Create an agent on a host of its own and start it.",
    "list": "List agents.",
    "exec": "Run a command where an agent is.",
    "connect": "Attach this terminal to an agent.",
    "message": "Tell agents something.",
    "wait": "Wait until agents wait for you, or have ended.",
    "transcript": "Show what was said in an agent's conversation.",
    "ssh": "Open a shell where an agent is.",
    "git": "Get the commits of agents, send yours, compare.",
    "pull": "Copy files from an agent.",
    "push": "Copy files to an agent.",
    "rsync": "Copy files from and to agents, with rsync's own rules.",
    "ssh-config": "Let plain ssh, scp and editors reach agents by name.",
    "rename": "Give an agent another name.",
    "label": "Set and remove labels of an agent.",
    "limit": "Change when an agent's host ends itself.",
    "capture": "Print what an agent's screen shows.",
    "stop": "End agents and keep their work.",
    "start": "Bring stopped agents back.",
    "destroy": "Remove agents and all that they have.",
    "clone": "Make agents as another is now.",
    "snapshot": "Keep the file systems of hosts.",
    "gc": "Put right what was cut off or ended by itself.",
    "keeper": "Do what is due by the clock.",
    "logs": "Show what agents and hosts wrote, also when they do not run.",
    "events": "Show what happened to an agent.",
    "file": "Read files of an agent's host, also when it does not run.",
    "volume": "See and remove host volumes.",
    "config": "Show and change settings.",
    "completion": "Let your shell complete commands and names.",
    "help": "Explain a topic.",
}
_MODULES = {"list": "list_", "exec": "exec_", "help": "help_", "ssh-config": "ssh_config"}


@dataclass
class Output:
    """The global options, wherever on the command line they stood."""

    form: str = "human"
    quiet: bool = False
    verbose: bool = False


class _Lazy(click.Group):
    """Knows its commands by name, so that ``--help`` imports none of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"mngr.cli.{_MODULES.get(cmd_name, cmd_name)}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            import difflib

            near = difflib.get_close_matches(name, COMMANDS, n=1)
            hint = f"did you mean {near[0]!r}?" if near else "see: mngr --help"
            raise click.UsageError(f"there is no command {name!r}; {hint}")
        return super().resolve_command(ctx, args)


def _keep(field: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    def keep(ctx: click.Context, _parameter: click.Parameter, value: Any) -> None:
        if value:
            setattr(ctx.ensure_object(Output), field, value)

    return keep


def _setting(_ctx: click.Context, _parameter: click.Parameter, value: tuple[str, ...]) -> None:
    if value:
        from mngr.config import overrides

        overrides.set((*overrides.get(), *value))


def _profile(_ctx: click.Context, _parameter: click.Parameter, value: bool) -> None:
    if value:
        from mngr import profiling

        profiling.want()


def common_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options that every command takes, before and behind its name."""
    for option in (
        click.option(
            "--profile",
            is_flag=True,
            expose_value=False,
            callback=_profile,
            help="Tell where the time went, on stderr.",
        ),
        click.option("-v", "--verbose", is_flag=True, expose_value=False, callback=_keep("verbose"), help="Say more."),
        click.option("-q", "--quiet", is_flag=True, expose_value=False, callback=_keep("quiet"), help="Say less."),
        click.option(
            "--setting",
            multiple=True,
            metavar="KEY=VALUE",
            expose_value=False,
            callback=_setting,
            help="A setting for this once, such as providers.modal.default_cpu=2.",
        ),
        click.option(
            "--format",
            metavar="FORM",
            expose_value=False,
            callback=_keep("form"),
            help="human, json, jsonl, or a template such as '{name} {state}'.",
        ),
    ):
        function = option(function)
    return function


def _version(ctx: click.Context, _parameter: click.Parameter, value: bool) -> None:
    if value:
        from mngr import __version__

        click.echo(f"mngr {__version__}")
        ctx.exit()


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Print it.")
@common_options
def app() -> None:
    """Run coding agents in Modal sandboxes, each reached over SSH, with no work ever lost.

    Exit codes: 0 done, 1 failed, 2 wrong usage, 3 no such thing, 4 provider not reachable or not authorised,
    5 some of several failed, 130 interrupted. `mngr exec` ends with the command's own.
    """


def main() -> NoReturn:
    """Runs the command line and ends the process."""
    leaving = Leaving()
    # What is imported stays until the end; looking through it for what could go takes a tenth of the time of a list.
    gc.set_threshold(50_000)
    interrupts.catch()
    output = Output()
    if asked := os.environ.get(COMPLETION):
        from mngr.cli import completing

        leaving.code = completing.answer(asked)
        sys.exit(leaving.code)
    if "--profile" in sys.argv:
        from mngr import profiling

        profiling.prepare()
    try:
        leaving.code = _run(output)
    finally:
        _tell_profile(output)
    sys.exit(leaving.code)


def _tell_profile(output: Output) -> None:
    profiling: Any = sys.modules.get("mngr.profiling")
    account = profiling and profiling.account()
    if account:
        import json

        text = json.dumps({"profile": account}) if output.form in ("json", "jsonl") else profiling.text(account)
        print(text, file=sys.stderr)


def _run(output: Output) -> int:
    try:
        try:
            code = app.main(standalone_mode=False, obj=output, prog_name="mngr")
        finally:
            interrupts.let_go()
        return code if isinstance(code, int) else 0
    except MngrError as error:
        from mngr.cli import render

        render.failure(error, output.form)
        # What the terminal's Ctrl-C ended besides us may be why.
        return _INTERRUPTED if interrupts.were_asked() else error.exit_code
    except click.ClickException as error:
        print(f"mngr: {error.format_message()}", file=sys.stderr)
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        import warnings

        # Of calls of the SDK that were cut off before they began.
        warnings.filterwarnings("ignore", "coroutine .* was never awaited")
        print("mngr: interrupted", file=sys.stderr)
        return _INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except OSError as error:
        if output.verbose:
            raise
        print(f"mngr: {error.strerror or error}{f': {error.filename}' if error.filename else ''}", file=sys.stderr)
        return 1
