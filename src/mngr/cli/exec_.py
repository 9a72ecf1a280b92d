"""`mngr exec`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from mngr.cli import create_extras, render
from mngr.cli.app import Output, common_options
from mngr.cli.steps import steps, with_steps
from mngr.cli.targets import names, seconds
from mngr.errors import PartialFailure, UsageError
from mngr.hosts.commands import Manner
from mngr.operations import finding
from mngr.operations.execution import execute, execute_all


class _Exec(click.Command):
    """Behind the agent a word that is neither an option nor an agent begins the command, and all that follows is the
    command's. Else the command stands behind ``--``, and options may stand anywhere before it."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        before, after = create_extras.split(args)
        ctx.allow_interspersed_args = False
        given, _rest, _order = self.make_parser(ctx).parse_args(list(before))
        # click has a mark of its own for none at all.
        words: tuple[str, ...] = given["words"] if isinstance(given["words"], tuple) else ()
        if after and _begins_a_command(words, all_=given.get("all_") is True):
            rest = super().parse_args(ctx, before)
            ctx.meta["command"] = ()
            ctx.params["words"] = (*words, "--", *after)
            return rest
        ctx.meta["command"] = after
        ctx.allow_interspersed_args = bool(after)
        return super().parse_args(ctx, before)


def _begins_a_command(words: Sequence[str], *, all_: bool) -> bool:
    """Whether a ``--`` behind these words is the command's own, as that of ``git checkout -- FILE`` is."""
    if all_:
        return bool(words)
    return len(words) > 1 and not words[1].startswith("-") and not finding.is_known(words[1])


@click.command("exec", cls=_Exec)
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="AGENT… [--] COMMAND…")
@click.option("--all", "all_", is_flag=True, help="At all agents that run.")
@click.option("--cwd", default="", metavar="FOLDER", help="Run there.  [default: the agent's work folder]")
@click.option("--timeout", metavar="TIME", help="End it after so long, with exit code 124.")
@click.option("--user", default="", metavar="NAME", help="Run as this user.  [default: root]")
@click.option("-t", "--tty", is_flag=True, help="In a terminal.")
@common_options
@click.pass_context
def command(
    ctx: click.Context, words: tuple[str, ...], all_: bool, cwd: str, timeout: str | None, user: str, tty: bool
) -> int:
    """Run COMMAND where AGENT is: in its work folder and environment, on this terminal's input and outputs.

    One word is a line for the shell, several are one command. Ends with the command's own exit code. Options stand
    before AGENT, or before a -- that stands in front of the command.

    With several agents, named before a --, given as - on standard input or meant by --all, it runs at all of them at
    the same time, without input, and each line has the agent's name in front; the exit code is 0 when all ended with 0.
    """
    output: Output = ctx.obj
    wanted, line = _read(words, ctx.meta["command"], all_=all_)
    timeout_s = seconds("--timeout", timeout)
    manner = Manner(cwd, None if timeout_s is None else int(timeout_s), user, tty)
    if len(wanted) == 1 and not all_:
        return execute(wanted[0], line, steps(output), manner)
    if tty:
        raise UsageError("-t: is for one agent; these are several")
    if all_:
        from mngr.operations.talking import everybody

        wanted = everybody()
    return _several(output, wanted, line, manner)


def _read(words: Sequence[str], after: tuple[str, ...], *, all_: bool) -> tuple[list[str], tuple[str, ...]]:
    if all_:
        wanted, line = [], after or tuple(words)
    elif after:
        wanted, line = names(words), after
    else:
        wanted, line = names(words[:1]), tuple(words[1:])
    if not line:
        raise UsageError("there is no command; give it after the agent")
    return wanted, line


def _several(output: Output, wanted: Sequence[str], line: tuple[str, ...], manner: Manner) -> int:
    written: dict[str, dict[str, str]] = {}

    def told(name: str, text: bytes, error: bool) -> None:
        shown = text.decode(errors="replace").rstrip("\r\n")
        if output.form == "human":
            render.prefixed(name, shown, error=error)
        else:
            kept = written.setdefault(name, {"stdout": "", "stderr": ""})
            kept["stderr" if error else "stdout"] += f"{shown}\n"

    ran = with_steps(output, lambda progress: execute_all(wanted, line, progress, manner, told))
    values: list[dict[str, Any]] = [
        {"name": one.name, "exit_code": one.exit_code} | written.get(one.name, {"stdout": "", "stderr": ""})
        for one in ran
        if one.error is None
    ]
    bad = [f"{one.name}: exit code {one.exit_code}" for one in ran if one.exit_code]
    errors = [one.error for one in ran if one.error is not None]
    code = render.outcomes(output.form, "run", values, errors, "")
    for text in bad if output.form == "human" else ():
        render.failure(PartialFailure(text), output.form)
    return code or (PartialFailure.exit_code if bad else 0)
