"""Commits of agents and ours, by git over SSH: fetched, merged, compared."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mngr.errors import HostCommandFailed, MngrError, UsageError
from mngr.hosts import git, ssh
from mngr.models import Agent
from mngr.operations import submodules
from mngr.operations.finding import reach

_WAYS = {"merge": ("merge", "--no-edit"), "rebase": ("rebase",), "ref": ()}


@dataclass(frozen=True, slots=True)
class There:
    """An agent's repository as it is: `branch` is empty when HEAD is detached, `commit` when there is none yet."""

    target: ssh.Target
    agent: Agent
    branch: str
    commit: str
    changes: tuple[str, ...]

    @property
    def url(self) -> str:
        return git.url(self.target, self.agent.work_dir)


@dataclass(frozen=True, slots=True)
class Moved:
    """What a pull or push did: git's own exit code, where the receiving branch was and is, and how many changes are
    uncommitted there (and, after a pull, not here); of a pull, which submodules it has at other commits now."""

    there: There
    exit_code: int
    before: str
    after: str
    uncommitted: int
    submodules: tuple[str, ...] = ()


def reference(agent: Agent) -> str:
    """The ref here that says where the agent's branch was when it was last asked; ``mngr/NAME`` to git's commands."""
    return f"refs/remotes/mngr/{agent.name}"


def here() -> Path:
    """The top of the repository that we are in. Raises `UsageError`."""
    found = git.top(Path())
    if found is None:
        raise UsageError("this folder is in no git repository; go to the project's, or copy files with: mngr pull")
    return found


def look(name: str) -> There:
    """How an agent's repository is. Raises what `finding.reach` raises, and `MngrError` when it has none."""
    target, agent = reach(name)
    done = ssh.run_script(target, "git-look.sh", agent.work_dir)
    if done.exit_code == 9:
        raise MngrError(f"agent {agent.name!r} has no git repository; copy its files with: mngr pull {agent.name}")
    if done.exit_code:
        raise HostCommandFailed("looking at the repository", done.exit_code, done.stderr.decode(errors="replace"))
    branch, commit, *changes = os.fsdecode(done.stdout).removesuffix("\n").split("\n")
    return There(target, agent, branch, commit, tuple(changes))


def brought(there: There) -> frozenset[str]:
    """Paths of what is uncommitted at the agent and uncommitted here too with the same content: it came from here."""
    top = here()
    listed = os.fsdecode(git.run(top, "status", "--porcelain").stdout).splitlines()
    ours = {line[3:] for line in listed}
    # Others are several files, or written in quotes.
    shared = [
        line[3:] for line in there.changes if line[3:] in ours and not line.endswith(("/", '"')) and "D" not in line[:2]
    ]
    if not shared:
        return frozenset()
    paths = os.fsencode("\n".join(shared))
    in_folder = f"cd {shlex.quote(there.agent.work_dir)} && git hash-object --stdin-paths"
    theirs = ssh.run(there.target, in_folder, stdin=paths, timeout_s=600).stdout.split()
    mine = git.run(top, "hash-object", "--stdin-paths", stdin=paths, check=False).stdout.split()
    same = zip(shared, mine, theirs, strict=False) if len(mine) == len(theirs) == len(shared) else ()
    return frozenset(path for path, one, other in same if one == other)


def fetch(there: There, *, work_tree: bool = False) -> str:
    """Brings the agent's commits here, those of its submodules too; the id of its newest. With `work_tree` this is a
    commit of all that its work folder holds now. Nothing of ours but the ref of `reference` changes. Raises
    `GitFailed`."""
    top = here()
    newest = there.commit
    if work_tree and there.changes:
        folder = there.agent.work_dir
        done = ssh.run_script(there.target, "git-keep.sh", folder, what="reading the work folder", timeout_s=600)
        newest = done.stdout.decode().strip()
    elif not there.commit:
        raise MngrError(f"agent {there.agent.name!r} has no commits yet; see: mngr git status {there.agent.name}")
    wanted = [] if newest == there.commit else ["refs/mngr/work-tree"]
    known = [f"+HEAD:{reference(there.agent)}"] if there.commit else []
    options = ("--quiet", "--no-tags", "--no-write-fetch-head", "--recurse-submodules=no", "--update-shallow")
    git.run(top, "fetch", *options, there.url, *known, *wanted, environment=git.environment(there.target))
    if not wanted:
        newest = git.commit(top, reference(there.agent))
    submodules.fetch(there.target, there.agent, top, newest, reference(there.agent))
    return newest


def pull(name: str, way: str, extra: Sequence[str]) -> Moved:
    """Fetches an agent's branch and merges it into ours, rebases ours onto it, or leaves it at the ref.

    Git writes to our standard error and decides what uncommitted work and conflicts mean.
    """
    top = here()
    there = look(name)
    fetch(there)
    before = git.commit(top, "HEAD")
    code = 0
    if _WAYS[way]:
        words = [*_WAYS[way], *extra]
        if way == "merge" and not _is_forward(top, before, git.commit(top, reference(there.agent)), extra):
            words += ["-m", f"Merge the work of agent {there.agent.name}"]
        code = show(top, *words, reference(there.agent))
    after = git.commit(top, "HEAD")
    links = submodules.changed(top, before, after) if after != before else ()
    return Moved(there, code, before, after, len(there.changes) - len(brought(there)), links)


def push(name: str, way: str, extra: Sequence[str]) -> Moved:
    """Sends our branch to an agent, and merges it into its branch, rebases that onto it, or leaves it at a ref.

    A merge or rebase that has conflicts is taken back there: nobody might see it. Raises `UsageError` without commits.
    """
    top = here()
    ours = git.commit(top, "HEAD")
    if not ours:
        raise UsageError("there are no commits here yet")
    there = look(name)
    ref = "refs/remotes/mngr/from-here"
    options = ("--quiet", "--no-verify", "--recurse-submodules=no", "--no-follow-tags")
    git.run(top, "push", *options, there.url, f"+{ours}:{ref}", environment=git.environment(there.target))
    submodules.push(there.target, there.agent, top, ours, ref)
    if not _WAYS[way]:
        return Moved(there, 0, there.commit, there.commit, len(there.changes))
    words = [*_WAYS[way], *extra]
    if way == "merge" and not _is_forward(top, there.commit, ours, extra):
        words += ["-m", "Merge what was pushed"]
    done = ssh.run_script(there.target, "git-take.sh", there.agent.work_dir, way, *words, ref, timeout_s=600)
    sys.stderr.write(done.stderr.decode(errors="replace"))
    return Moved(there, done.exit_code, there.commit, done.stdout.decode().strip(), len(there.changes))


def _is_forward(top: Path, before: str, after: str, extra: Sequence[str]) -> bool:
    """Whether a merge only moves the branch on, to which git takes no message."""
    if not before:
        return True
    ancestor = ("merge-base", "--is-ancestor", before, after)
    return "--no-ff" not in extra and git.run(top, *ancestor, check=False).returncode == 0


def show(top: Path, *words: str) -> int:
    """Runs git with our own terminal; what it writes goes to standard error. Its exit code."""
    sys.stderr.flush()
    return subprocess.run(["git", "-C", str(top), *words], stdout=sys.stderr).returncode


def page(top: Path, *words: str) -> int:
    """Runs git with our own terminal and outputs, and its own pager. Its exit code."""
    sys.stdout.flush()
    return subprocess.run(["git", "-C", str(top), *words]).returncode


def compared(name: str, *, committed: bool) -> tuple[There, list[str]]:
    """What an agent did since its branch left ours, fetched: what to give to `git diff`. What is uncommitted here as it
    is there is left out."""
    there = look(name)
    newest = fetch(there, work_tree=not committed)
    top = here()
    base = git.line(top, "merge-base", "HEAD", newest) if git.commit(top, "HEAD") else ""
    # Without a commit in common, all that there is.
    same = () if committed else sorted(brought(there))
    without = ["--", *(f":(exclude,top,literal){path}" for path in same)] if same else []
    return there, [base or git.line(top, "hash-object", "-t", "tree", os.devnull), newest, *without]


def logged(name: str) -> tuple[There, str]:
    """The commits that an agent has and we do not, fetched: the range to give to `git log`."""
    there = look(name)
    newest = fetch(there)
    return there, f"HEAD..{newest}" if git.commit(here(), "HEAD") else newest


def commits(revisions: str, extra: Sequence[str]) -> list[dict[str, str]]:
    """The commits of a range, newest first."""
    form = "--format=%H%x00%an%x00%aI%x00%s"
    lines = git.run(here(), "log", form, *extra, revisions).stdout.decode(errors="replace").splitlines()
    fields = ("commit", "author", "date", "subject")
    return [dict(zip(fields, line.split("\0"), strict=True)) for line in lines]


def distance(there: There) -> tuple[int, int] | None:
    """How many commits the agent has that we do not, and we that it has not; None without commits in one of both."""
    top = here()
    if not there.commit or not git.commit(top, "HEAD"):
        return None
    newest = fetch(there)
    counted = git.run(top, "rev-list", "--left-right", "--count", f"{newest}...HEAD").stdout.split()
    return int(counted[0]), int(counted[1])


def text(top: Path, *words: str) -> str:
    """What git writes. Raises `GitFailed`."""
    return git.run(top, *words).stdout.decode(errors="replace")
