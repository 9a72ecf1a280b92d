"""Runs git here, and gives it the way to repositories on hosts."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import quote

from mngr.errors import GitFailed, UsageError
from mngr.hosts import ssh
from mngr.hosts.hearing import hear
from mngr.hosts.ssh import Target

_PROGRESS = re.compile(rb"(remote: )?[A-Z][a-z]+ (objects|deltas): +\d+%")


def run(
    folder: Path,
    *args: str | bytes,
    check: bool = True,
    stdin: bytes = b"",
    environment: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[bytes]:
    """Runs git in a folder here and keeps what it writes. Raises `GitFailed` unless `check` is False, and `UsageError`
    when there is no git."""
    env = os.environ | (environment or {})
    try:
        done = subprocess.run(["git", "-C", str(folder), *args], input=stdin, capture_output=True, env=env)
    except FileNotFoundError as error:
        raise UsageError("git is not installed; it carries your project to the sandbox") from error
    if check and done.returncode:
        raise GitFailed(os.fsdecode(args[0]), done.returncode, done.stderr.decode(errors="replace"))
    return done


def push(folder: Path, *args: str, environment: Mapping[str, str], told: Callable[[str], None]) -> None:
    """Runs `git push`, while `told` hears git's own words about how far it is. Raises `GitFailed`."""
    said: list[bytes] = []

    def heard(text: bytes) -> None:
        if _PROGRESS.match(text):
            told(text.decode(errors="replace").strip())
        elif text.strip():
            said.append(text)

    argv = ["git", "-C", str(folder), "push", "--progress", *args]
    code = hear(argv, "stderr", heard, stdout=subprocess.DEVNULL, env=os.environ | environment)
    if code:
        raise GitFailed("push", code, b"\n".join(said).decode(errors="replace"))


def line(folder: Path, *args: str) -> str:
    """The one line that git writes, empty when it fails."""
    done = run(folder, *args, check=False)
    return os.fsdecode(done.stdout).removesuffix("\n") if done.returncode == 0 else ""


def top(folder: Path) -> Path | None:
    """The top of the work tree that `folder` is in, or None."""
    found = line(folder, "rev-parse", "--show-toplevel")
    return Path(found) if found else None


def commit(folder: Path, name: str) -> str:
    """The id of the commit that `name` names, empty when there is none."""
    return line(folder, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")


def ignored(folder: Path) -> list[bytes]:
    """What git ignores below a folder, relative to it; a folder with a slash at its end. Nothing where all of it is
    ignored, or where there is no repository."""
    if run(folder, "check-ignore", "--quiet", ".", check=False).returncode == 0:
        return []
    done = run(folder, *IGNORED, check=False)
    return [path for path in done.stdout.split(b"\0") if path and path != b"./"] if done.returncode == 0 else []


IGNORED = ("ls-files", "--others", "--ignored", "--exclude-standard", "--directory", "-z")
"""Lists what is ignored below the present folder."""


def url(target: Target, path: str) -> str:
    """The address of a repository on a host; git decodes it."""
    endpoint = target.endpoint
    return f"ssh://{endpoint.user}@{endpoint.address}:{endpoint.port}{quote(os.fsencode(path))}"


def environment(target: Target) -> dict[str, str]:
    """What git needs to know to reach a host as we do."""
    return {"GIT_SSH_COMMAND": shlex.join(ssh.without_address(target)), "GIT_SSH_VARIANT": "ssh"}
