"""Carries a project to a host: its history by git, what is not committed by rsync."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path

from mngr.errors import HostCommandFailed, UsageError
from mngr.hosts import ssh
from mngr.hosts.ssh import Target

# --protect-args: paths reach the other side as they are, whatever is in them.
_RSYNC = ("rsync", "--archive", "--compress", "--quiet", "--protect-args")


def send_project(target: Target, source: Path, work_dir: str, branch: str) -> None:
    """Makes `work_dir` on the host the project in `source`.

    A git repository arrives with its history, on a new branch, with all uncommitted and untracked (not ignored)
    changes; any other folder arrives as it is. Raises `HostCommandFailed`.
    """
    top = repository(source)
    if top is None:
        _rsync(target, [f"{source}/"], work_dir, ())
        return
    has_commits = _git(top, "rev-parse", "--verify", "--quiet", "HEAD", check=False).returncode == 0
    _make_repository(target, top, work_dir, branch)
    if has_commits:
        _push(target, top, work_dir, branch)
        quoted = shlex.quote(work_dir)
        ssh.run(target, f"git -C {quoted} reset --quiet --hard", what="checking the branch out", timeout_s=600)
    _send_uncommitted(target, top, work_dir, has_commits=has_commits)


def repository(source: Path) -> Path | None:
    """The top of the git repository that `source` is in, or None."""
    done = _git(source, "rev-parse", "--show-toplevel", check=False)
    return Path(os.fsdecode(done.stdout).removesuffix("\n")) if done.returncode == 0 else None


def _make_repository(target: Target, top: Path, work_dir: str, branch: str) -> None:
    identity = []
    for key in ("user.name", "user.email"):
        value = _git(top, "config", key, check=False).stdout.decode(errors="replace").strip()
        if value:
            identity.append(f"git config {key} {shlex.quote(value)}")
    script = "; ".join(
        [
            "set -e",
            f"mkdir -p {shlex.quote(work_dir)}",
            f"cd {shlex.quote(work_dir)}",
            "git init --quiet",
            f"git symbolic-ref HEAD {shlex.quote(f'refs/heads/{branch}')}",
            "git config receive.denyCurrentBranch ignore",
            "git config receive.shallowUpdate true",
            *identity,
        ]
    )
    ssh.run(target, script, what="making the repository")


def _push(target: Target, top: Path, work_dir: str, branch: str) -> None:
    endpoint = target.endpoint
    url = f"ssh://{endpoint.user}@{endpoint.address}:{endpoint.port}{work_dir}"
    # git adds the port and the address itself.
    command = ssh.argv(target)
    command = command[: command.index("-p")]
    environment = os.environ | {"GIT_SSH_COMMAND": shlex.join(command), "GIT_SSH_VARIANT": "ssh"}
    done = _git(
        top, "push", "--quiet", "--no-verify", url, f"HEAD:refs/heads/{branch}", check=False, environment=environment
    )
    if done.returncode:
        raise HostCommandFailed("sending the history with git push", done.returncode, done.stderr.decode())


def _send_uncommitted(target: Target, top: Path, work_dir: str, *, has_commits: bool) -> None:
    changed: set[bytes] = set()
    if has_commits:
        # --no-renames: a renamed file is one that is gone and one that is new.
        listed = _git(top, "diff", "--name-only", "--no-renames", "-z", "HEAD")
        changed.update(filter(None, listed.stdout.split(b"\0")))
    else:
        changed.update(filter(None, _git(top, "ls-files", "-z").stdout.split(b"\0")))
    untracked = _git(top, "ls-files", "--others", "--exclude-standard", "-z")
    changed.update(filter(None, untracked.stdout.split(b"\0")))
    there = {path for path in changed if os.path.lexists(os.path.join(os.fsencode(top), path))}
    if there:
        _rsync(target, [f"{top}/"], work_dir, ("--from0", "--files-from=-"), stdin=b"\0".join(sorted(there)))
    gone = changed - there
    if gone:
        remove = f"cd {shlex.quote(work_dir)} && xargs -0 rm -rf --"
        ssh.run(target, remove, what="removing deleted files", stdin=b"\0".join(sorted(gone)))


def _rsync(
    target: Target, sources: Sequence[str], work_dir: str, options: Sequence[str], *, stdin: bytes = b""
) -> None:
    command = ssh.argv(target)
    command = command[: command.index("-p")]
    endpoint = target.endpoint
    shell = shlex.join([*command, "-p", str(endpoint.port)])
    host = f"{endpoint.user}@{endpoint.address}"
    destination = f"{host}:{work_dir}/"
    argv = [*_RSYNC, "--mkpath", *options, "-e", shell, "--", *sources, destination]
    done = subprocess.run(argv, input=stdin, capture_output=True)
    if done.returncode:
        raise HostCommandFailed("sending files with rsync", done.returncode, done.stderr.decode(errors="replace"))


def _git(
    folder: Path, *args: str, check: bool = True, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    try:
        done = subprocess.run(["git", "-C", str(folder), *args], capture_output=True, env=environment)
    except FileNotFoundError as error:
        raise UsageError("git is not installed; it carries your project to the sandbox") from error
    if check and done.returncode:
        raise HostCommandFailed(f"git {args[0]} here", done.returncode, done.stderr.decode(errors="replace"))
    return done
