"""Reads files of hosts: over SSH while a host runs; of its data directory also when it does not."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from mngr.errors import NotFound, UsageError
from mngr.hosts import host_files
from mngr.hosts.agents import HOST_DIR
from mngr.models import HostFile
from mngr.operations import logs, offline, offline_copy
from mngr.operations.finding import Found, look


@dataclass(frozen=True, slots=True)
class Listed:
    """What is in a folder, and how old that is when the host does not run."""

    files: tuple[HostFile, ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Contents:
    """What a file holds, in pieces, and how old that is when the host does not run."""

    pieces: Iterator[bytes]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Got:
    """How many files were copied here, and how old they are when the host does not run."""

    count: int
    note: str = ""


def ls(name: str, path: str) -> Listed:
    """The entries of a folder, or of the one file. A path that is not absolute is in the agent's work folder.

    Raises `AgentNotFound`, `NotFound`, `offline_copy.NeedsStart`.
    """
    found = look(name, destroyed=True)
    full = _full(found, path)
    if found.target is not None:
        return Listed(tuple(host_files.ls(found.target, full)))
    inside = offline_copy.inside(found, name, full)
    files = offline.files_of(found.host)
    entries = files.store.volume_files(files.volume, inside)
    if not entries:
        entries = [offline_copy.entry(files, inside)]
        entries = [] if entries[0].is_folder else entries
    shown = tuple(replace(one, path=posixpath.basename(one.path)) for one in entries)
    return Listed(shown, logs.age(found, files.status()))


def cat(name: str, path: str) -> Contents:
    """The contents of a file. Raises as `ls` before the first piece, and `NotFound` for a folder."""
    found = look(name, destroyed=True)
    full = _full(found, path)
    if found.target is not None:
        return Contents(iter([host_files.read(found.target, full)]))
    inside = offline_copy.inside(found, name, full)
    files = offline.files_of(found.host)
    one = offline_copy.entry(files, inside)
    if one.is_folder:
        raise NotFound(f"{full} is a folder")
    return Contents(offline_copy.pieces(files, one), logs.age(found, files.status()))


def get(name: str, path: str, destination: Path) -> Got:
    """Copies a file or a folder here. What is there is replaced. Raises as `ls`, and `UsageError`."""
    found = look(name, destroyed=True)
    full = _full(found, path)
    target = destination / posixpath.basename(full) if destination.is_dir() else destination
    if not target.parent.is_dir():
        raise UsageError(f"there is no folder {target.parent}")
    if found.target is not None:
        return Got(host_files.copy(found.target, full, target))
    inside = offline_copy.inside(found, name, full)
    files = offline.files_of(found.host)
    count = 0
    for one in offline_copy.tree(files, inside):
        local = offline_copy.below(target, one.path[len(inside) :].lstrip("/"))
        if one.is_folder:
            local.mkdir(mode=0o700, parents=True, exist_ok=True)
            continue
        local.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        offline_copy.write(files, one, local)
        count += 1
    return Got(count, logs.age(found, files.status()))


def _full(found: Found, path: str) -> str:
    """An absolute path on the host."""
    base = found.agent.work_dir if found.agent else HOST_DIR
    return posixpath.normpath(posixpath.join(base, path))
