"""The files of a volume. Every path comes from a client and is taken inside the volume, links included."""

from __future__ import annotations

import collections
import os
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from localmodal import ids
from localmodal.errors import AlreadyExists, InvalidArgument, NotFound, ResourceExhausted
from localmodal.services.volumes.written import make_room, remove

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
            return [_entry(str(located.relative_to(self.root)), located.lstat())]
        entries = []
        for found in self._walk(located, str(PurePosixPath("/", path).relative_to("/")), recursive):
            entries.append(found)
            if limit and len(entries) == limit:
                break
        return entries

    def _walk(self, folder: Path, at: str, recursive: bool) -> Iterator[Entry]:
        with os.scandir(folder) as scanned:
            entries = sorted(scanned, key=lambda entry: entry.name)
        for entry in entries:
            path = entry.name if at == "." else f"{at}/{entry.name}"
            yield _entry(path, entry.stat(follow_symlinks=False))
            if recursive and entry.is_dir(follow_symlinks=False):
                yield from self._walk(Path(entry.path), path, recursive)

    def all_below(self, path: str) -> list[str]:
        """The path of what is at `path` and of all in it, relative to the root. Nothing where nothing is."""
        located = self.locate(path)
        found = [] if located == self.root else [str(located.relative_to(self.root))]
        if located.is_dir() and not located.is_symlink():
            found += [entry.path for entry in self.entries(path, recursive=True, limit=0)]
        return found

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

    def with_parents(self, path: str) -> list[str]:
        """`path`, relative to the root, and the folders above it."""
        parts = self.locate(path).relative_to(self.root).parts
        return ["/".join(parts[: count + 1]) for count in range(len(parts))]

    def check_folders(self, paths: list[str], limit: int) -> None:
        """Raises `ResourceExhausted` when files at `paths` would give a folder more than `limit` entries."""
        new = collections.Counter(located.parent for located in map(self.locate, paths) if not located.exists())
        for folder, count in new.items():
            if folder.is_dir() and count + sum(1 for _ in folder.iterdir()) > limit:
                raise ResourceExhausted(f"A folder of a v2 volume holds at most {limit} files.")

    def put(self, path: str, pieces: list[Path], *, mode: int, size: int, piece_bytes: int = 0) -> None:
        """Writes a file of `size` bytes made of the contents of others, at once or not at all.

        Each piece but the last stands for `piece_bytes`; what it lacks of that is zeros, and so a hole.
        """
        located = self.locate(path)
        if located.is_dir():
            raise InvalidArgument(f"{path}: is a directory")
        make_room(self.root, str(located.relative_to(self.root)))
        partial = self.root.parent / ids.new_id("partial")
        try:
            with partial.open("wb") as target:
                for number, piece in enumerate(pieces):
                    target.seek(number * piece_bytes)
                    with piece.open("rb") as source:
                        shutil.copyfileobj(source, target, 1 << 20)
                target.truncate(size)
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

    def plan_copy(self, sources: list[str], target: str, *, recursive: bool) -> list[tuple[str, str]]:
        """Which path becomes a copy of which, in the order in which they can be made, as ``cp`` does it: into `target`
        when it is a folder, else onto it. Raises `NotFound`, `InvalidArgument`."""
        into = self.locate(target)
        if len(sources) > 1 and not into.is_dir():
            raise InvalidArgument(f"{target}: is not a directory")
        plan = []
        for source in sources:
            located = self.locate(source)
            if not located.exists():
                raise NotFound(f"No such file or directory: '{source}'")
            if located.is_dir() and not recursive:
                raise InvalidArgument(f"{source}: is a directory (not copied without recursive)")
            destination = into / located.name if into.is_dir() else into
            if destination.is_relative_to(located):
                raise InvalidArgument(f"{source}: can not be copied onto or into itself")
            names = [located.relative_to(self.root)] if located != self.root else []
            for path in (*names, *(Path(name) for name in self.all_below(source)[len(names) :])):
                onto = destination / (self.root / path).relative_to(located)
                plan.append((str(path), str(onto.relative_to(self.root))))
        return plan

    def copy(self, source: str, target: str) -> None:
        """Copies one file or link, or makes one folder; what is there is replaced and never written to."""
        located, destination = self.root / source, self.root / target
        if located.is_dir() and not located.is_symlink():
            make_room(self.root, f"{target}/")
            return
        make_room(self.root, target)
        partial = self.root.parent / ids.new_id("partial")
        try:
            shutil.copy2(located, partial, follow_symlinks=False)
            remove(destination)
            partial.rename(destination)
        finally:
            partial.unlink(missing_ok=True)

    def count(self) -> int:
        """How many files and folders there are."""
        return sum(len(folders) + len(files) for _path, folders, files in os.walk(self.root))


def _entry(path: str, status: os.stat_result) -> Entry:
    return Entry(path, _kind(status.st_mode), status.st_size, int(status.st_mtime))


def _kind(mode: int) -> Kind:
    if stat.S_ISDIR(mode):
        return "directory"
    if stat.S_ISLNK(mode):
        return "symlink"
    if stat.S_ISFIFO(mode):
        return "fifo"
    return "socket" if stat.S_ISSOCK(mode) else "file"
