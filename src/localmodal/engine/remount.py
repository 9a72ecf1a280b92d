"""Puts another folder in the place of a mount inside a container. Run by itself, as ``python -I -S remount.py``.

Arguments: a process of the container, the folder, the mount point, and ``ro`` or ``rw``. The calls are those of
mount_setattr(2), open_tree(2) and move_mount(2), which Python has no names for.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys

_MOUNT_SETATTR, _OPEN_TREE, _MOVE_MOUNT = 442, 428, 429
_CLONE, _EMPTY_PATH, _CLOEXEC = 1, 0x1000, os.O_CLOEXEC
_FROM_EMPTY_PATH, _BENEATH = 0x4, 0x200
_READ_ONLY, _PRIVATE = 1, 1 << 18
_DETACH = 2
_HERE = -100

_libc = ctypes.CDLL(None, use_errno=True)


class _Attributes(ctypes.Structure):
    _fields_ = (
        ("set", ctypes.c_uint64),
        ("clear", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns", ctypes.c_uint64),
    )


def _call(number: int, *args: object) -> int:
    result: int = _libc.syscall(number, *args)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def remount(pid: int, source: str, target: str, *, read_only: bool) -> None:
    """Mounts `source` of this machine on `target` of the container, and takes away what was mounted there.

    Where the kernel can (6.5 on) there is no moment without a mount. Raises `OSError`.
    """
    tree = _call(_OPEN_TREE, _HERE, source.encode(), _CLONE | _CLOEXEC)
    attributes = _Attributes(_READ_ONLY if read_only else 0, 0, _PRIVATE, 0)
    _call(_MOUNT_SETATTR, tree, b"", _EMPTY_PATH, ctypes.byref(attributes), ctypes.sizeof(attributes))
    namespace = os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    if _libc.setns(namespace, 0):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    with contextlib.suppress(OSError):
        _call(_MOVE_MOUNT, tree, b"", _HERE, target.encode(), _FROM_EMPTY_PATH | _BENEATH)
        _libc.umount2(target.encode(), _DETACH)
        return
    _libc.umount2(target.encode(), _DETACH)
    _call(_MOVE_MOUNT, tree, b"", _HERE, target.encode(), _FROM_EMPTY_PATH)


if __name__ == "__main__":
    remount(int(sys.argv[1]), sys.argv[2], sys.argv[3], read_only=sys.argv[4] == "ro")
