"""Files of the user's that go to a host one by one, all in one call."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from mngr.hosts import ssh
from mngr.hosts.ssh import Target

_SEND_S = 600
_PRIVATE = 0o600


@dataclass(frozen=True, slots=True)
class Upload:
    """A file or folder here, or the contents themselves, and its path below the folder that it goes into."""

    source: Path | bytes
    path: str


def send(target: Target, folder: str, uploads: Iterable[Upload], *, what: str) -> None:
    """Puts files below `folder` (as the host's shell reads it: ``"$HOME"``), which is made when it is not there.

    Links are followed, modes are kept, contents are the owner's alone; what is there is replaced. Raises
    `HostCommandFailed`. Nothing is done for no files.
    """
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", dereference=True) as archive:
        for upload in uploads:
            if isinstance(upload.source, bytes):
                entry = tarfile.TarInfo(upload.path)
                entry.size, entry.mode = len(upload.source), _PRIVATE
                archive.addfile(entry, io.BytesIO(upload.source))
            else:
                archive.add(upload.source, upload.path, filter=_ours)
        if not archive.getmembers():
            return
    script = f"umask 077; mkdir -p {folder} && tar -xf - --no-same-owner -C {folder}"
    ssh.run(target, script, what=what, stdin=packed.getvalue(), timeout_s=_SEND_S)


def _ours(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Without the names of users here, and without sockets and the like."""
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    return entry if entry.isfile() or entry.isdir() else None
