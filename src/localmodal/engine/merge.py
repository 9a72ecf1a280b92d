"""Puts overlay layers on top of each other, so that one folder says what several said.

This file is run by itself (``python -I -S merge.py TARGET LAYER…``) and imports nothing of localmodal: a walk over
many small files would hold up the server. Oldest layers come first. TARGET is a layer too, which may hold something
already; what it says together with the folders below it stays as the kernel would show the whole stack.

The form of layers is the kernel's (Documentation/filesystems/overlayfs.rst): a deleted name is a character device
0/0, a folder that hides those below it carries the attribute ``trusted.overlay.opaque``.
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator

_OPAQUE = "trusted.overlay.opaque"
_OVERLAY = "trusted.overlay."


def put(layer: str, target: str) -> None:
    """Puts `layer` on `target`. Both are left as they are half way through after an error."""
    hiding = list(_make_room(layer, target, ""))
    # It knows of holes, links, owners, times, attributes and devices, and is faster than a loop in Python.
    subprocess.run(["cp", "-a", "--remove-destination", f"{layer}/.", target], check=True)
    for path in hiding:
        os.setxattr(f"{target}{path}", _OPAQUE, b"y", follow_symlinks=False)


def _make_room(layer: str, target: str, path: str) -> Iterator[str]:
    """Removes from `target` what `layer` replaces and cp would not. Yields the folders that must hide what is below:
    they stand where something else stood, or where something was deleted."""
    with os.scandir(f"{layer}{path}") as entries:
        for entry in entries:
            below = f"{path}/{entry.name}"
            there = f"{target}{below}"
            try:
                found = os.lstat(there)
            except FileNotFoundError:
                continue
            if not entry.is_dir(follow_symlinks=False):
                if stat.S_ISDIR(found.st_mode):
                    shutil.rmtree(there)
            elif not stat.S_ISDIR(found.st_mode):
                os.unlink(there)  # noqa: PTH108 (pathlib would double this process)
                yield below
            elif _opaque(entry.path):
                shutil.rmtree(there)
            else:
                _forget_attributes(there)
                yield from _make_room(layer, target, below)


def _opaque(folder: str) -> bool:
    try:
        return os.getxattr(folder, _OPAQUE, follow_symlinks=False) == b"y"
    except OSError:
        return False


def _forget_attributes(folder: str) -> None:
    """cp adds attributes and takes none away."""
    for name in os.listxattr(folder, follow_symlinks=False):
        if not name.startswith(_OVERLAY):
            os.removexattr(folder, name, follow_symlinks=False)


if __name__ == "__main__":
    for folder in sys.argv[2:]:
        put(folder, sys.argv[1])
