"""What agents are given, and commands run where they are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import Terminal, User


def state(user: User, name: str) -> object:
    return user.listed()[name]["state"]


def test_exec_in_every_manner(user: User) -> None:
    user.mngr("create", "ex@.modal", "-q", "--", "sleep 1000")
    assert user.text("exec", "--cwd", "/tmp", "ex", "pwd") == "/tmp\n"
    assert user.text("exec", "ex", "--cwd", "..", "--", "pwd") == "/work\n"
    assert user.text("exec", "--user", "nobody", "ex", "whoami; echo $MNGR_AGENT_NAME") == "nobody\nex\n"
    slow = user.mngr("exec", "--timeout", "1", "ex", "echo before; sleep 99; echo after", check=124)
    assert slow.stdout == b"before\n"
    assert user.mngr("exec", "ex", "ps -e -o args | grep -c '[s]leep 99'", check=None).stdout == b"0\n"
    assert user.text("exec", "-t", "ex", "test -t 0 && echo terminal").strip() == "terminal"
    # A -- of the command's own is left to it, as ssh does.
    user.mngr("exec", "ex", "rm README.md; touch ./-x")
    user.mngr("exec", "ex", "git", "checkout", "-q", "--", "README.md")
    assert user.text("exec", "--cwd", ".", "ex", "ls", "--", "-x", "README.md") == "-x\nREADME.md\n"
    assert user.text("exec", "--all", "ls", "--", "-x") == "ex| -x\n"
    assert b"no agent named 'nobody'" in user.mngr("exec", "ex", "ex", "nobody", "--", "true", check=5).stderr
    assert b"there is no command" in user.mngr("exec", "ex", check=2).stderr
    # Addresses say where an agent is.
    assert user.text("exec", "ex@ex.modal", "echo here") == "here\n"
    assert b"no agent named 'ex@other'" in user.mngr("exec", "ex@other", "true", check=3).stderr


def test_shells_wait_for_their_user(user: User) -> None:
    user.mngr("create", "sh", "shell", "-q")
    user.mngr("wait", "sh", "--timeout", "30")
    assert user.text("list", "--format", "{type} {state}") == "shell WAITING\n"
    user.mngr("message", "sh", "sleep 50")
    assert state(user, "sh") == "RUNNING"
    user.mngr("message", "sh", "--answer", "\x03")
    user.mngr("wait", "sh", "--timeout", "30")


def test_everything_an_agent_can_be_given(user: User, tmp_path: Path) -> None:
    secret = "value-of-a-secret"
    (tmp_path / "vars").write_text(f"# comment\nFROM_FILE='two words'\nexport OTHER={secret}-file\n\nBOTH=file\n")
    (tmp_path / "tool.sh").write_text("#!/bin/sh\necho a tool\n")
    (tmp_path / "tool.sh").chmod(0o755)
    (tmp_path / "task").write_text("the task\nin two lines")
    (user.project / ".mngr").mkdir()
    (user.project / ".mngr" / "settings.toml").write_text('[agent_types.command]\nforward = ["BY_PROJECT"]\n')
    asked = user.mngr("create", "not-yet", "--", "x", check=2)
    assert b'agent_types.command.forward = ["BY_PROJECT"]; if that is meant, add --yes' in asked.stderr
    made = json.loads(
        user.mngr(
            *("create", "--in", "modal", "--format", "json", "--yes", "--label", "team=red"),
            *("--env", "BOTH=pair", "--env", f"TOKEN={secret}", "--env-file", str(tmp_path / "vars")),
            *("--pass-env", "MINE", "--upload-file", f"{tmp_path}/tool.sh:/usr/local/bin/tool"),
            *("--upload-file", f"{tmp_path}/tool.sh:deep/er/", "--message-file", str(tmp_path / "task")),
            *("--extra-provision-command", 'echo "$TOKEN at $(pwd)" >prepared'),
            *("--", "cat >told; sleep 1000"),
            MINE=f"{secret}-mine",
            BY_PROJECT="forwarded",
        ).stdout
    )["agent"]
    name = made["name"]
    assert made["labels"] == {"team": "red"}
    assert (made["type"], made["work_dir"]) == ("command", f"/work/{name}")
    seen = user.text("exec", name, 'echo "$BOTH|$TOKEN|$FROM_FILE|$OTHER|$MINE|$BY_PROJECT"').strip()
    assert seen == f"pair|{secret}|two words|{secret}-file|{secret}-mine|forwarded"
    assert user.text("exec", name, "tool; sh deep/er/tool.sh; cat prepared") == (
        f"a tool\na tool\n{secret} at /work/{name}\n"
    )
    user.mngr(
        "exec",
        name,
        "until grep -q lines told; do sleep 0.05; done; cmp -n 21 told - ",
        stdin=b"the task\nin two lines",
    )
    # Nowhere but on the host, and there only its owner reads it.
    assert user.text("exec", name, "stat -c %a /mngr/agents/*/env") == "600\n"
    assert secret not in user.text("list", "--format", "json")
    assert not [p for p in user.home.rglob("*") if p.is_file() and secret.encode() in p.read_bytes()]

    again = json.loads(user.text("create", name, "--reuse", "--format", "json", "--", "true"))["agent"]
    assert again["id"] == made["id"]
    user.mngr("stop", name)
    assert (
        json.loads(user.text("create", name, "--reuse", "--format", "json", "--", "true"))["agent"]["id"] == made["id"]
    )
    assert state(user, name) == "RUNNING"
    # A variable that is there after a start too.
    assert user.text("exec", name, "echo $TOKEN") == f"{secret}\n"


def test_what_create_asks(user: User, terminal: Terminal) -> None:
    """The settings of a repository are asked about once; each time, whether very much is meant to be sent."""
    settings = user.project / ".mngr" / "settings.toml"
    settings.parent.mkdir()
    settings.write_text('[providers.modal]\ndefault_cpu = 2\ndefault_secret = ["keys"]\n')
    with (user.project / "big").open("wb") as file:
        file.truncate(2_000_000_000)
    terminal.type("mngr create x shell; echo ended with $?", "Enter")
    terminal.until(
        "settings of this repository decide what the agent runs and gets of yours: providers.modal.default_se"
    )
    terminal.until("Go on? [y/N]")
    terminal.type("y", "Enter")
    terminal.until("Go on? [y/N]: y")
    terminal.until(f"{user.project} is a folder with files that are in no commit, more than 2.0 GB"[:110])
    terminal.type("n", "Enter")
    terminal.until("ended with 130")
    refused = user.mngr("create", "x", "shell", check=2)
    assert b"with files that are in no commit, more than 2.0 GB, which would be sent" in refused.stderr
    refused = user.mngr("create", "x", "shell", check=2, HOME=str(user.project))
    assert b"is not a project's folder; all that is in it would be sent; if that is meant, add --yes" in refused.stderr
    assert user.listed() == {}


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["x", "nope"], "there is no agent type 'nope'; there are: claude, codex, opencode, gemini, shell, command"),
        (["x", "cluade"], "did you mean 'claude'?"),
        (["x", "shell", "--type", "codex"], "the type is given twice"),
        (["x", "shell", "more"], "goes after --: more"),
        (["x@", "shell"], "'x@' is no address"),
        (["x@host.modal", "shell", "--host", "other"], "the host is given twice"),
        (["x@.mars", "shell"], "there is no provider named 'mars'"),
        (["x", "shell", "--env", "A"], "--env A: must be KEY=VALUE"),
        (["x", "shell", "--env", "A B=secret"], "--env A B=…: 'A B' can not be the name of a variable"),
        (["x", "shell", "--pass-env", "NO_SUCH_ONE"], "--pass-env NO_SUCH_ONE: there is no such variable"),
        (["x", "shell", "--env-file", "nowhere"], "--env-file nowhere: No such file or directory"),
        (["x", "shell", "--upload-file", "nowhere:/x"], "--upload-file nowhere:/x: there is no nowhere"),
        (["x", "shell", "--upload-file", "README.md"], "must be LOCAL:REMOTE"),
        (["x", "shell", "--message", "a", "--message-file", "b"], "can not both be given"),
        (["x", "shell", "--snapshot", "im-1", "--branch", "b", "--host", "y"], "without --host, --branch"),
        (["x", "shell", "--snapshot", "im-1", "-b", "cpu=2"], "nothing can be said of it: cpu=2"),
        (["x", "loop"], "is its own parent: loop -> loop"),
    ],
)
def test_what_create_says_no_to(user: User, args: list[str], says: str) -> None:
    done = user.mngr("create", *args, check=2, MNGR__AGENT_TYPES__LOOP__PARENT="loop")
    assert says in done.stderr.decode()
    assert done.stderr.count(b"\n") == 1
    assert b"secret" not in done.stderr
