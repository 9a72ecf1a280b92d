"""The process ends at once and in silence, whatever it had begun."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

_MAIN = "import sys\nsys.argv = ['mngr', '--version']\nfrom mngr.cli.app import main\nmain()\n"
_PRINTS = "from mngr.cli.leaving import Leaving\nLeaving().code = 0\nprint('x')\n"


def _ended(code: str, stdout: int = subprocess.PIPE, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONUNBUFFERED": "", **env},
    )


def test_a_thread_that_imports_is_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text("import threading\nb.set()\nthreading.Event().wait()\n")
    code = f"""
import builtins, importlib, threading
builtins.b = threading.Event()
threading.Thread(target=importlib.import_module, args=("slow",), daemon=True).start()
b.wait()
class Late:
    def __del__(self, load=importlib.import_module):
        load("slow")
late = Late()
late.itself = late
{_MAIN}"""
    done = _ended(code, PYTHONPATH=str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("mngr ")


def test_what_nobody_wants_any_more_is_given_up(tmp_path: Path) -> None:
    code = """
import asyncio
from types import SimpleNamespace
from mngr.cli.leaving import Leaving
from mngr.providers.modal.wire import Wire
begun = asyncio.Event()
async def begin():
    begun.set()
    try:
        await asyncio.Event().wait()
    finally:
        print("given up")
async def look():
    await begun.wait()
Leaving().code = 3
wire = Wire(SimpleNamespace(auth_token=""))
wire.begin(begin())
wire.begin(look()).result()
"""
    done = _ended(code)
    assert (done.returncode, done.stderr, done.stdout) == (3, "", "given up\n")


def test_output_that_can_not_be_written_is_said() -> None:
    with Path("/dev/full").open("w") as full:
        done = _ended(_MAIN, full.fileno())
        late = _ended(_PRINTS, full.fileno())
    assert (done.returncode, done.stderr) == (1, "mngr: No space left on device\n")
    assert (late.returncode, late.stderr) == (1, "mngr: the output could not be written: No space left on device\n")


def test_nobody_who_reads_is_no_failure() -> None:
    reads, writes = os.pipe()
    os.close(reads)
    try:
        done = _ended(_PRINTS, writes)
    finally:
        os.close(writes)
    assert (done.returncode, done.stderr) == (0, "")


def test_who_interrupts_the_end_does_not_wait() -> None:
    code = """
import atexit, signal
from mngr.cli import interrupts
from mngr.cli.leaving import Leaving
Leaving()
interrupts.catch()
atexit.register(print, "waited for")
atexit.register(signal.raise_signal, signal.SIGINT)
interrupts.let_go()
"""
    done = _ended(code)
    assert (done.returncode, done.stderr, done.stdout) == (-signal.SIGINT, "", "")
