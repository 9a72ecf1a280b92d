"""Carries a project to a host: its history by git, what is not committed by rsync."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mngr.errors import UsageError
from mngr.hosts import git, rsync, ssh
from mngr.hosts.ssh import Target

_PUSH_S = 3600
# How many commits back a repository on the host is looked for that has some of the same history.
_LOOKED_BACK = 1000


@dataclass(frozen=True, slots=True)
class Project:
    """What travels. `branch` is the branch there; it begins at `base`, a commit or branch here, or where HEAD is.

    Uncommitted work travels with `unclean`; None is: when the branch begins where HEAD is, since it belongs there.
    Files that git ignores travel with `ignored`. Of a folder that is no repository everything travels.
    """

    source: Path
    branch: str
    base: str = ""
    unclean: bool | None = None
    ignored: bool = False


@dataclass(frozen=True, slots=True)
class _Repository:
    """A repository here, and the commit of it that is to be checked out there, empty when there is none yet."""

    top: Path
    commit: str
    branch: str
    unclean: bool
    ignored: bool


def named(source: Path, agent: str, text: str, *, unclean: bool | None = None, ignored: bool = False) -> Project:
    """What ``--branch [BASE][:NEW]`` asks for; without NEW the branch is ``mngr/AGENT``, and ``*`` in it is the name.

    All is checked here. Raises `UsageError`.
    """
    base, _colon, new = text.partition(":")
    project = Project(source, (new or "mngr/*").replace("*", agent), base, unclean, ignored)
    if git.top(source) is None:
        if text:
            raise UsageError(f"--branch {text}: {source} is in no git repository")
        return project
    if git.run(source, "check-ref-format", "--branch", project.branch, check=False).returncode:
        raise UsageError(f"--branch {text}: {project.branch!r} is not a name for a branch")
    _chosen(project, source)
    return project


def send_project(
    target: Target, project: Project, work_dir: str, progress: Callable[[str], None], *, siblings: Sequence[str] = ()
) -> None:
    """Makes `work_dir` on the host the project; `progress` is told git's and rsync's own words about how far they are.

    A git repository arrives with the history of one branch; any other folder arrives as it is. `siblings` are work
    folders on the same host: objects of one that has some of the same history are shared by hard links, which cost
    neither time nor disk and, unlike those of a worktree, outlive the sibling. Raises `HostCommandFailed`, `GitFailed`.
    """
    top = git.top(project.source)
    if top is None:
        rsync.send(target, project.source, work_dir, progress)
        return
    _send_repository(target, _chosen(project, top), work_dir, siblings, progress)


def _chosen(project: Project, top: Path) -> _Repository:
    head = git.commit(top, "HEAD")
    commit = git.commit(top, project.base) if project.base else head
    if project.base and not commit:
        raise UsageError(f"--branch {project.base}: there is no such branch or commit in {top}")
    if project.unclean and commit != head:
        raise UsageError(f"--include-unclean: what is uncommitted belongs to HEAD, not to {project.base}")
    unclean = commit == head if project.unclean is None else project.unclean
    return _Repository(top, commit, project.branch, unclean, project.ignored)


def _send_repository(
    target: Target,
    repository: _Repository,
    work_dir: str,
    siblings: Sequence[str],
    progress: Callable[[str], None],
) -> None:
    _make_repository(target, repository, work_dir, siblings)
    if repository.commit:
        _push(target, repository, work_dir, progress)
        # As many programs write files as there are cores.
        check_out = "rm -f .git/objects/info/alternates && git -c checkout.workers=0 reset --quiet --hard"
        folder = shlex.quote(work_dir)
        ssh.run(target, f"cd {folder} && {check_out}", what="checking the branch out", timeout_s=_PUSH_S)
    submodules = _submodules(repository)
    for path, commit in submodules:
        inner = _Repository(repository.top / path, commit, repository.branch, repository.unclean, repository.ignored)
        theirs = [f"{sibling}/{path}" for sibling in siblings]
        _send_repository(target, inner, f"{work_dir}/{path}", theirs, progress)
    if submodules:
        adopt = f"cd {shlex.quote(work_dir)} && git submodule --quiet init && git submodule --quiet absorbgitdirs"
        ssh.run(target, adopt, what="taking the submodules in")
    _send_rest(target, repository, work_dir, [os.fsencode(path) for path, _commit in submodules], progress)


def _make_repository(target: Target, repository: _Repository, work_dir: str, siblings: Sequence[str]) -> None:
    top = repository.top
    identity = [git.line(top, "config", key) for key in ("user.name", "user.email")]
    recent = b""
    if siblings and repository.commit:
        recent = git.run(top, "rev-list", f"--max-count={_LOOKED_BACK}", repository.commit).stdout
    else:
        siblings = ()
    words = (work_dir, repository.branch, *identity, *siblings)
    ssh.run_script(target, "git-make.sh", *words, what="making the repository", stdin=recent)


def _push(target: Target, repository: _Repository, work_dir: str, progress: Callable[[str], None]) -> None:
    to = f"{repository.commit}:refs/heads/{repository.branch}"
    options = ("--no-verify", "--no-signed", "--recurse-submodules=no", "--no-follow-tags")
    url = git.url(target, work_dir)
    git.push(repository.top, *options, url, to, environment=git.environment(target), told=progress)


def _submodules(repository: _Repository) -> list[tuple[str, str]]:
    """Paths of the submodules that are checked out here, and the commit of each that travels."""
    top, commit = repository.top, repository.commit
    listed = (
        git.run(top, "ls-files", "--stage", "-z")
        if repository.unclean or not commit
        else git.run(top, "ls-tree", "-r", "-z", "--full-tree", commit)
    )
    found = []
    for entry in filter(None, listed.stdout.split(b"\0")):
        facts, path = entry.split(b"\t", 1)
        if not facts.startswith(b"160000 "):
            continue
        name = os.fsdecode(path)
        if not (top / name / ".git").exists():
            continue
        recorded = facts.split()[1 if repository.unclean or not commit else 2].decode()
        here = git.commit(top / name, "HEAD") if repository.unclean else git.commit(top / name, recorded)
        found.append((name, here))
    return found


def _send_rest(
    target: Target,
    repository: _Repository,
    work_dir: str,
    submodules: Sequence[bytes],
    progress: Callable[[str], None],
) -> None:
    """Sends what is not committed, as it is here, and what is ignored; each only if it is to travel."""
    top, root = repository.top, os.fsencode(repository.top)
    changed: set[bytes] = set()
    if repository.unclean:
        if repository.commit:
            # --no-renames: a renamed file is one that is gone and one that is new.
            listed = git.run(top, "diff", "--name-only", "--no-renames", "--ignore-submodules=all", "-z", "HEAD")
        else:
            listed = git.run(top, "ls-files", "-z")
        changed.update(filter(None, listed.stdout.split(b"\0")))
        changed.update(_listed(top, "--others", "--exclude-standard"))
    if repository.ignored:
        changed.update(_listed(top, "--others", "--ignored", "--exclude-standard"))
    changed.difference_update(submodules)
    # A folder in place of a file that was committed is what its own files bring.
    there = {path for path in changed if os.path.lexists(os.path.join(root, path))}
    folders = {path for path in there if not path.endswith(b"/") and _is_folder(os.path.join(root, path))}
    gone = (changed - there) | folders
    if gone:
        remove = f"cd {shlex.quote(work_dir)} && xargs -0 rm -rf --"
        ssh.run(target, remove, what="removing deleted files", stdin=b"\0".join(sorted(gone)))
    if there - folders:
        rsync.send(target, top, work_dir, progress, only=sorted(there - folders))


def _listed(top: Path, *options: str) -> list[bytes]:
    """A repository inside of the work tree that is no submodule is one entry, with a slash at its end."""
    return list(filter(None, git.run(top, "ls-files", *options, "-z").stdout.split(b"\0")))


def _is_folder(path: bytes) -> bool:
    found = Path(os.fsdecode(path))
    return found.is_dir() and not found.is_symlink()
