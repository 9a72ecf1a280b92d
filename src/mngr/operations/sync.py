"""Copies files between a folder here and an agent's."""

from __future__ import annotations

import os
import posixpath
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mngr.errors import NotFound, UsageError
from mngr.hosts import git, rsync, ssh
from mngr.hosts.agents import HOST_DIR
from mngr.hosts.rsync import Change, Options
from mngr.operations import logs, offline, offline_copy
from mngr.operations.finding import Found, look, reach

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
    """What was copied, from where to where, each change at the destination, and how old it is what came from a host
    that does not run. `name` is the agent's, or that of a host which was named itself."""

    name: str
    source: str
    destination: str
    changes: tuple[Change, ...]
    note: str = ""


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
        return _copy(target, agent.name, sides, wanted, [], confirm, progress)
    excluded = [] if wanted.ignored else [*git.ignored(Path(source)), *_ignored_there(target, there)]
    sides = ([_local(f"{source.rstrip('/')}/")], rsync.place(target, f"{there}/"))
    return _copy(target, agent.name, sides, wanted, excluded, confirm, progress)


def pull(
    name: str, source: str, destination: str, wanted: Wanted, confirm: Confirm, progress: Callable[[str], None]
) -> Copied:
    """Copies a file of an agent's, or what is in a folder, here; as `push`, the other way.

    What is in the data directory is read from the volume when the host does not run. Raises also `NotFound` when there
    is none, and `offline_copy.NeedsStart` for what is elsewhere.
    """
    found = look(name, destroyed=True)
    there = posixpath.normpath(_below(_base(found), source or "."))
    here = destination or _same_path(source)
    if _is_file(found, name, there):
        return _take(found, name, [there], _local(here), wanted, [], confirm, progress)
    excluded = []
    if not wanted.ignored:
        excluded = _ignored_there(found.target, there) if found.target else []
        excluded += git.ignored(Path(here)) if Path(here).is_dir() else []
    destination = _local(f"{here.rstrip('/')}/")
    return _take(found, name, [f"{there}/"], destination, wanted, excluded, confirm, progress)


def _base(found: Found) -> str:
    """Where paths of an agent begin, or of a host that was named itself."""
    return found.agent.work_dir if found.agent else HOST_DIR


def _is_file(found: Found, name: str, path: str) -> bool:
    """Whether a path is anything but a folder. Raises `UsageError` when there is no such path."""
    missing = f"{path}: there is no such file or folder at {name}"
    if found.target is None:
        inside = offline_copy.inside(found, name, path)
        files = offline.files_of(found.host)
        try:
            return not offline_copy.entry(files, inside).is_folder
        except NotFound as error:
            raise UsageError(missing) from error
    quoted = shlex.quote(path)
    script = f"if [ -d {quoted} ]; then echo folder; elif [ -e {quoted} ] || [ -L {quoted} ]; then echo file; fi"
    kind = ssh.run(found.target, script).stdout
    if not kind:
        raise UsageError(missing)
    return kind == b"file\n"


def _take(
    found: Found,
    name: str,
    paths: Sequence[str],
    destination: str,
    wanted: Wanted,
    excluded: Sequence[bytes],
    confirm: Confirm,
    progress: Callable[[str], None],
) -> Copied:
    """Copies from a host here. A path that ends with a slash stands for what is in the folder."""
    if found.target is not None:
        sides = ([rsync.place(found.target, path) for path in paths], destination)
        return _copy(found.target, _name(found), sides, wanted, excluded, confirm, progress)
    files = offline.files_of(found.host)
    with offline_copy.copies(files) as copies:
        sources, roots = [], []
        for path in paths:
            inside = offline_copy.inside(found, name, path.rstrip("/"))
            copies.add(inside)
            slash = "/" if path.endswith("/") or not inside else ""
            sources.append(f"{copies.folder}/{inside}".rstrip("/") + slash)
            roots.append(inside if slash else posixpath.dirname(inside))

        def fetch(changes: Sequence[Change]) -> None:
            progress("reading the volume")
            sent = [os.fsdecode(change.path) for change in changes if change.kind == "send"]
            copies.fetch([posixpath.join(root, path) for root in roots for path in sent])

        copied = _copy(None, _name(found), (sources, destination), wanted, excluded, confirm, progress, fetch)
        note = logs.age(found, files.status())
        return replace(copied, source=" ".join(paths), note=note)


def _name(found: Found) -> str:
    return found.agent.name if found.agent else found.record.name


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
    name = to[0] or next(iter(agents)) or ""
    taken = look(name, destroyed=True) if to[0] is None else None
    if taken is not None:
        target, base = taken.target, _base(taken)
    else:
        target, agent = reach(name)
        base = agent.work_dir
    excluded: list[bytes] = []
    # Only where what is in a folder travels are paths from its root the same on both sides.
    if not wanted.ignored and len(named) == 1 and (named[0][1].endswith("/") or not named[0][1]):
        for is_there, path in ((named[0][0], named[0][1]), to):
            if is_there is None:
                excluded += git.ignored(Path(path)) if Path(path).is_dir() else []
            elif target is not None:
                excluded += _ignored_there(target, _below(base, path))
    if taken is not None:
        paths = [_below(base, path) for _agent, path in named]
        return _take(taken, name, paths, _local(to[1]), wanted, excluded, confirm, progress)
    assert target is not None  # noqa: S101 (it was reached)
    sides = ([_local(path) for _agent, path in named], rsync.place(target, _below(base, to[1])))
    return _copy(target, agent.name, sides, wanted, excluded, confirm, progress)


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
    target: ssh.Target | None,
    name: str,
    sides: tuple[list[str], str],
    wanted: Wanted,
    excluded: Sequence[bytes],
    confirm: Confirm,
    progress: Callable[[str], None],
    fetch: Callable[[Sequence[Change]], None] | None = None,
) -> Copied:
    """`fetch` is told of the changes before they are made, to bring what they need."""
    sources, destination = sides
    # The history of a repository is git's to carry.
    patterns = (*wanted.patterns, ".git")
    options = Options(wanted.delete, wanted.dry_run, tuple(dict.fromkeys(excluded)), patterns)
    if (wanted.delete or fetch) and not wanted.dry_run:
        trial = rsync.copy(target, sources, destination, replace(options, dry_run=True), lambda _words: None)
        deleted = [change for change in trial if change.kind == "delete"]
        if deleted:
            confirm(deleted)
        if fetch:
            fetch(trial)
    changes = rsync.copy(target, sources, destination, options, progress)
    return Copied(name, " ".join(sources), destination, tuple(changes))


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
