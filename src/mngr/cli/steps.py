"""Shows a person the steps of what is being done."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import TextIO, TypeVar

from mngr.cli import render
from mngr.cli.app import Output
from mngr.providers.base import Progress

T = TypeVar("T")
# As podman's builds write it, and as Modal's do.
_BUILD_STEP = re.compile(r"(?:\[\d+/\d+\] )?STEP |=> Step ")
# A line for the shell in the form of a list, of which a comment at its beginning says all that a person needs.
_SHELL_LINE = re.compile(r'RUN \["/bin/sh", "-c", "(?:# (?P<what>.*?)\\n|(?P<line>.*)"\])')


def with_steps(output: Output, function: Callable[[Progress], T]) -> T:
    """Calls `function` with something to tell its steps to."""
    shown = steps(output)
    try:
        return function(shown)
    finally:
        shown.done()


def steps(output: Output) -> Steps:
    """Something to tell steps to. Raises `UsageError` for a form of output that is none."""
    render.check_format(output.form)
    return Steps(quiet=output.quiet, verbose=output.verbose)


class Steps:
    """Tells what is being done on one line of the terminal. Silent elsewhere and with ``-q``."""

    def __init__(self, *, quiet: bool, verbose: bool, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._quiet = quiet
        self._lines = verbose
        self._shown = (self._stream.isatty() or verbose) and not quiet
        self._open = False
        self._step = ""

    def __call__(self, step: str) -> None:
        if not self._shown:
            return
        if self._lines:
            print(f"mngr: {step}", file=self._stream)
            return
        self._step = step
        self._show(f"{step} …")

    def say(self, text: str) -> None:
        """A line about what is shown; not with ``-q``."""
        if not self._quiet:
            self.done()
            print(f"mngr: {text}", file=self._stream, flush=True)

    def warn(self, text: str) -> None:
        """A line that stays, also where nobody watches; not with ``-q``."""
        if not self._quiet:
            self.done()
            print(f"mngr: warning: {text}", file=self._stream)

    def log(self, text: str) -> None:
        """What a build writes: whole with ``-v``, else only the step that it is at."""
        if not self._shown:
            return
        if self._lines:
            self._stream.write(text)
            self._stream.flush()
            return
        for line in text.splitlines():
            begun = _BUILD_STEP.match(line)
            if begun:
                self._show(f"{self._step}: {_plain(line[begun.end() :])}")

    def _show(self, text: str) -> None:
        import shutil

        width = shutil.get_terminal_size().columns - 1
        self._stream.write(f"\r\033[K{text[:width]}")
        self._stream.flush()
        self._open = True

    def done(self) -> None:
        """Clears the line."""
        if self._open:
            self._stream.write("\r\033[K")
            self._stream.flush()
            self._open = False


def _plain(step: str) -> str:
    """A step of a build as a person reads it."""
    found = _SHELL_LINE.search(step)
    return step if found is None else step[: found.start()] + (found["what"] or found["line"])
