"""Commits of submodules, which travel with those of the project that names them."""

from __future__ import annotations

import os
from pathlib import Path

from mngr.hosts import git, ssh
from mngr.models import Agent

_FETCH = ("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--recurse-submodules=no", "--update-shallow")
_PUSH = ("push", "--quiet", "--no-verify", "--recurse-submodules=no", "--no-follow-tags")


def fetch(target: ssh.Target, agent: Agent, top: Path, commit: str, ref: str, below: str = "") -> None:
    """Brings the commits here that `commit`, one of the agent's, has its submodules at, to `ref` in each.

    No branch and no file changes. Only submodules that are checked out here; what the agent itself does not have stays
    for `git submodule update` to get from where the submodule is from.
    """
    for path, wanted in _links(top, commit).items():
        inner = top / path
        if not (inner / ".git").exists():
            continue
        if not git.commit(inner, wanted):
            url = git.url(target, f"{agent.work_dir}/{below}{path}")
            words = (*_FETCH, url, f"+{wanted}:{ref}")
            git.run(inner, *words, environment=git.environment(target), check=False)
        if git.commit(inner, wanted):
            fetch(target, agent, inner, wanted, ref, f"{below}{path}/")


def push(target: ssh.Target, agent: Agent, top: Path, commit: str, ref: str, below: str = "") -> None:
    """Sends the commits that `commit`, one of ours, has its submodules at, to `ref` in those that the agent has."""
    for path, wanted in _links(top, commit).items():
        inner = top / path
        if (inner / ".git").exists() and git.commit(inner, wanted):
            url = git.url(target, f"{agent.work_dir}/{below}{path}")
            git.run(inner, *_PUSH, url, f"+{wanted}:{ref}", environment=git.environment(target), check=False)
            push(target, agent, inner, wanted, ref, f"{below}{path}/")


def changed(top: Path, before: str, after: str) -> tuple[str, ...]:
    """The submodules that `after` has at another commit than `before` has."""
    known = _links(top, before) if before else {}
    return tuple(path for path, commit in _links(top, after).items() if known.get(path) != commit) if after else ()


def _links(top: Path, commit: str) -> dict[str, str]:
    """The commit of each submodule, by its path."""
    if git.run(top, "cat-file", "-e", f"{commit}:.gitmodules", check=False).returncode:
        return {}
    found = {}
    for entry in filter(None, git.run(top, "ls-tree", "-r", "-z", "--full-tree", commit).stdout.split(b"\0")):
        facts, path = entry.split(b"\t", 1)
        mode, _kind, wanted = facts.split()
        if mode == b"160000":
            found[os.fsdecode(path)] = wanted.decode()
    return found
