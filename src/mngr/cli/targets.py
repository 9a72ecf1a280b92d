"""Names of agents and hosts as commands take them: words, and ``-`` for lines of standard input."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mngr import durations
from mngr.cli import render, shapes
from mngr.cli.app import Output
from mngr.errors import UsageError
from mngr.models import AgentView

if TYPE_CHECKING:
    from mngr.operations.changing import Outcome


def names(words: Sequence[str]) -> list[str]:
    """`words` with ``-`` replaced by the lines of standard input. Raises `UsageError` when there is no name at all."""
    found: list[str] = []
    for word in words:
        found += sys.stdin.read().split() if word == "-" else [word]
    if not found:
        raise UsageError("no agent was named; give names or ids, or - to read them from standard input")
    return found


def seconds(option: str, text: str | None) -> float | None:
    """The seconds of an option's time, None when it is not given. Raises `UsageError`."""
    if text is None:
        return None
    try:
        return float(durations.parse(text))
    except ValueError as error:
        raise UsageError(f"{option} {text}: {error}") from None


def agents_done(output: Output, outcomes: Sequence[Outcome[list[AgentView]]], line: str) -> int:
    """Prints agents after a change of several; `line` is what to tell people of each, with ``{name}``."""
    views = [view for outcome in outcomes for view in outcome.value or ()]
    errors = [outcome.error for outcome in outcomes if outcome.error is not None]
    human = "" if output.quiet else "\n".join(line.format(name=view.agent.name) for view in views)
    values: list[dict[str, Any]] = [shapes.agent_value(view) for view in views]
    return render.outcomes(output.form, "agent", values, errors, human)
