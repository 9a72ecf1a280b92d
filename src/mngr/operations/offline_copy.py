"""Copies files of the data directory of a host that does not run, from its volume."""

from __future__ import annotations

import os
import posixpath
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from mngr.errors import MngrError, NotFound, ProviderNotFound
from mngr.hosts.agents import HOST_DIR
from mngr.models import HostFile, HostState
from mngr.operations import offline
from mngr.operations.finding import Found, reach
from mngr.operations.offline import HostFiles

_AT_ONCE = 8


class NeedsStart(MngrError):
    def __init__(self, name: str, state: HostState, path: str) -> None:
        where = f"{path} is on the disk of {name}, which is {state.value}"
        super().__init__(
            f"{where}; only its volume, {HOST_DIR}, can be read"
            if state is HostState.DESTROYED
            else f"{where}; its newest snapshot holds it; start it with: mngr start {name}. Without a start only "
            f"{HOST_DIR} can be read"
        )


def inside(found: Found, name: str, full: str) -> str:
    """A path of a host that does not run, from its data directory on. Raises `NeedsStart` for one elsewhere, and
    `HostUnreachable` when the host runs and does not answer."""
    if full == HOST_DIR or full.startswith(f"{HOST_DIR}/"):
        return full[len(HOST_DIR) + 1 :]
    if found.host.state is HostState.RUNNING:
        reach(name)
    raise NeedsStart(name, found.host.state, full)


def entry(files: HostFiles, path: str) -> HostFile:
    """A file or folder of a volume. Raises `NotFound`."""
    if not path:
        return HostFile("", True, 0, 0.0)
    for one in files.store.volume_files(files.volume, posixpath.dirname(path)):
        if one.path == path:
            return one
    raise NotFound(f"the volume has no {HOST_DIR}/{path}")


def tree(files: HostFiles, path: str) -> list[HostFile]:
    """A file, or a folder and all that is in it, itself first. Links, pipes and sockets are not among them. Raises
    `NotFound`."""
    found = files.store.volume_files(files.volume, path, recursive=True)
    below = [one for one in found if one.path != path and one.is_plain]
    return [HostFile(path, True, 0, 0.0) if below else entry(files, path), *below]


def pieces(files: HostFiles, one: HostFile) -> Iterator[bytes]:
    """The contents of a file, as long as it was listed. Raises `NotFound` when it is gone."""
    at = 0
    while at < one.size:
        length = min(offline.PIECE_BYTES, one.size - at)
        try:
            piece = files.store.read_volume(files.volume, one.path, at, length)
        except ProviderNotFound as error:
            raise NotFound(f"the volume has no {HOST_DIR}/{one.path} any more") from error
        if not piece:
            return
        yield piece
        at += len(piece)


def write(files: HostFiles, one: HostFile, local: Path) -> None:
    """Makes a file here be what a volume's file is, readable only by us, as on the host."""
    with os.fdopen(os.open(local, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.writelines(pieces(files, one))
    os.utime(local, (one.changed_at, one.changed_at))


def below(folder: Path, path: str) -> Path:
    """A path of a volume below a folder here. Raises `NotFound` for one that would lead out of it."""
    if ".." in path.split("/"):
        raise NotFound(f"the volume has a path that leads out of it: {path!r}")
    return folder / path


@dataclass
class Copies:
    """A folder here with files of a volume that are still empty, but as long and as old as these, so that rsync can
    tell which have to be fetched."""

    files: HostFiles
    folder: Path
    listed: dict[str, HostFile] = field(default_factory=dict)

    def add(self, path: str) -> None:
        """Places a file, or a folder with all that is in it. Raises `NotFound`."""
        for one in tree(self.files, path):
            local = below(self.folder, one.path)
            (local if one.is_folder else local.parent).mkdir(mode=0o700, parents=True, exist_ok=True)
            if not one.is_folder:
                descriptor = os.open(local, os.O_WRONLY | os.O_CREAT, 0o600)
                os.ftruncate(descriptor, one.size)
                os.close(descriptor)
                os.utime(local, (one.changed_at, one.changed_at))
                self.listed[one.path] = one

    def fetch(self, paths: Sequence[str]) -> None:
        """Fills those files of `paths` that were placed."""
        wanted = [self.listed[path] for path in dict.fromkeys(paths) if path in self.listed]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for _done in pool.map(lambda one: write(self.files, one, below(self.folder, one.path)), wanted):
                pass


@contextmanager
def copies(files: HostFiles) -> Iterator[Copies]:
    """An empty folder for `Copies`, which is removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="mngr-pull-") as folder:
        yield Copies(files, Path(folder))
