"""Ctrl-C and a polite kill: both undo what is half made."""

from __future__ import annotations

import signal
import threading
from types import FrameType

_AGAIN_S = 0.02
_IMPORTS = "<frozen importlib._bootstrap>"


def catch() -> None:
    """From here on the main thread is interrupted by an exception. A signal that is ignored stays so."""
    signal.signal(signal.SIGALRM, _interrupt)
    signal.signal(signal.SIGTERM, _interrupt)
    if signal.getsignal(signal.SIGINT) in (signal.SIG_DFL, signal.default_int_handler):
        signal.signal(signal.SIGINT, _interrupt)


def let_go() -> None:
    """There is nothing left to undo; who interrupts now does not want to wait for the rest."""
    signal.signal(signal.SIGALRM, signal.SIG_IGN)
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is _interrupt:
            signal.signal(number, signal.SIG_DFL)


def _interrupt(_number: int, frame: FrameType | None) -> None:
    """Not in the midst of an import or of a thread's start, but soon after. Python (3.11) may keep a lock of an import,
    for which all others wait, or lose the exception, and a thread that imports the same would find half a module; a
    thread's start may fail for a lock that it thinks it has."""
    while frame is not None:
        if frame.f_code.co_filename == _IMPORTS or frame.f_code is threading.Thread.start.__code__:
            signal.setitimer(signal.ITIMER_REAL, _AGAIN_S)
            return
        frame = frame.f_back
    raise KeyboardInterrupt
