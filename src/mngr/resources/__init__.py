"""Files that go into sandboxes: POSIX shell, since images have no Python."""

from __future__ import annotations


def read(name: str) -> bytes:
    """The contents of one of the files."""
    from importlib.resources import files

    return (files(__name__) / name).read_bytes()
