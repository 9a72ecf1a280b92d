"""Reads files of a host that runs, over SSH."""

from __future__ import annotations

import shlex
import subprocess
import tarfile
from pathlib import Path

from mngr.errors import HostCommandFailed, NotFound
from mngr.hosts import ssh
from mngr.hosts.ssh import Target
from mngr.models import HostFile

_NO_SUCH = 44
_LONG_S = 3600.0


def _checked(path: str, done: ssh.Completed) -> bytes:
    if done.exit_code == _NO_SUCH:
        raise NotFound(f"the host has no {path}")
    if done.exit_code:
        raise HostCommandFailed(f"reading {path}", done.exit_code, done.stderr.decode(errors="replace"))
    return done.stdout


def _there(target: Target, path: str, then: str) -> bytes:
    quoted = shlex.quote(path)
    return _checked(path, ssh.run(target, f"[ -e {quoted} ] || exit {_NO_SUCH}; {then} {quoted}", timeout_s=_LONG_S))


def ls(target: Target, path: str) -> list[HostFile]:
    """The entries of a folder, or the one file. Raises `NotFound`."""
    listed = _checked(path, ssh.run_script(target, "list-files.sh", path, timeout_s=_LONG_S))
    files = []
    for line in listed.decode(errors="surrogateescape").splitlines():
        about, _slash, name = line.partition("/")
        size, changed_at, kind = about.split(" ", 2)
        files.append(HostFile(name, kind == "directory", int(size), float(changed_at)))
    return sorted(files, key=lambda one: one.path)


def read(target: Target, path: str) -> bytes:
    """The contents of a file. Raises `NotFound`."""
    return _there(target, path, "cat --")


def copy(target: Target, path: str, local: Path) -> int:
    """Copies a file or folder to `local` here; how many files. Nothing is written outside of `local`. Raises
    `NotFound`, `HostCommandFailed`."""
    folder, name = path.rsplit("/", 1)
    _there(target, path, "true")
    remote = f"tar -C {shlex.quote(folder or '/')} -cf - -- {shlex.quote(name)}"
    process = subprocess.Popen(ssh.argv(target, remote=remote), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    assert process.stdout is not None  # noqa: S101 (it is a pipe)
    count = 0
    with tarfile.open(fileobj=process.stdout, mode="r|") as archive:
        for member in archive:
            member.name = local.name + member.name[len(name) :]
            # The filter refuses names and links that lead outside.
            archive.extract(member, local.parent, filter="data")
            count += member.isfile()
    if process.wait():
        raise HostCommandFailed(f"reading {path}", process.returncode, "")
    return count
