"""`mngr git`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import click

from mngr.cli import render
from mngr.cli.app import Output, common_options
from mngr.operations import work
from mngr.operations.work import Moved, There


@click.group("git")
def command() -> None:
    """Commits between AGENT's repository and the one that you are in.

    The agent's branch is kept at the ref mngr/AGENT here. What stands after -- is for git itself.
    """


def _ways(verb: str) -> Callable[[Callable[..., int]], Callable[..., int]]:
    def add(function: Callable[..., int]) -> Callable[..., int]:
        for option in (
            click.option("--ref-only", "way", flag_value="ref", help=f"Only {verb}; no branch and no file changes."),
            click.option("--rebase", "way", flag_value="rebase", help="Rebase the branch that receives."),
            click.option("--merge", "way", flag_value="merge", default=True, help="Merge.  [default]"),
        ):
            function = option(function)
        return function

    return add


@command.command("pull")
@click.argument("agent")
@click.argument("extra", nargs=-1, metavar="[-- GIT-OPTIONS]")
@_ways("fetch")
@common_options
@click.pass_obj
def pull(output: Output, agent: str, extra: tuple[str, ...], way: str) -> int:
    """Fetch AGENT's branch and merge it into yours.

    Ends with git's own exit code. Conflicts are in your work tree as after any git merge; uncommitted work of yours is
    never overwritten. What the agent has not committed stays with it, and you are told so. Commits of submodules come
    with the project's; git checks them out when you say so: git submodule update.
    """
    render.check_format(output.form)
    moved = work.pull(agent, way, extra)
    if moved.uncommitted and not output.quiet:
        count = render.counted(moved.uncommitted, "uncommitted change")
        print(f"mngr: not fetched: {count} of {agent}; see: mngr git diff {agent}", file=sys.stderr)
    if moved.submodules and not output.quiet:
        names = ", ".join(moved.submodules)
        print(f"mngr: {names}: at new commits, which are here; check them out: git submodule update", file=sys.stderr)
    return _moved(output, "pull", moved, f"fetched {agent} to mngr/{moved.there.agent.name}" if way == "ref" else "")


@command.command("push")
@click.argument("agent")
@click.argument("extra", nargs=-1, metavar="[-- GIT-OPTIONS]")
@_ways("send")
@common_options
@click.pass_obj
def push(output: Output, agent: str, extra: tuple[str, ...], way: str) -> int:
    """Send your branch to AGENT and merge it into its own.

    Ends with git's own exit code. What has conflicts is taken back there and changes nothing: pull first, then push.
    """
    render.check_format(output.form)
    moved = work.push(agent, way, extra)
    return _moved(output, "push", moved, f"sent to mngr/from-here of {agent}" if way == "ref" else "")


@command.command("diff")
@click.argument("agent")
@click.argument("extra", nargs=-1, metavar="[-- GIT-OPTIONS]")
@click.option("--committed", is_flag=True, help="Without what the agent has not committed.")
@common_options
@click.pass_obj
def diff(output: Output, agent: str, extra: tuple[str, ...], committed: bool) -> int:
    """Show what AGENT did since its branch left yours, uncommitted work included.

    What is uncommitted here just as it is there came from here and is left out.
    """
    render.check_format(output.form)
    there, revisions = work.compared(agent, committed=committed)
    if output.form == "human":
        return work.page(work.here(), "diff", *extra, *revisions)
    shown = work.text(work.here(), "diff", *extra, *revisions)
    return _structured(output, _value("diff", there) | {"diff": shown})


@command.command("log")
@click.argument("agent")
@click.argument("extra", nargs=-1, metavar="[-- GIT-OPTIONS]")
@common_options
@click.pass_obj
def log(output: Output, agent: str, extra: tuple[str, ...]) -> int:
    """Show the commits that AGENT has and you do not."""
    render.check_format(output.form)
    there, revisions = work.logged(agent)
    if output.form == "human":
        return work.page(work.here(), "log", *extra, revisions)
    return _structured(output, _value("log", there) | {"commits": work.commits(revisions, extra)})


@command.command("status")
@click.argument("agent")
@common_options
@click.pass_obj
def status(output: Output, agent: str) -> int:
    """Show AGENT's branch, how far it is from yours, and what is not committed."""
    render.check_format(output.form)
    there = work.look(agent)
    apart = work.distance(there)
    ahead, behind = apart or (None, None)
    value = _value("status", there) | {"ahead": ahead, "behind": behind, "changes": list(there.changes)}
    lines = [f"branch {there.branch or f'none, at {there.commit[:12]}'}"]
    if apart is not None:
        lines.append(
            f"{render.counted(ahead or 0, 'commit')} that you do not have, {behind} of yours that it does not have"
        )
    lines += there.changes or ["nothing uncommitted"]
    render.result({"git": value}, output.form, "\n".join(lines))
    return 0


def _value(action: str, there: There) -> dict[str, Any]:
    return {
        "action": action,
        "agent": there.agent.name,
        "branch": there.branch or None,
        "commit": there.commit or None,
        "ref": work.reference(there.agent),
    }


def _moved(output: Output, action: str, moved: Moved, human: str) -> int:
    value = _value(action, moved.there) | {
        "before": moved.before or None,
        "after": moved.after or None,
        "uncommitted": moved.uncommitted,
        "exit_code": moved.exit_code,
    }
    if action == "pull":
        value["submodules"] = list(moved.submodules)
    render.result({"git": value}, output.form, "" if output.quiet else human)
    return moved.exit_code


def _structured(output: Output, value: dict[str, Any]) -> int:
    render.result({"git": value}, output.form, "")
    return 0
