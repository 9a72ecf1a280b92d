"""Runs `mngr` and kills it, as SIGKILL does, at the N-th thing that it does to the outside: a call to the provider or
to a host. Run as a program of its own: ``killed.py N before|after ARGUMENTS…``; N counts from 1.

Ends with mngr's own code when fewer things than N are done.
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

from mngr.hosts import ssh
from mngr.providers.modal.client import Client
from mngr.providers.modal.machines import Machines
from mngr.providers.modal.storage import Storage

number, moment, *arguments = sys.argv[1:]
_count = itertools.count(1)
_lock = threading.Lock()


def _deadly(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        with _lock:
            dies = next(_count) == int(number)
        if dies and moment == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        value = function(*args, **kwargs)
        if dies:
            os.kill(os.getpid(), signal.SIGKILL)
        return value

    return call


def _staged(function: Callable[..., Callable[[], None]]) -> Callable[..., Callable[[], None]]:
    """What is staged counts by its second call."""

    def call(*args: Any, **kwargs: Any) -> Callable[[], None]:
        return _deadly(function(*args, **kwargs))

    return call


for kind in (Client, Machines):
    for name, value in list(vars(kind).items()):
        if callable(value) and not name.startswith("_"):
            setattr(kind, name, _deadly(value))
# Without the SDK the records are read and written here.
for name in ("list_files", "read_file", "remove_files", "remove_later"):
    setattr(Storage, name, _deadly(getattr(Storage, name)))
Storage.stage = _staged(_deadly(Storage.stage))  # type: ignore[method-assign]
ssh.run = _deadly(ssh.run)

sys.argv = ["mngr", *arguments]
from mngr.cli.app import main  # noqa: E402

main()
