"""`mngr message`."""

from __future__ import annotations

import sys

import click

from mngr.cli import create_extras, render
from mngr.cli.app import Output, common_options
from mngr.cli.steps import with_steps
from mngr.cli.targets import names, seconds
from mngr.errors import UsageError
from mngr.models import AgentState
from mngr.operations.talking import Said, Told, answer, everybody, for_agents, message
from mngr.providers.base import Progress

_LONG_S = 24 * 3600.0


class _Message(click.Command):
    """A text may begin with a hyphen behind ``--``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        before, after = create_extras.split(args)
        ctx.meta["text"] = " ".join(after) if after else None
        return super().parse_args(ctx, before)


@click.command("message", cls=_Message)
@click.argument("words", nargs=-1, metavar="AGENT… [TEXT | -]")
@click.option("--all", "all_", is_flag=True, help="Tell all agents that run.")
@click.option("--answer", "keys", is_flag=True, help="Type TEXT as keys and submit nothing; an empty one is Enter.")
@click.option("--wait", is_flag=True, help="Return when they wait for you again.")
@click.option("--timeout", metavar="TIME", help="Wait at most so long.")
@common_options
@click.pass_context
def command(ctx: click.Context, words: tuple[str, ...], all_: bool, keys: bool, wait: bool, timeout: str | None) -> int:
    """Type TEXT into the terminals of agents and submit it, also while they work.

    Without TEXT, or with - for it, it is read from standard input. AGENT - reads ids from there. Every byte arrives as
    it is in programs that take pastes, as coding agents do. An agent that asks for a permission is told nothing, so
    that nothing is permitted by chance; answer it with --answer and the key that it wants.
    """
    output: Output = ctx.obj
    given: str | None = ctx.meta["text"]
    agents, text = _read(words, given, all_=all_)
    wait_s = (seconds("--timeout", timeout) or _LONG_S) if wait else None

    def tell(progress: Progress) -> list[Said[Told]]:
        wanted = everybody() if all_ else agents
        if keys:
            return for_agents(wanted, lambda name: answer(name, text, progress, wait_s=wait_s))
        return for_agents(wanted, lambda name: message(name, text, progress, wait_s=wait_s))

    said = with_steps(output, tell)
    told = [one.value for one in said if one.value is not None]
    errors = [one.error for one in said if one.error is not None]
    values = [{"id": one.agent.id, "name": one.agent.name, "state": _state(one.state)} for one in told]
    lines = [f"{one.agent.name} is told" + (f" and is {one.state.value}" if one.state else "") for one in told]
    return render.outcomes(output.form, "told", values, errors, "" if output.quiet else "\n".join(lines))


def _state(state: AgentState | None) -> str | None:
    return state.value if state else None


def _read(words: tuple[str, ...], given: str | None, *, all_: bool) -> tuple[list[str], bytes]:
    """Which agents, and what to tell them. Raises `UsageError`."""
    if given is None and (len(words) > 1 or (all_ and words)):
        words, given = words[:-1], words[-1]
    if all_ and words:
        raise UsageError(f"--all is for all agents; {' '.join(words)} is too much")
    if not all_ and not words:
        raise UsageError("no agent was named; give names or ids, - to read ids from standard input, or --all")
    from_input = given in (None, "-")
    if from_input and ("-" in words or sys.stdin.isatty()):
        raise UsageError("there is no text; give it after the agents, or on standard input")
    text = sys.stdin.buffer.read() if from_input else (given or "").encode()
    return ([] if all_ else names(words)), text.removesuffix(b"\n") if from_input else text
