"""Lets one mngr of this machine at a time change a host. Others wait; what they then see is what it left."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mngr import paths


@contextmanager
def held(host_id: str, waiting: Callable[[], object]) -> Iterator[None]:
    """Holds the host's lock; `waiting` is called once when another has it. It is gone with its process, however that
    ends. Not to be taken twice by one process."""
    descriptor = os.open(_path(host_id), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def is_held(host_id: str) -> bool:
    """Whether some mngr of this machine is at work on the host now."""
    if not _path(host_id).exists():
        return False
    descriptor = os.open(_path(host_id), os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)


def forget(host_id: str) -> None:
    """Removes the lock's file of a host that is no more. A second call does nothing."""
    _path(host_id).unlink(missing_ok=True)


def _path(host_id: str) -> Path:
    return paths.private_folder(paths.home() / "locks") / host_id
