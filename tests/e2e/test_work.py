"""Getting an agent's work back, and ours to it: git, files, plain ssh."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.conftest import Terminal, User

IDENTITY = "git config user.name Agent; git config user.email agent@example.com; "


def _commit(user: User, agent: str, file: str, text: str) -> None:
    user.mngr(
        "exec", agent, f"{IDENTITY} printf '%s\\n' '{text}' >{file}; git add {file}; git commit -qm 'agent: {text}'"
    )


def _git(user: User, *words: str, code: int = 0) -> dict[str, object]:
    done = user.mngr("git", *words, check=code)
    return json.loads(done.stdout)["git"] if "--format" in words else {}


def test_commits_come_and_go(user: User) -> None:
    user.git("config", "user.name", "Ada")
    user.git("config", "user.email", "ada@example.com")
    user.mngr("create", "ann", "--", "sleep 1000")
    _commit(user, "ann", "work", "first")
    user.mngr("exec", "ann", "echo loose >loose")
    (user.project / "README.md").write_text("not committed\n")

    # What is shown before anything is taken.
    assert user.text("git", "log", "ann", "--", "--format=%s") == "agent: first\n"
    log = _git(user, "log", "ann", "--format", "json")
    assert [commit["subject"] for commit in log["commits"]] == ["agent: first"]  # type: ignore[attr-defined]
    assert user.text("git", "diff", "ann", "--", "--name-only") == "loose\nwork\n"
    assert user.text("git", "diff", "ann", "--committed", "--", "--name-only") == "work\n"
    assert "+loose" in str(_git(user, "diff", "ann", "--format", "json")["diff"])
    status = _git(user, "status", "ann", "--format", "json")
    assert (status["branch"], status["ahead"], status["behind"]) == ("mngr/ann", 1, 0)
    assert status["changes"] == ["?? loose"]
    # What is uncommitted here as it is there is nothing that the agent did; with other content it is.
    (user.project / "loose").write_text("loose\n")
    assert user.text("git", "diff", "ann", "--", "--name-only") == "work\n"
    assert _git(user, "pull", "ann", "--ref-only", "--format", "json")["uncommitted"] == 0
    (user.project / "loose").write_text("mine\n")
    assert user.text("git", "diff", "ann", "--", "--name-only") == "loose\nwork\n"
    (user.project / "loose").unlink()
    assert user.text("git", "status", "ann").splitlines()[0] == "branch mngr/ann"
    assert user.text("exec", "ann", "git status --short") == "?? loose\n"

    # The ref only, then the merge; uncommitted work of ours stays as it is.
    fetched = _git(user, "pull", "ann", "--ref-only", "--format", "json")
    assert fetched["before"] == fetched["after"]
    assert user.git("log", "-1", "--format=%s", "mngr/ann") == "agent: first\n"
    assert not (user.project / "work").exists()
    told = user.mngr("git", "pull", "ann")
    assert b"not fetched: 1 uncommitted change of ann" in told.stderr
    # git says so of a message for a merge that only moves the branch.
    assert b"ignored" not in told.stderr
    assert (user.project / "work").read_text() == "first\n"
    assert (user.project / "README.md").read_text() == "not committed\n"
    assert user.git("branch", "--show-current") == "main\n"

    # Ours goes there, by merge and by rebase; work that is not committed there stays as it is, too.
    user.git("commit", "-qam", "ours")
    _git(user, "push", "ann", "--ref-only")
    assert user.text("exec", "ann", "git log -1 --format=%s refs/remotes/mngr/from-here") == "ours\n"
    pushed = _git(user, "push", "ann", "--format", "json")
    assert pushed["after"] == user.git("rev-parse", "HEAD").strip()
    assert user.text("exec", "ann", "cat README.md loose") == "not committed\nloose\n"
    _commit(user, "ann", "more", "second")
    (user.project / "mine").write_text("mine\n")
    user.git("add", "mine")
    user.git("commit", "-qm", "mine")
    _git(user, "pull", "ann", "--rebase")
    assert user.git("log", "-2", "--format=%s") == "mine\nagent: second\n"
    _commit(user, "ann", "other", "third")
    _git(user, "push", "ann", "--rebase")
    assert user.text("exec", "ann", "git log -3 --format=%s") == "agent: third\nmine\nagent: second\n"


def test_conflicts_are_git_s_own(user: User, tmp_path: Path) -> None:
    user.git("config", "user.name", "Ada")
    user.git("config", "user.email", "ada@example.com")
    user.mngr("create", "con", "--", "sleep 1000")
    _commit(user, "con", "README.md", "theirs")
    # Uncommitted work in the way: git refuses and nothing is touched.
    (user.project / "README.md").write_text("mine\n")
    refused = user.mngr("git", "pull", "con", check=None)
    assert refused.returncode != 0
    assert b"would be overwritten" in refused.stderr
    assert (user.project / "README.md").read_text() == "mine\n"
    user.git("commit", "-qam", "mine")
    failed = _git(user, "push", "con", "--format", "json", code=1)
    assert failed["before"] == failed["after"]
    assert user.text("exec", "con", "git status --short; cat README.md") == "theirs\n"
    conflict = _git(user, "pull", "con", "--format", "json", code=1)
    assert conflict["exit_code"] == 1
    assert user.git("status", "--short") == "UU README.md\n"

    elsewhere = user.mngr("git", "pull", "con", check=2, GIT_DIR=str(tmp_path / "none"))
    assert b"this folder is in no git repository" in elsewhere.stderr
    user.mngr("stop", "con")
    for words in (["git", "pull", "con"], ["pull", "con"], ["ssh", "con"], ["rsync", "con:", "."]):
        assert b"start it with: mngr start con" in user.mngr(*words, check=1).stderr
    assert user.mngr("git", "pull", "nobody", check=3).stdout == b""


def test_files_come_and_go(user: User, terminal: Terminal) -> None:
    project = user.project
    (project / ".gitignore").write_text("*.log\nbuilt/\n")
    user.mngr("create", "fil", "--", "sleep 1000")
    odd = b"line\nbreak \xff [x]*?"
    (project / "out").mkdir()
    Path(os.fsdecode(os.path.join(os.fsencode(project / "out"), odd))).write_text("odd\n")
    (project / "out" / "run").write_text("#!/bin/sh\n")
    (project / "out" / "run").chmod(0o755)
    (project / "out" / "link").symlink_to("run")
    (project / "out" / "noise.log").write_text("noise\n")

    done = user.mngr("push", "fil", "out", "-v", "--format", "json")
    # How far it is, as a terminal shows it.
    assert b"to-chk=0/" in done.stderr
    pushed = json.loads(done.stdout)["copied"]
    assert (pushed["agent"], pushed["sent"], pushed["deleted"]) == ("fil", 3, 0)
    assert {"kind": "send", "path": os.fsdecode(odd)} in pushed["changes"]
    shown = user.mngr("exec", "fil", "cd out; printf '%s\\0' *; stat -c %a run; readlink link").stdout
    assert shown == odd + b"\0link\0run\0" + b"755\nrun\n"

    # A file alone, into a folder, ignored or not.
    user.mngr("push", "fil", "out/noise.log", "logs/")
    assert user.text("exec", "fil", "cat logs/noise.log") == "noise\n"
    user.mngr(
        "exec", "fil", "mkdir -p result/built; echo 1 >result/one; echo 2 >result/two.log; echo 3 >result/built/x"
    )
    assert user.text("pull", "fil", "result") == "1 file copied\n"
    assert [path.name for path in (project / "result").iterdir()] == ["one"]
    user.mngr("pull", "fil", "result", "--include-gitignored")
    assert (project / "result" / "built" / "x").read_text() == "3\n"
    user.mngr("pull", "fil", "result/one", "renamed")
    assert (project / "renamed").read_text() == "1\n"

    # Deletions are shown, then asked for; what is ignored is safe from them.
    (project / "result" / "mine").write_text("x\n")
    dry = user.text("pull", "fil", "result", "--delete", "--dry-run")
    assert "delete 'mine'" in dry
    assert (project / "result" / "mine").exists()
    refused = user.mngr("pull", "fil", "result", "--delete", check=2)
    assert b"add --force" in refused.stderr
    assert (project / "result" / "mine").exists()
    terminal.type("mngr pull fil result --delete; echo ended $?", "Enter")
    terminal.until("Delete 1?")
    terminal.type("y", "Enter")
    terminal.until("ended 0")
    assert not (project / "result" / "mine").exists()
    user.mngr("exec", "fil", "rm -r result/built")
    user.mngr("pull", "fil", "result", "--delete", "--force")
    assert (project / "result" / "built" / "x").exists()

    # rsync's own rules.
    user.mngr("rsync", "out", "renamed", "fil:copies/")
    assert user.text("exec", "fil", "ls copies copies/out | LC_ALL=C grep -ax '[a-z.:/]*' | sort -u").split() == [
        "copies/out:", "copies:", "line", "link", "noise.log", "out", "renamed", "run",
    ]  # fmt: skip
    got = json.loads(user.text("rsync", "fil:/work/fil/copies/out/", "back", "--exclude", "link", "--format", "json"))
    assert got["copied"]["sent"] == 2
    assert not (project / "back" / "link").exists()
    for words in (["out", "back"], ["fil:a", "fil:b"], ["out", "fil:x", "back"]):
        assert b"exactly one side" in user.mngr("rsync", *words, check=2).stderr
    assert b"there is no such file" in user.mngr("pull", "fil", "nothing", check=2).stderr
    assert b"there is no such file" in user.mngr("push", "fil", "nothing", check=2).stderr
    # The history of neither side was touched.
    assert user.text("exec", "fil", "git log --format=%s") == "first commit\n"


def test_plain_ssh_by_name(user: User, terminal: Terminal, tmp_path: Path) -> None:
    home = tmp_path / "person"
    (home / ".ssh").mkdir(parents=True)
    (home / ".ssh" / "config").write_text("Host other\n    Port 1\n")
    users = {"HOME": str(home)}
    user.mngr("create", "ssh", "--", "sleep 1000")
    assert not (user.home / "ssh_config").exists()

    made = json.loads(user.text("ssh-config", "--install", "--format", "json", **users))["ssh_config"]
    assert made["hosts"] == ["ssh.mngr"]
    once = (home / ".ssh" / "config").read_text()
    assert once == f'# mngr\nInclude "{user.home}/ssh_config"\n\nHost other\n    Port 1\n'
    user.mngr("ssh-config", "--install", **users)
    assert (home / ".ssh" / "config").read_text() == once
    assert user.text("ssh-config", **users) == (user.home / "ssh_config").read_text()

    options = ["-F", str(home / ".ssh" / "config")]

    def run(*words: str, **kwargs: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(words, capture_output=True, text=True, cwd=user.project, **kwargs)  # type: ignore[call-overload,no-any-return]

    assert run("ssh", *options, "ssh.mngr", "echo there").stdout == "there\n"
    assert run("scp", *options, "README.md", "ssh.mngr:/tmp/copied").returncode == 0
    assert run("sftp", *options, "-b", "-", "ssh.mngr", input="get /tmp/copied fetched\n").returncode == 0
    assert (user.project / "fetched").read_text() == "hello\n"
    plain = {**os.environ, "GIT_SSH_COMMAND": f"ssh -F {home}/.ssh/config"}
    cloned = run("git", "clone", "-q", "ssh.mngr:/work/ssh", str(tmp_path / "clone"), env=plain)
    assert cloned.returncode == 0, cloned.stderr
    assert (tmp_path / "clone" / "README.md").read_text() == "hello\n"

    # Kept up to date by whatever changes a host.
    user.mngr("stop", "ssh")
    refused = run("ssh", *options, "ssh.mngr", "true")
    assert "mngr: agent ssh does not run; start it with: mngr start ssh" in refused.stderr
    user.mngr("start", "ssh")
    assert run("ssh", *options, "ssh.mngr", "echo again").stdout == "again\n"

    # The shell of mngr's own: on a terminal and from a pipe, in the agent's folder and environment.
    assert user.mngr("ssh", "ssh", stdin=b"pwd; echo $MNGR_AGENT_NAME; exit 7\n", check=7).stdout == b"/work/ssh\nssh\n"
    shown = json.loads(user.text("ssh", "ssh", "--format", "json"))["ssh"]
    assert subprocess.run([*shlex.split(shown["command"]), "pwd"], capture_output=True).stdout == b"/root\n"
    terminal.type("mngr ssh ssh", "Enter")
    terminal.type("test -t 0 && echo on a terminal in $PWD; exit", "Enter")
    terminal.until("on a terminal in /work/ssh")

    user.mngr("destroy", "ssh", "--force")
    assert "ssh.mngr" not in (user.home / "ssh_config").read_text()
    user.mngr("ssh-config", "--uninstall", **users)
    assert (home / ".ssh" / "config").read_text() == "Host other\n    Port 1\n"
    assert not (user.home / "ssh_config").exists()


def test_names_labels_and_limits(user: User) -> None:
    user.mngr("create", "old", "--", "sleep 1000")
    user.mngr("create", "taken@old.modal", "--", "sleep 1000")
    assert user.listed()["taken"]["host"] == user.listed()["old"]["host"]
    for name, code in (("taken", 2), ("no good", 2)):
        user.mngr("rename", "old", name, check=code)
    user.mngr("rename", "nobody", "new", check=3)
    renamed = json.loads(user.text("rename", "old", "new", "--format", "json"))
    assert renamed["agent"]["name"] == "new"
    assert renamed["agent"]["state"] == "RUNNING"
    assert renamed["at_next_start"] == ["its variable MNGR_AGENT_NAME"]
    assert user.text("exec", "new", "tmux has-session -t =mngr-new && echo $MNGR_AGENT_NAME $PWD") == "new /work/old\n"
    user.mngr("exec", "old", "true", check=None)

    assert user.text("label", "new", "team=web", "note=two words") == "new: note=two words team=web\n"
    labelled = json.loads(user.text("label", "new", "team-", "gone-", "stage=1", "--format", "json"))["agent"]
    assert labelled["labels"] == {"note": "two words", "stage": "1"}
    refused = user.mngr("label", "new", "novalue", "-bad=x", check=2)
    assert refused.returncode == 2

    limited = json.loads(user.text("limit", "new", "--idle-timeout", "2h", "--idle-mode", "ssh", "-b", "timeout=2h",
                                   "--format", "json"))  # fmt: skip
    assert limited["now"] == ["idle_timeout_s", "idle_mode"]
    assert limited["at_next_start"] == ["timeout"]
    assert limited["agent"]["host"]["policy"]["idle_timeout_s"] == 7200
    policy = user.text("exec", "new", "cat /run/mngr/policy").splitlines()
    assert {"idle_mode=ssh", "idle_timeout=7200"} <= set(policy)
    assert b"nothing to change" in user.mngr("limit", "new", check=2).stderr
    user.mngr("limit", "new", "-b", "image=alpine", check=2)

    user.mngr("stop", "new", "taken")
    assert user.text("limit", "new", "-b", "cpu=2") == "new: changed now: cpu\n"
    again = json.loads(user.text("rename", "new", "newer", "--format", "json"))
    assert again["at_next_start"] == []
    user.mngr("start", "newer")
    assert user.text("exec", "newer", "echo $MNGR_AGENT_NAME") == "new\n"
    assert user.listed()["newer"]["labels"] == {"note": "two words", "stage": "1"}


@pytest.mark.parametrize("command", ["git", "push", "pull", "rsync", "ssh", "ssh-config", "rename", "label", "limit"])
def test_each_explains_itself(user: User, command: str) -> None:
    assert user.text(command, "--help").startswith("Usage: mngr ")
