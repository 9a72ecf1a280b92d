"""How a project travels: what arrives is what was there."""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
from pathlib import Path

import pytest

from tests.conftest import User

_TREE = (
    "find . -path ./.git -prune -o \\( -type f -o -type l \\) -print0 | sort -z | "
    'while IFS= read -r -d \'\' f; do if [ -L "$f" ]; then printf \'l %s %s\\0\' "$f" "$(readlink "$f")"; '
    'else printf \'f %s %s %s\\0\' "$f" "$(stat -c %a "$f")" "$(sha256sum <"$f" | cut -c1-64)"; fi; done'
)


def _here(project: Path, ignored: set[str]) -> set[bytes]:
    found = set()
    for folder, folders, files in os.walk(os.fsencode(project)):
        if b".git" in folders:
            folders.remove(b".git")
        for name in files + [name for name in folders if Path(os.fsdecode(os.path.join(folder, name))).is_symlink()]:
            path = os.path.join(folder, name)
            shown = b"./" + os.path.relpath(path, os.fsencode(project))
            if os.fsdecode(shown[2:]) in ignored:
                continue
            if os.path.islink(path):
                found.add(b"l " + shown + b" " + os.readlink(path))
            else:
                mode = f"{stat.S_IMODE(os.stat(path).st_mode):o}".encode()
                digest = hashlib.sha256(Path(os.fsdecode(path)).read_bytes()).hexdigest().encode()
                found.add(b"f " + shown + b" " + mode + b" " + digest)
    return found


def _there(user: User, name: str) -> set[bytes]:
    return set(filter(None, user.mngr("exec", name, f"bash -c {_quoted(_TREE)}").stdout.split(b"\0")))


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _untidy(user: User) -> None:
    """A work tree with one of everything: committed, changed, staged, deleted, renamed, new, ignored."""
    project = user.project
    for name in ("changed", "deleted", "staged", "renamed", "two words", "line\nbreak", "-dash", "quo'te\"s"):
        (project / name).write_text(f"{name} as committed\n")
    (project / "run.sh").write_text("#!/bin/sh\n")
    (project / "run.sh").chmod(0o755)
    (project / "deep" / "er").mkdir(parents=True)
    (project / "deep" / "er" / "file").write_bytes(bytes(range(256)))
    (project / "link").symlink_to("deep/er/file")
    (project / ".gitignore").write_text("ignored\n")
    user.git("add", "-A")
    user.git("commit", "--quiet", "-m", "everything")
    (project / "changed").write_text("changed since\n")
    (project / "deleted").unlink()
    (project / "staged").write_text("staged\n")
    user.git("mv", "renamed", "renamed to")
    user.git("add", "staged")
    (project / "new file").write_text("untracked\n")
    (project / "new link").symlink_to("nowhere")
    (project / "ignored").write_text("stays here\n")


def test_a_work_tree_with_one_of_everything(user: User) -> None:
    _untidy(user)
    user.mngr("create", "tree", "--", "sleep 1000")
    assert _there(user, "tree") == _here(user.project, {"ignored"})
    assert user.text("exec", "tree", "git log --format=%s") == "everything\nfirst commit\n"
    assert user.git("log", "--format=%s", "--all") == "everything\nfirst commit\n"
    # git sees the same changes there as here, staged or not.
    changed = {line[3:] for line in user.git("status", "--short", "--no-renames").splitlines()}
    assert {line[3:] for line in user.text("exec", "tree", "git status --short --no-renames").splitlines()} == changed


@pytest.mark.parametrize("case", ["no commits", "detached", "shallow", "subfolder"])
def test_repositories_of_other_shapes(user: User, tmp_path: Path, case: str) -> None:
    project = user.project
    if case == "no commits":
        project = tmp_path / "fresh"
        project.mkdir()
        subprocess.run(["git", "init", "--quiet", str(project)], check=True)
        (project / "only file").write_text("not committed\n")
    elif case == "detached":
        (project / "second").write_text("2\n")
        user.git("add", "-A")
        user.git("commit", "--quiet", "-m", "second commit")
        user.git("checkout", "--quiet", "--detach", "HEAD~1")
    elif case == "shallow":
        for number in range(3):
            user.git("commit", "--quiet", "--allow-empty", "-m", f"commit {number}")
        project = tmp_path / "shallow"
        subprocess.run(["git", "clone", "--quiet", "--depth", "1", f"file://{user.project}", str(project)], check=True)
    else:
        (project / "sub").mkdir()
        (project / "sub" / "file").write_text("here\n")
    source = project / "sub" if case == "subfolder" else project
    user.mngr("create", "shape", "--source", str(source), "--", "sleep 1000")
    assert _there(user, "shape") == _here(project, set())
    log = user.mngr("exec", "shape", "git log --format=%s", check=None).stdout.decode()
    expected = {"no commits": "", "shallow": "commit 2\n"}.get(case, "first commit\n")
    assert log == expected
