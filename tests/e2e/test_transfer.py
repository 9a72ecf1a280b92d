"""How a project travels: what arrives is what was there."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import subprocess
from pathlib import Path

import pytest

from tests.conftest import User

_TREE = (
    "find . -name .git -prune -o \\( -type f -o -type l \\) -print0 | sort -z | "
    'while IFS= read -r -d \'\' f; do if [ -L "$f" ]; then printf \'l %s %s\\0\' "$f" "$(readlink "$f")"; '
    'else printf \'f %s %s %s\\0\' "$f" "$(stat -c %a "$f")" "$(sha256sum <"$f" | cut -c1-64)"; fi; done'
)


def _here(project: Path, ignored: set[str]) -> set[bytes]:
    found = set()
    for folder, folders, files in os.walk(os.fsencode(project)):
        folders[:] = [name for name in folders if name != b".git"]
        for name in [name for name in files if name != b".git"] + [
            name for name in folders if Path(os.fsdecode(os.path.join(folder, name))).is_symlink()
        ]:
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
    """Every file and link of an agent's work tree, with content and mode."""
    # A sub-shell of its own, so that names are bytes.
    return set(filter(None, user.mngr("exec", name, f"LC_ALL=C bash -c {_quoted(_TREE)}").stdout.split(b"\0")))


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _untidy(user: User) -> None:
    """A work tree with one of everything: committed, changed, staged, deleted, renamed, new, ignored."""
    project = user.project
    for name in (
        "changed",
        "deleted",
        "staged",
        "renamed",
        "two words",
        "line\nbreak",
        "-dash",
        "quo'te\"s",
        "\udcff\udcfe",
    ):
        (project / name).write_text("as committed\n")
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
    (project / "new \udcff\n").write_text("untracked\n")
    (project / "deep" / "er" / "file").chmod(0o755)
    # A file that is a folder now, and a folder that is a link.
    (project / "two words").unlink()
    (project / "two words").mkdir()
    (project / "two words" / "inside").write_text("inside\n")
    (project / "inner").mkdir()
    subprocess.run(["git", "init", "--quiet", str(project / "inner")], check=True)
    (project / "inner" / "of a repository that is no submodule").write_text("inner\n")
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

    # A second one on the same host, with other wishes: only what is committed or ignored, another branch and folder.
    options = ["--host", "tree", "--exclude-unclean", "--include-gitignored", "--branch", ":work/*"]
    user.mngr("create", "two", *options, "--target-path", "/srv/a folder", "--", "sleep 1000")
    clean = user.project.parent / "clean"
    subprocess.run(["git", "clone", "--quiet", str(user.project), str(clean)], check=True)
    (clean / "ignored").write_text("stays here\n")
    assert _there(user, "two") == _here(clean, set())
    assert user.text("exec", "two", "git branch --show-current; pwd") == "work/two\n/srv/a folder\n"
    # Its objects are the first one's, and stay when that goes.
    shared = "find .git/objects -type f -links +1 | wc -l; find .git/objects -type f | wc -l"
    assert len(set(user.text("exec", "two", shared).split())) == 1
    user.mngr("destroy", "tree", "--force")
    # A third one from the second as it is now.
    user.mngr("exec", "two", "rm changed; echo loose >loose; mkdir -p built; echo x >ignored")
    user.mngr("create", "three", "--from", "two", "--host", "two", "--", "sleep 1000")
    assert _there(user, "three") == {file for file in _there(user, "two") if not file.startswith(b"f ./ignored ")}
    assert user.text("exec", "three", "git log --format=%s") == "everything\nfirst commit\n"
    assert user.text("exec", "two", "git fsck && git log --format=%s") == "everything\nfirst commit\n"


def test_submodules_travel_as_they_are(user: User, tmp_path: Path) -> None:
    allow = ("-c", "protocol.file.allow=always")
    for name in ("lib", "inner"):
        folder = tmp_path / name
        subprocess.run(["git", "init", "--quiet", "--initial-branch", "main", str(folder)], check=True)
        (folder / f"{name} file").write_text(f"{name}\n")
        for words in (["add", "-A"], ["commit", "--quiet", "-m", f"{name} first"]):
            identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com"]
            subprocess.run(["git", *identity, *words], cwd=folder, check=True)
    lib = tmp_path / "lib"
    subprocess.run(
        ["git", *allow, "submodule", "--quiet", "add", str(tmp_path / "inner"), "in/ner"], cwd=lib, check=True
    )
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com"]
    subprocess.run(["git", *identity, "commit", "--quiet", "-am", "lib second"], cwd=lib, check=True)
    user.git(*allow, "submodule", "--quiet", "add", str(lib), "a lib")
    user.git(*allow, "submodule", "--quiet", "update", "--init", "--recursive")
    user.git("commit", "--quiet", "-am", "with a submodule")
    (user.project / "a lib" / "lib file").write_text("changed\n")
    (user.project / "a lib" / "in" / "ner" / "new").write_text("new\n")
    user.git("config", "user.name", "Ada")
    user.git("config", "user.email", "ada@example.com")
    user.mngr("create", "sub", "--", "sleep 1000")
    assert _there(user, "sub") == _here(user.project, set())
    status = user.text("exec", "sub", "git submodule status --recursive")
    assert [line.split()[0] for line in status.splitlines()] == [
        line.split()[0] for line in user.git("submodule", "status", "--recursive").splitlines()
    ]
    assert user.text("exec", "sub", "cd 'a lib'; git log -1 --format=%s; git status --short") == (
        "lib second\n ? in/ner\n M 'lib file'\n".replace("'", '"')
    )

    # What is committed in them there comes back with the project's commits, to be checked out by git.
    save = "git add -A; git commit -qm"
    there = f"cd 'a lib/in/ner'; {save} 'inner by agent'; cd ../..; {save} 'lib by agent'; cd ..; {save} 'top by agent'"
    user.mngr("exec", "sub", there)
    pulled = user.mngr("git", "pull", "sub", "--format", "json")
    assert b"a lib: at new commits, which are here; check them out: git submodule update" in pulled.stderr
    assert json.loads(pulled.stdout)["git"]["submodules"] == ["a lib"]
    assert (user.project / "a lib" / "lib file").read_text() == "changed\n"
    recorded = user.git("rev-parse", "HEAD:a lib").strip()
    assert user.git("-C", "a lib", "log", "-1", "--format=%s", "refs/remotes/mngr/sub") == "lib by agent\n"
    assert user.git("-C", "a lib", "rev-parse", "refs/remotes/mngr/sub").strip() == recorded
    # Loose work of ours is in the way of git itself, which says so; away with it, and all is as it is there.
    user.git("-C", "a lib", "checkout", "--quiet", ".")
    user.git("-C", "a lib/in/ner", "clean", "-qf")
    user.git("submodule", "--quiet", "update", "--recursive")
    assert _there(user, "sub") == _here(user.project, set())
    # And the other way.
    (user.project / "a lib" / "ours").write_text("ours\n")
    user.git("-C", "a lib", "add", "ours")
    user.git("-C", "a lib", "commit", "--quiet", "-m", "lib by Ada")
    user.git("commit", "--quiet", "-am", "top by Ada")
    user.mngr("git", "push", "sub")
    user.mngr("exec", "sub", "git submodule --quiet update --no-fetch")
    assert user.text("exec", "sub", "cat 'a lib/ours'; git status --short") == "ours\n"


def test_a_branch_begins_where_it_is_told_to(user: User) -> None:
    user.git("checkout", "--quiet", "-b", "feature")
    (user.project / "feature").write_text("1\n")
    user.git("add", "-A")
    user.git("commit", "--quiet", "-m", "on the branch")
    user.git("checkout", "--quiet", "main")
    (user.project / "loose").write_text("not committed\n")
    for words, told in (
        (["--branch", "nowhere"], "there is no such branch or commit"),
        (["--branch", ":bad..name"], "is not a name for a branch"),
        (["--branch", "feature", "--include-unclean"], "belongs to HEAD"),
        (["--target-path", "/mngr/x"], "outside of /mngr"),
        (["--from", "/etc", "--branch", "x"], "is in no git repository"),
    ):
        assert told in user.mngr("create", "base", *words, "--", "x", check=2).stderr.decode()
    assert user.listed() == {}
    user.mngr("create", "base", "--branch", "feature:next", "--", "sleep 1000")
    shown = user.text("exec", "base", "git branch --show-current; git log -1 --format=%s; ls")
    assert shown == "next\non the branch\nREADME.md\nfeature\n"


@pytest.mark.parametrize("case", ["empty", "no commits", "detached", "shallow", "subfolder"])
def test_repositories_of_other_shapes(user: User, tmp_path: Path, case: str) -> None:
    project = user.project
    if case in ("empty", "no commits"):
        project = tmp_path / "fresh"
        project.mkdir()
        subprocess.run(["git", "init", "--quiet", str(project)], check=True)
        if case == "no commits":
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
    expected = {"empty": "", "no commits": "", "shallow": "commit 2\n"}.get(case, "first commit\n")
    assert log == expected
