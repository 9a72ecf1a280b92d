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
    render.check_format(output.form)
    steps = render.Steps(quiet=output.quiet, verbose=output.verbose)
    try:
        return function(steps)
    finally:
        steps.done()
