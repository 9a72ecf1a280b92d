"""Runs something while a person sees its steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from mngr.cli import render
from mngr.cli.app import Output
from mngr.providers.base import Progress

T = TypeVar("T")


def with_steps(output: Output, function: Callable[[Progress], T]) -> T:
    """Calls `function` with something to tell its steps to."""
    shown = steps(output)
    try:
        return function(shown)
    finally:
        shown.done()


def steps(output: Output) -> render.Steps:
    """Something to tell steps to. Raises `UsageError` for a form of output that is none."""
    render.check_format(output.form)
    return render.Steps(quiet=output.quiet, verbose=output.verbose)
