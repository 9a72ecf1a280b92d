"""The files of a volume. Every path comes from a client and is taken inside the volume, links included."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from localmodal import ids
from localmodal.errors import AlreadyExists, InvalidArgument, NotFound

Kind = Literal["file", "directory", "symlink", "fifo", "socket"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing in a volume; `path` is relative to its root, `mtime` whole seconds since 1970."""

    path: str
    kind: Kind
    size: int
    mtime: int


class Tree:
    """The file tree below one folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def locate(self, path: str) -> Path:
        """Where `path` is. Raises `InvalidArgument` for one that would leave the volume."""
        parts = [part for part in PurePosixPath("/", path).parts[1:] if part != "."]
        if ".." in parts:
            raise InvalidArgument(f"Path '{path}' leaves the volume.")
        located = self.root
        for part in parts[:-1]:
            located = located / part
            if located.is_symlink():
                raise InvalidArgument(f"Path '{path}' goes through a symbolic link.")
        return located / parts[-1] if parts else located

    def entries(self, path: str, *, recursive: bool, limit: int) -> list[Entry]:
        """What is in a folder, or the one entry of a file; at most `limit` where that is not 0. Raises `NotFound`."""
        located = self.locate(path)
        if not located.exists() and not located.is_symlink():
            raise NotFound(f"No such file or directory: '{path}'")
        if not located.is_dir() or located.is_symlink():
            return [self._entry(located)]
        entries = []
        for found in self._walk(located, recursive):
            entries.append(found)
            if limit and len(entries) == limit:
                break
        return entries

    def _walk(self, folder: Path, recursive: bool) -> Iterator[Entry]:
        for path in sorted(folder.iterdir()):
            yield self._entry(path)
            if recursive and path.is_dir() and not path.is_symlink():
                yield from self._walk(path, recursive)

    def _entry(self, path: Path) -> Entry:
        status = path.lstat()
        return Entry(str(path.relative_to(self.root)), _kind(status.st_mode), status.st_size, int(status.st_mtime))

    def file(self, path: str) -> Path:
        """A regular file. Raises `NotFound`."""
        located = self.locate(path)
        if located.is_symlink() or not located.is_file():
            raise NotFound(f"No such file: '{path}'")
        return located

    def check_free(self, path: str) -> None:
        """Raises `AlreadyExists` when something is there."""
        if self.locate(path).exists():
            raise AlreadyExists(f"{path}: already exists")

    def put(self, path: str, pieces: list[Path], *, mode: int) -> None:
        """Writes a file made of the contents of others, at once or not at all."""
        located = self.locate(path)
        if located.is_dir():
            raise InvalidArgument(f"{path}: is a directory")
        located.parent.mkdir(parents=True, exist_ok=True)
        partial = self.root.parent / ids.new_id("partial")
        try:
            with partial.open("wb") as target:
                for piece in pieces:
                    with piece.open("rb") as source:
                        shutil.copyfileobj(source, target, 1 << 20)
            partial.chmod(mode or 0o644)
            partial.rename(located)
        finally:
            partial.unlink(missing_ok=True)

    def remove(self, path: str, *, recursive: bool) -> None:
        """Raises `NotFound`, and `InvalidArgument` for a folder that is not empty without `recursive`."""
        located = self.locate(path)
        if located.is_dir() and not located.is_symlink():
            if located == self.root:
                for child in list(located.iterdir()):
                    self.remove(child.name, recursive=recursive)
            elif recursive:
                shutil.rmtree(located)
            else:
                try:
                    located.rmdir()
                except OSError as error:
                    raise InvalidArgument(f"{path}: directory is not empty") from error
        else:
            try:
                located.unlink()
            except FileNotFoundError as error:
                raise NotFound(f"No such file or directory: '{path}'") from error

    def copy(self, sources: list[str], target: str, *, recursive: bool) -> None:
        """Copies as ``cp`` does: into `target` when it is a folder, else onto it."""
        into = self.locate(target)
        if len(sources) > 1 and not into.is_dir():
            raise InvalidArgument(f"{target}: is not a directory")
        for source in sources:
            located = self.locate(source)
            if not located.exists():
                raise NotFound(f"No such file or directory: '{source}'")
            destination = into / located.name if into.is_dir() else into
            destination.parent.mkdir(parents=True, exist_ok=True)
            if located.is_dir():
                if not recursive:
                    raise InvalidArgument(f"{source}: is a directory (not copied without recursive)")
                shutil.copytree(located, destination, symlinks=True, dirs_exist_ok=True)
            else:
                shutil.copy2(located, destination, follow_symlinks=False)

    def count(self) -> int:
        """How many files and folders there are."""
        return sum(len(folders) + len(files) for _path, folders, files in os.walk(self.root))


def _kind(mode: int) -> Kind:
    if stat.S_ISDIR(mode):
        return "directory"
    if stat.S_ISLNK(mode):
        return "symlink"
    if stat.S_ISFIFO(mode):
        return "fifo"
    return "socket" if stat.S_ISSOCK(mode) else "file"
