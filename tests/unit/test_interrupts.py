"""An interrupt is neither lost nor does it tear apart what belongs together."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

_CATCH = """
import signal, threading
from mngr.cli import interrupts
interrupts.catch()
"""


def _printed(code: str, **env: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", _CATCH + code],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **env},
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


def test_an_import_is_not_interrupted(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\nwhole = 'whole'\n")
    code = """
with interrupts.welcome():
    import slow
    print(slow.whole)
    threading.Event().wait()
print("left")
"""
    assert _printed(code, PYTHONPATH=str(tmp_path)) == ["whole", "left"]


def test_what_a_library_is_at_is_not_interrupted() -> None:
    code = """
def library():
    signal.raise_signal(signal.SIGINT)
    return "whole"
with interrupts.welcome():
    print(library())
    threading.Event().wait()
"""
    assert _printed(code) == ["whole"]


def test_what_waits_in_a_library_is_interrupted() -> None:
    code = """
with interrupts.welcome():
    lock = threading.Lock()
    lock.acquire()
    signal.raise_signal(signal.SIGTERM)
    lock.acquire()
print("left")
"""
    assert _printed(code) == ["left"]


def test_an_interrupt_that_is_swallowed_comes_again() -> None:
    code = """
def library():
    signal.raise_signal(signal.SIGINT)
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        return "swallowed"
with interrupts.welcome():
    print(library())
    threading.Event().wait()
print(interrupts.were_asked())
"""
    assert _printed(code) == ["swallowed", "True"]


def test_undoing_is_interrupted_by_who_asks_twice_only() -> None:
    code = """
def work(wait_s, then):
    signal.raise_signal(signal.SIGINT)
    try:
        threading.Event().wait()
    except KeyboardInterrupt as error:
        try:
            then()
            threading.Event().wait(wait_s)
            print("undone")
        finally:
            raise RuntimeError from error
for wait_s, then in ((0.2, list), (None, lambda: signal.raise_signal(signal.SIGINT))):
    try:
        with interrupts.welcome():
            work(wait_s, then)
    except RuntimeError:
        print("failed")
        signal.setitimer(signal.ITIMER_REAL, 0)
"""
    assert _printed(code) == ["undone", "failed", "failed"]
