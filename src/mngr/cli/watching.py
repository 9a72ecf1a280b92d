"""What `mngr list --watch` shows: a table that stays in its place on a terminal, elsewhere lines where something has
changed."""

from __future__ import annotations

import contextlib
import io
import shutil
import sys
from collections.abc import Callable, Iterator

_UP, _CLEAR_LINE, _CLEAR_BELOW = "\033[{}A", "\033[K", "\033[J"
# Lines longer than the terminal is wide are cut by it, and the cursor is not in the way.
_BEGIN, _END = "\033[?25l\033[?7l", "\033[?7h\033[?25h"


def printed(do: Callable[[], None]) -> str:
    """What `do` prints, on standard error too."""
    text = io.StringIO()
    with contextlib.redirect_stdout(text), contextlib.redirect_stderr(text):
        do()
    return text.getvalue()


class Place:
    """A part of the terminal that is drawn over. What else is printed meanwhile scrolls away above it."""

    def __init__(self) -> None:
        self._shown: list[str] = []

    def draw(self, text: str) -> None:
        """Shows a text instead of the one before: as many lines as there is room for."""
        room = shutil.get_terminal_size().lines - 1
        lines = text.splitlines()
        if len(lines) > room:
            lines = [*lines[: room - 1], f"… {len(lines) - room + 1} more"]
        if lines == self._shown:
            return
        up = _UP.format(min(len(self._shown), room)) if self._shown else ""
        body = "".join(f"{line}{_CLEAR_LINE}\n" for line in lines)
        sys.stdout.write(f"{_BEGIN}{up}\r{body}{_CLEAR_BELOW}")
        sys.stdout.flush()
        self._shown = lines


@contextlib.contextmanager
def place() -> Iterator[Place]:
    """Gives the terminal back as it was; what was shown last stays."""
    try:
        yield Place()
    finally:
        # With what the terminal itself shows of Ctrl-C.
        sys.stdout.write(f"\r{_CLEAR_BELOW}{_END}")
        sys.stdout.flush()


class Changes:
    """Prints lines that were not among those before."""

    def __init__(self) -> None:
        self._before: set[str] = set()

    def show(self, timeless: str, lines: Callable[[], str]) -> None:
        """`timeless` are the lines without what only passes; these are compared."""
        now = timeless.splitlines()
        if not self._before.issuperset(now):
            for line, same in zip(lines().splitlines(), now, strict=True):
                if same not in self._before:
                    print(line)
            sys.stdout.flush()
        self._before = set(now)
