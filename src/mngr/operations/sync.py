"""Copies files between a folder here and an agent's."""

from __future__ import annotations

import os
import posixpath
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mngr.errors import UsageError
from mngr.hosts import git, rsync, ssh
from mngr.hosts.rsync import Change, Options
from mngr.models import Agent
from mngr.operations.finding import reach

Confirm = Callable[[Sequence[Change]], None]
"""Asks whether these may be deleted; raises when not."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """How to copy. `ignored`: what git ignores on either side is copied, and deleted, too."""

    delete: bool = False
    dry_run: bool = False
    ignored: bool = False
    patterns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Copied:
    """What was copied, from where to where, and each change at the destination."""

    agent: Agent
    source: str
    destination: str
    changes: tuple[Change, ...]


def push(
    name: str, source: str, destination: str, wanted: Wanted, confirm: Confirm, progress: Callable[[str], None]
) -> Copied:
    """Copies a file, or what is in a folder, to an agent.

    Without a destination it is the same path in the work folder, and only its last part when the source is none below
    this folder. Raises `UsageError`, `RsyncFailed` and what `finding.reach` raises.
    """
    if not os.path.lexists(source):
        raise UsageError(f"{source}: there is no such file or folder here")
    target, agent = reach(name)
    there = posixpath.normpath(posixpath.join(agent.work_dir, destination or _same_path(source)))
    if not Path(source).is_dir():
        there += "/" if destination.endswith("/") else ""
        sides = ([_local(source)], rsync.place(target, there))
        return _copy(target, agent, sides, wanted, [], confirm, progress)
    excluded = [] if wanted.ignored else [*git.ignored(Path(source)), *_ignored_there(target, there)]
    sides = ([_local(f"{source.rstrip('/')}/")], rsync.place(target, f"{there}/"))
    return _copy(target, agent, sides, wanted, excluded, confirm, progress)


def pull(
    name: str, source: str, destination: str, wanted: Wanted, confirm: Confirm, progress: Callable[[str], None]
) -> Copied:
    """Copies a file of an agent's, or what is in a folder, here; as `push`, the other way."""
    target, agent = reach(name)
    there = posixpath.normpath(posixpath.join(agent.work_dir, source or "."))
    here = destination or _same_path(source)
    kind = ssh.run(target, f"if [ -d {shlex.quote(there)} ]; then echo folder; elif [ -e {shlex.quote(there)} ] || "
                           f"[ -L {shlex.quote(there)} ]; then echo file; fi")  # fmt: skip
    if not kind.stdout:
        raise UsageError(f"{there}: there is no such file or folder at {agent.name}")
    if kind.stdout == b"file\n":
        return _copy(target, agent, ([rsync.place(target, there)], _local(here)), wanted, [], confirm, progress)
    excluded = [] if wanted.ignored else _ignored_there(target, there)
    if not wanted.ignored and Path(here).is_dir():
        excluded += git.ignored(Path(here))
    sides = ([rsync.place(target, f"{there}/")], _local(f"{here.rstrip('/')}/"))
    return _copy(target, agent, sides, wanted, excluded, confirm, progress)


def between(
    sources: Sequence[str], destination: str, wanted: Wanted, confirm: Confirm, progress: Callable[[str], None]
) -> Copied:
    """Copies as rsync does, between here and ``AGENT:path``; a relative path there is below the work folder.

    Raises `UsageError` unless exactly one side is one agent's.
    """
    named = [_split(source) for source in sources]
    to = _split(destination)
    agents = {agent for agent, _path in named}
    if len(agents) != 1 or (to[0] is None) == (None in agents):
        raise UsageError("exactly one side must be AGENT:path, and all sources on the same side")
    target, agent = reach(to[0] or next(iter(agents)) or "")

    def placed(side: tuple[str | None, str]) -> str:
        return _local(side[1]) if side[0] is None else rsync.place(target, _below(agent.work_dir, side[1]))

    excluded: list[bytes] = []
    # Only where what is in a folder travels are paths from its root the same on both sides.
    if not wanted.ignored and len(named) == 1 and (named[0][1].endswith("/") or not named[0][1]):
        for is_there, path in ((named[0][0], named[0][1]), to):
            if is_there is not None:
                excluded += _ignored_there(target, _below(agent.work_dir, path))
            elif Path(path).is_dir():
                excluded += git.ignored(Path(path))
    sides = ([placed(side) for side in named], placed(to))
    return _copy(target, agent, sides, wanted, excluded, confirm, progress)


def copy_project(name: str, folder: Path) -> None:
    """Brings an agent's project here as it is now, with its branch and what it has not committed, into an empty folder.

    What its .gitignore names, and submodules, stay there. Raises what `finding.reach` raises, `GitFailed`,
    `RsyncFailed`.
    """
    target, agent = reach(name)
    work_dir = shlex.quote(agent.work_dir)
    is_repository = ssh.run(target, f"git -C {work_dir} rev-parse --git-dir >/dev/null").exit_code == 0
    if is_repository:
        url = git.url(target, agent.work_dir)
        git.run(folder, "clone", "--quiet", url, ".", environment=git.environment(target))
    exclude = (*_ignored_there(target, agent.work_dir), b".git") if is_repository else ()
    options = Options(delete=is_repository, exclude=exclude)
    rsync.copy(target, [rsync.place(target, f"{agent.work_dir}/")], f"{folder}/", options, lambda _words: None)


def _copy(
    target: ssh.Target,
    agent: Agent,
    sides: tuple[list[str], str],
    wanted: Wanted,
    excluded: Sequence[bytes],
    confirm: Confirm,
    progress: Callable[[str], None],
) -> Copied:
    sources, destination = sides
    # The history of a repository is git's to carry.
    patterns = (*wanted.patterns, ".git")
    options = Options(wanted.delete, wanted.dry_run, tuple(dict.fromkeys(excluded)), patterns)
    if wanted.delete and not wanted.dry_run:
        trial = rsync.copy(target, sources, destination, replace(options, dry_run=True), lambda _words: None)
        deleted = [change for change in trial if change.kind == "delete"]
        if deleted:
            confirm(deleted)
    changes = rsync.copy(target, sources, destination, options, progress)
    return Copied(agent, " ".join(sources), destination, tuple(changes))


def _ignored_there(target: ssh.Target, folder: str) -> list[bytes]:
    """As `git.ignored`, on the host."""
    script = f"cd {shlex.quote(folder)} && ! git check-ignore --quiet . && git {' '.join(git.IGNORED)}"
    done = ssh.run(target, f"{{ {script}; }} 2>/dev/null", timeout_s=300)
    return [path for path in done.stdout.split(b"\0") if path and path != b"./"] if done.exit_code == 0 else []


def _same_path(source: str) -> str:
    path = os.path.normpath(source) if source else "."
    return path if path != ".." and not path.startswith(("/", "../")) else posixpath.basename(path) or "."


def _local(path: str) -> str:
    """A path here so that rsync does not take what stands before a colon for a host."""
    return path if path.startswith("/") else f"./{path}"


def _split(text: str) -> tuple[str | None, str]:
    """``AGENT:path`` as both, a path here as (None, path); one with a colon is written ``./with:colon``."""
    agent, colon, path = text.partition(":")
    return (agent, path) if colon and "/" not in agent else (None, text)


def _below(work_dir: str, path: str) -> str:
    slash = "/" if path.endswith("/") or not path else ""
    return posixpath.normpath(posixpath.join(work_dir, path)) + slash
