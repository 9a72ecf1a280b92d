"""Ctrl-C and a polite kill: both undo what is half made.

Python raises KeyboardInterrupt wherever its main thread is. That breaks what libraries hold together: an import that
keeps its lock, a thread that is thought dead (both seen with Python 3.11); and synchronicity, through which the SDK is
called, returns a value as if nothing had been when the call ends at that moment. So it is raised only where it does no
harm, and again until somebody has dealt with it.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType

_AGAIN_S = 0.02
_WAITED = 2
"""Looks that find the main thread where it was before, after which it waits and is not only out of a processor."""
_AT_LAST = 50
"""Looks after which it is raised wherever the main thread is."""
_IMPORTS = "<frozen importlib._bootstrap>"
_OWN = __file__.rpartition("/cli/")[0] + "/"
_WAITS = {("subprocess", "_try_wait"), ("selectors", "select")}


class _Request:
    """That the command ends: looked at every `_AGAIN_S` seconds from when it is asked until it is dealt with."""

    def __init__(self) -> None:
        self.asked = False
        self._raised: KeyboardInterrupt | None = None
        self._spot: tuple[FrameType, int] | None = None
        self._still = 0
        self._looks = 0

    def ask(self, _number: int, frame: FrameType | None) -> None:
        """Also of one who is at undoing things: who asks twice wants no more of that."""
        self.asked = True
        self._raised = None
        self.look(_number, frame)

    def look(self, _number: int, frame: FrameType | None) -> None:
        signal.setitimer(signal.ITIMER_REAL, _AGAIN_S)
        if frame is None or (self._raised is not None and _is_dealt_with(self._raised)):
            return
        spot, self._spot = self._spot, (frame, frame.f_lasti)
        is_still_there = spot is not None and spot[0] is frame and spot[1] == frame.f_lasti
        self._still = self._still + 1 if is_still_there else 0
        self._looks += 1
        if _would_tear(frame) or not (_is_harmless(frame) or self._still >= _WAITED or self._looks > _AT_LAST):
            return
        self._spot = None
        self._still = self._looks = 0
        self._raised = KeyboardInterrupt()
        raise self._raised


_request = _Request()


def catch() -> None:
    """From here on the main thread is interrupted by an exception. A signal that is ignored stays so."""
    signal.signal(signal.SIGALRM, _request.look)
    signal.signal(signal.SIGTERM, _request.ask)
    if signal.getsignal(signal.SIGINT) in (signal.SIG_DFL, signal.default_int_handler):
        signal.signal(signal.SIGINT, _request.ask)


def let_go() -> None:
    """There is nothing left to undo; who interrupts now does not want to wait for the rest."""
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, signal.SIG_IGN)
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) == _request.ask:
            signal.signal(number, signal.SIG_DFL)


def were_asked() -> bool:
    """Whether somebody has asked the command to end, whatever became of that."""
    return _request.asked


@contextlib.contextmanager
def welcome() -> Iterator[None]:
    """Inside, an interrupt is how one leaves, and nothing more comes of it."""
    try:
        yield
    except KeyboardInterrupt:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _is_dealt_with(interrupt: KeyboardInterrupt) -> bool:
    """Whether somebody is about to: it, or what was made of it, is on its way up."""
    error = sys.exc_info()[1]
    while error is not None and error is not interrupt:
        error = error.__context__
    return error is interrupt


def _would_tear(frame: FrameType | None) -> bool:
    """Whether an interrupt would tear an import or the start of a thread apart."""
    while frame is not None:
        if frame.f_code.co_filename == _IMPORTS or frame.f_code is threading.Thread.start.__code__:
            return True
        frame = frame.f_back
    return False


def _is_harmless(frame: FrameType) -> bool:
    """Whether the main thread is in our own code, or waits for something."""
    where = frame.f_globals.get("__name__"), frame.f_code.co_name
    if frame.f_code is threading.Condition.wait.__code__:
        import linecache

        # Before and after this line, its state is not whole.
        line = linecache.getline(frame.f_code.co_filename, frame.f_lineno)
        return "gotit" in frame.f_locals and "waiter.acquire" in line
    return where in _WAITS or frame.f_code.co_filename.startswith(_OWN)
