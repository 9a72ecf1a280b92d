"""What a sandbox wrote in its view of a volume: found in the upper folder of an overlay, and put into a committed tree.

Only differences to the last look are carried over, and of a file that grew only its end is written. Everything in the
upper folder belongs to programs that run meanwhile: no path is opened through a link of theirs.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

_WHITEOUT = "gone"
_VANISHED = "vanished"
_OPAQUE = "trusted.overlay.opaque"
_PIECE_BYTES = 1 << 20


@dataclass
class Difference:
    """What changed in a view since its last commit. Paths are relative to the volume's root.

    `marks` is what is to be remembered of each path for the next look (None: nothing). `moved` are files that had
    another path. All are in an order in which they can be applied.
    """

    marks: dict[str, str | None] = field(default_factory=dict)
    moved: list[tuple[str, str]] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)

    def paths(self) -> list[str]:
        """All paths of the volume that are not what they were, folders excepted."""
        return [*(old for old, _new in self.moved), *self.gone, *self.files, *self.links]


def look(upper: Path, lower: Path, seen: Mapping[str, str]) -> Difference:
    """What is in `upper` and not in `seen`, the marks of the last look; `lower` is what the view stands on.

    Sockets and FIFOs mean nothing elsewhere and are passed over.
    """
    found = Difference()
    now: dict[str, str] = {}
    moves: dict[int, str] = {}
    with _opened(upper) as root:
        _visit(root, "", lower, seen, now, found)
    for path, mark in seen.items():
        if now.get(path, "").split(":")[:2] != mark.split(":")[:2] and mark.startswith("file:"):
            moves[int(mark.split(":")[1])] = path
        if path not in now:
            found.marks[path] = None
            if mark != _WHITEOUT:
                found.gone.append(path)
    for path in found.files:
        old = moves.get(int(now[path].split(":")[1]))
        if old is not None and old != path:
            found.moved.append((old, path))
    return found


def _visit(
    folder: int, at: str, lower: Path | None, seen: Mapping[str, str], now: dict[str, str], found: Difference
) -> None:
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries)
    for name in names:
        path = f"{at}/{name}" if at else name
        try:
            status = os.stat(name, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            continue
        mark = _mark(status, name, folder)
        if mark is None:
            continue
        now[path] = mark
        is_new = seen.get(path) != mark
        if is_new:
            found.marks[path] = mark
        if stat.S_ISDIR(status.st_mode):
            old = lower / name if lower and (lower / name).is_dir() and not (lower / name).is_symlink() else None
            if mark.startswith("opaque:"):
                if is_new and old:
                    _hidden(old, path, folder, name, found)
                old = None
            if is_new:
                found.folders.append(path)
            with contextlib.suppress(OSError), _opened(name, folder) as inner:
                _visit(inner, path, old, seen, now, found)
        elif is_new and mark == _WHITEOUT:
            found.gone.append(path)
        elif is_new and stat.S_ISLNK(status.st_mode):
            found.links.append(path)
        elif is_new and (path in seen or not lower or not _same(lower / name, status)):
            found.files.append(path)


def _mark(status: os.stat_result, name: str, folder: int) -> str | None:
    mode = status.st_mode
    owner = f"{mode:o}:{status.st_uid}:{status.st_gid}"
    if stat.S_ISREG(mode):
        return f"file:{status.st_ino}:{status.st_size}:{status.st_mtime_ns}:{status.st_ctime_ns}:{owner}"
    if stat.S_ISLNK(mode):
        return f"link:{status.st_ino}:{status.st_ctime_ns}"
    if stat.S_ISDIR(mode):
        try:
            with _opened(name, folder) as inner:
                opaque = os.getxattr(inner, _OPAQUE) == b"y"
        except OSError:
            opaque = False
        return f"opaque:{status.st_ino}:{owner}" if opaque else f"folder:{owner}"
    return _WHITEOUT if stat.S_ISCHR(mode) and status.st_rdev == 0 else None


def _same(lower: Path, status: os.stat_result) -> bool:
    """Whether a file is in the upper folder only because it was opened for writing: then nothing was written."""
    try:
        before = lower.lstat()
    except OSError:
        return False
    return _identity(before) == _identity(status)


def _identity(status: os.stat_result) -> tuple[int, ...]:
    return status.st_mode, status.st_uid, status.st_gid, status.st_size, status.st_mtime_ns


def _hidden(old: Path, path: str, folder: int, name: str, found: Difference) -> None:
    """A folder that was removed and made anew: what was in the old one is gone unless the new one has it."""
    for place, folders, files in os.walk(old):
        for inner in (*folders, *files):
            at = os.path.relpath(os.path.join(place, inner), old)
            try:
                with _opened(name, folder) as new, _opened_parent(new, at) as (parent, last):
                    os.stat(last, dir_fd=parent, follow_symlinks=False)
            except OSError:
                found.gone.append(f"{path}/{at}")


def apply(found: Difference, upper: Path, head: Path, spare: Path) -> None:
    """Makes the tree `head` what the view has become. `spare` is a folder beside it for files that are being written.

    What vanished from `upper` meanwhile is left for the next look. Doing it again does no harm.
    """
    remove(spare)
    taken: set[str] = set()
    for old, new in found.moved:
        # What lies at the old path now is another's when it was the new path of an earlier move.
        if old not in taken and is_reached(head, old) and _is_file(head / old):
            make_room(head, new)
            if not _is_file(head / new):
                remove(head / new)
            if _is_file(head / old):
                (head / old).rename(head / new)
                taken.add(new)
    for path in found.gone:
        if path not in taken and is_reached(head, path):
            remove(head / path)
    with _opened(upper) as root:
        for path in (*found.folders, *found.links, *found.files):
            try:
                with _opened_parent(root, path) as (parent, name):
                    _put(parent, name, head, path, spare)
            except (FileNotFoundError, NotADirectoryError):
                found.marks[path] = _VANISHED


def _put(parent: int, name: str, head: Path, path: str, spare: Path) -> None:
    status = os.stat(name, dir_fd=parent, follow_symlinks=False)
    target = head / path
    make_room(head, path)
    if stat.S_ISDIR(status.st_mode):
        if not target.is_dir() or target.is_symlink():
            remove(target)
            target.mkdir()
        os.chown(target, status.st_uid, status.st_gid)
        target.chmod(stat.S_IMODE(status.st_mode))
        return
    if stat.S_ISLNK(status.st_mode):
        spare.symlink_to(os.readlink(name, dir_fd=parent))
        os.chown(spare, status.st_uid, status.st_gid, follow_symlinks=False)
    elif stat.S_ISREG(status.st_mode):
        source = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=parent)
        try:
            status = os.fstat(source)
            if _grown(source, status, target):
                return
            _copy(source, spare, status)
        finally:
            os.close(source)
    else:
        return
    if target.is_dir() and not target.is_symlink():
        remove(target)
    spare.rename(target)


def _grown(source: int, status: os.stat_result, target: Path) -> bool:
    """Writes only the end of a file that has grown and is otherwise what it was; whether it could be done.

    A file that a view of another sandbox shares must not change under it.
    """
    try:
        before = target.lstat()
    except OSError:
        return False
    shorter = _PIECE_BYTES <= before.st_size <= status.st_size
    if not stat.S_ISREG(before.st_mode) or before.st_nlink > 1 or not shorter:
        return False
    with target.open("r+b", buffering=0) as file:
        at = 0
        while at < before.st_size:
            count = min(_PIECE_BYTES, before.st_size - at)
            if os.pread(file.fileno(), count, at) != os.pread(source, count, at):
                return False
            at += count
        _copy_range(source, file.fileno(), at, status.st_size)
        _dress(file.fileno(), status)
    return True


def _copy(source: int, target: Path, status: os.stat_result) -> None:
    """Copies a file, holes as holes."""
    with target.open("xb", buffering=0) as file:
        at = 0
        while at < status.st_size:
            try:
                start = os.lseek(source, at, os.SEEK_DATA)
            except OSError:  # ENXIO: nothing but a hole is left
                break
            at = min(os.lseek(source, start, os.SEEK_HOLE), status.st_size)
            _copy_range(source, file.fileno(), start, at)
        os.ftruncate(file.fileno(), status.st_size)
        _dress(file.fileno(), status)


def _copy_range(source: int, target: int, start: int, stop: int) -> None:
    while start < stop:
        copied = os.copy_file_range(source, target, stop - start, start, start)
        if not copied:
            return
        start += copied


def _dress(file: int, status: os.stat_result) -> None:
    os.fchown(file, status.st_uid, status.st_gid)
    os.fchmod(file, stat.S_IMODE(status.st_mode))
    os.utime(file, ns=(status.st_mtime_ns, status.st_mtime_ns))


def below(head: Path, paths: Iterable[str]) -> list[str]:
    """All that is inside those of `paths` that are folders which are to be removed or replaced, or may be."""
    found = []
    for path in paths:
        if is_reached(head, path) and (head / path).is_dir() and not (head / path).is_symlink():
            for place, folders, files in os.walk(head / path):
                found += [os.path.relpath(os.path.join(place, name), head) for name in (*folders, *files)]
    return found


def is_reached(head: Path, path: str) -> bool:
    """Whether all folders above `path` are there and are folders: through a link one would leave the volume."""
    place = head
    for part in path.split("/")[:-1]:
        place = place / part
        if place.is_symlink() or not place.is_dir():
            return False
    return True


def make_room(head: Path, path: str) -> None:
    """Makes the folders above `path`; what is in their place and is none goes."""
    place = head
    for part in path.split("/")[:-1]:
        place = place / part
        if place.is_symlink() or not place.is_dir():
            remove(place)
            place.mkdir()


def remove(path: Path) -> None:
    """Removes a file or a whole folder. A missing one is no error."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            path.unlink()


def _is_file(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


@contextlib.contextmanager
def _opened(path: Path | str, folder: int | None = None) -> Iterator[int]:
    """A folder, and never what a link leads to."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, dir_fd=folder)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _opened_parent(root: int, path: str) -> Iterator[tuple[int, str]]:
    """The folder that holds `path`, each step of it opened without following a link, and the last name."""
    *parts, name = path.split("/")
    with contextlib.ExitStack() as stack:
        folder = root
        for part in parts:
            folder = stack.enter_context(_opened(part, folder))
        yield folder, name
