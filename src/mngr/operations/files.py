"""Reads files of hosts: over SSH while a host runs; of its data directory also when it does not."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mngr.errors import MngrError, NotFound, UsageError
from mngr.hosts import host_files
from mngr.hosts.agents import HOST_DIR
from mngr.models import HostFile
from mngr.operations import logs, offline
from mngr.operations.finding import Found, look


@dataclass(frozen=True, slots=True)
class Listed:
    """What is in a folder, and how old that is when the host does not run."""

    files: tuple[HostFile, ...]
    note: str = ""


class NeedsStart(MngrError):
    def __init__(self, name: str, state: str, path: str) -> None:
        super().__init__(
            f"{path} is on the disk of {name}, which is {state}; its newest snapshot holds it: mngr start {name}. "
            f"Without a start only {HOST_DIR} can be read"
        )


def ls(name: str, path: str) -> Listed:
    """The entries of a folder, or of the one file. A path that is not absolute is in the agent's work folder.

    Raises `AgentNotFound`, `NotFound`, `NeedsStart`.
    """
    found = look(name, destroyed=True)
    full = _full(found, path)
    if found.target is not None:
        return Listed(tuple(host_files.ls(found.target, full)))
    inside = _inside(found, name, full)
    files = offline.files_of(found.host)
    entries = files.store.volume_files(files.volume, inside)
    if not entries:
        entries = [_entry(files, inside, full)]
    shown = tuple(HostFile(posixpath.basename(one.path), one.is_folder, one.size, one.changed_at) for one in entries)
    return Listed(shown, logs.age(found, files.status()))


def _entry(files: offline.HostFiles, inside: str, full: str) -> HostFile:
    """One file of a volume. Raises `NotFound`."""
    folder = posixpath.dirname(inside)
    for one in files.store.volume_files(files.volume, folder):
        if one.path == inside:
            return one
    raise NotFound(f"the volume has no {full}")


def cat(name: str, path: str) -> Iterator[bytes]:
    """The contents of a file. Raises as `ls` before the first piece."""
    found = look(name, destroyed=True)
    full = _full(found, path)
    if found.target is not None:
        return iter([host_files.read(found.target, full)])
    inside = _inside(found, name, full)
    files = offline.files_of(found.host)
    size = _entry(files, inside, full).size
    return _pieces(files, inside, size)


def _pieces(files: offline.HostFiles, path: str, size: int) -> Iterator[bytes]:
    at = 0
    while at < size:
        piece = files.store.read_volume(files.volume, path, at, min(offline.PIECE_BYTES, size - at))
        if not piece:
            return
        yield piece
        at += len(piece)


def get(name: str, path: str, destination: Path) -> int:
    """Copies a file or a folder here; how many files. What is there is replaced. Raises as `ls`, and `UsageError`."""
    found = look(name, destroyed=True)
    full = _full(found, path)
    target = destination / posixpath.basename(full) if destination.is_dir() else destination
    if not target.parent.is_dir():
        raise UsageError(f"there is no folder {target.parent}")
    if found.target is not None:
        return host_files.copy(found.target, full, target)
    inside = _inside(found, name, full)
    files = offline.files_of(found.host)
    entries = [one for one in files.store.volume_files(files.volume, inside, recursive=True) if one.path != inside]
    if not entries:
        entries = [_entry(files, inside, full)]
    count = 0
    for one in entries:
        local = target / posixpath.relpath(one.path, inside) if one.path != inside else target
        if not local.resolve().is_relative_to(target.resolve()):
            raise NotFound(f"the volume has a file outside of {full}: {one.path}")
        if one.is_folder:
            local.mkdir(parents=True, exist_ok=True)
            continue
        local.parent.mkdir(parents=True, exist_ok=True)
        with local.open("wb") as file:
            file.writelines(_pieces(files, one.path, one.size))
        count += 1
    return count


def _full(found: Found, path: str) -> str:
    """An absolute path on the host."""
    base = found.agent.work_dir if found.agent else HOST_DIR
    return posixpath.normpath(posixpath.join(base, path))


def _inside(found: Found, name: str, full: str) -> str:
    """A path from the data directory on. Raises `NeedsStart` for one elsewhere."""
    if full != HOST_DIR and not full.startswith(f"{HOST_DIR}/"):
        raise NeedsStart(name, found.host.state.value, full)
    return full[len(HOST_DIR) + 1 :]
