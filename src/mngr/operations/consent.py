"""What somebody should say yes to before an agent is made: what leaves this machine that nobody may have thought of."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mngr import config, paths
from mngr.hosts import git

_MANY_FILES = 50_000
_MANY_BYTES = 1_000_000_000
# Settings of a provider that reach for what is the user's: servers, secrets, variables, files, volumes.
_REACHING = frozenset(
    {
        *("server", "default_secret", "default_env", "default_volume"),
        *("default_docker_build_arg", "default_context_dir", "default_dockerfile"),
    }
)


@dataclass(frozen=True, slots=True)
class Question:
    """Something to say yes to. `remembered` is what the answer is kept under, empty where it is asked each time."""

    text: str
    remembered: str = ""


def of_settings() -> Iterator[Question]:
    """Whether settings that came with the repository that we are in may decide what an agent runs and what of the
    user's it gets. Asked once for what they say."""
    found: dict[str, Any] = {}
    for layer in config.of_repository():
        for section, named in layer.values.items():
            for name, values in named.items() if isinstance(named, dict) else ():
                for key, value in values.items() if isinstance(values, dict) else ():
                    if section == "agent_types" or (section == "providers" and key in _REACHING):
                        found[f"{section}.{name}.{key}"] = value
    said = ", ".join(f"{key} = {json.dumps(value)}" for key, value in found.items())
    digest = hashlib.sha256(said.encode()).hexdigest()
    if found and not _kept(digest).exists():
        yield Question(f"settings of this repository decide what the agent runs and gets of yours: {said}", digest)


def of_project(source: Path, *, unclean: bool, ignored: bool) -> Iterator[Question]:
    """Whether a home folder, or a great many files that are in no commit, may be sent."""
    top = git.top(source)
    if (top or source).resolve() in (Path.home().resolve(), Path("/")):
        yield Question(f"{(top or source).resolve()} is not a project's folder; all that is in it would be sent")
        return
    count = total = 0
    for size in _sizes(source) if top is None else _loose(top, unclean=unclean, ignored=ignored):
        count, total = count + 1, total + size
        if count > _MANY_FILES or total > _MANY_BYTES:
            why = "that is in no git repository" if top is None else "with files that are in no commit"
            yield Question(f"{top or source} is a folder {why}, more than {_much(count, total)}, which would be sent")
            return


def remember(question: Question) -> None:
    """Keeps the answer, so that it is not asked again. A second call changes nothing."""
    if question.remembered:
        paths.write_private(_kept(question.remembered), b"")


def _kept(digest: str) -> Path:
    return paths.home() / "trusted" / digest


def _much(count: int, total: int) -> str:
    return f"{_MANY_FILES} files" if count > _MANY_FILES else f"{total / 1e9:.1f} GB"


def _sizes(folder: Path) -> Iterator[int]:
    for inside, _folders, files in os.walk(folder):
        for name in files:
            yield _size(os.path.join(inside, name))


def _loose(top: Path, *, unclean: bool, ignored: bool) -> Iterator[int]:
    """The sizes of what travels beside the commits."""
    wishes: list[tuple[str, ...]] = [("--exclude-standard",)] if unclean else []
    wishes += [("--ignored", "--exclude-standard")] if ignored else []
    for options in wishes:
        listed = git.run(top, "ls-files", "--others", "-z", *options).stdout
        for path in filter(None, listed.split(b"\0")):
            yield _size(os.path.join(os.fsencode(top), path))


def _size(path: str | bytes) -> int:
    try:
        return os.lstat(path).st_size
    except OSError:
        # It went meanwhile.
        return 0
