"""Files that go into sandboxes: POSIX shell, since images have no Python."""

from __future__ import annotations

from pathlib import Path


def read(name: str) -> bytes:
    """The contents of one of the files."""
    return (Path(__file__).parent / name).read_bytes()
