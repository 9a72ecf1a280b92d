"""Agents of every type, and talking to them. The conversations are with a stand-in that behaves like Claude Code."""

from __future__ import annotations

import base64
import hashlib
import json
import random
import re
import subprocess
from pathlib import Path

import pytest

from tests.conftest import BIN, Terminal, User, clean_env

STAND_IN = Path(__file__).parent.parent / "stand_in.pl"


@pytest.fixture
def talker(user: User) -> User:
    """A user whose settings have the type ``stand-in``."""
    script = base64.b64encode(STAND_IN.read_bytes()).decode()
    with (user.home / "settings.toml").open("a") as file:
        file.write(
            '\n[agent_types.stand-in]\nparent = "claude"\ncommand = "perl /opt/stand-in.pl"\n'
            'args = ["--from-settings"]\n'
            f'install = "echo {script} | base64 -d >/opt/stand-in.pl"\nenv = {{ FLAVOUR = "plain" }}\n'
        )
    return user


def state(user: User, name: str) -> object:
    return user.listed()[name]["state"]


def test_states_and_messages(talker: User) -> None:
    """One agent through its states: ready, told, at work, told while at work, blocked, answered, done."""
    user = talker
    user.mngr("create", "ann", "stand-in", "--label", "team=red", "--message", "hello ann", "--", "--extra")
    assert user.mngr("wait", "ann", "--timeout", "30").stdout == b"ann is WAITING\n"
    assert user.text("exec", "ann", "echo $FLAVOUR") == "plain\n"

    # What the type's parent needs, what the settings add, what the command line adds.
    user.mngr("message", "ann", "arguments", "--wait")
    arguments = "--settings /usr/local/lib/mngr/claude-hooks.json --from-settings --extra"
    said = json.loads(user.text("transcript", "ann", "--format", "json"))["transcript"]
    assert [(entry["role"], entry["text"]) for entry in said] == [
        ("user", "hello ann"),
        ("assistant", f"heard 9 bytes with digest {hashlib.md5(b'hello ann').hexdigest()}"),  # noqa: S324
        ("user", "arguments"),
        ("assistant", arguments),
    ]
    assert user.text("transcript", "ann", "--last", "1") == f"assistant: {arguments}\n"
    assert len(user.text("transcript", "ann", "--raw").splitlines()) == 4

    # Told while it works: both are heard, one after the other, once.
    user.mngr("message", "ann", "work")
    assert state(user, "ann") == "RUNNING"
    user.mngr("message", "ann", "second")
    assert state(user, "ann") == "RUNNING"
    user.mngr("exec", "ann", "ls ~/.stand-in/ann/messages/4", check=2)
    user.mngr("exec", "ann", "touch ~/.stand-in/ann/go")
    user.mngr("wait", "ann", "--timeout", "30")
    assert user.text("exec", "ann", "cd ~/.stand-in/ann/messages; ls; cat 4") == "1\n2\n3\n4\nsecond"

    # Blocked: nothing is permitted by chance.
    user.mngr("message", "ann", "ask rm -rf /tmp/x")
    assert user.mngr("wait", "ann", "--for", "blocked", "--timeout", "30").stdout == b"ann is BLOCKED\n"
    refused = user.mngr("message", "ann", "go on", check=1)
    assert b"'ann' is BLOCKED" in refused.stderr
    assert b"is BLOCKED" in user.mngr("wait", "ann", "--timeout", "5", check=1).stderr
    assert user.text("list", "--blocked", "--format", "{name}") == "ann\n"
    assert user.text("list", "--waiting", "--running", "--format", "{name}") == ""
    user.mngr("message", "--answer", "ann", "1", "--wait")
    assert "did rm -rf /tmp/x" in user.text("capture", "ann")
    assert state(user, "ann") == "WAITING"

    late = user.mngr("wait", "ann", "--for", "done", "--timeout", "1", check=1)
    assert late.stderr == b"mngr: agent 'ann' was not DONE within 1 s; it is WAITING\n"
    user.mngr("message", "ann", "end 3")
    assert user.mngr("wait", "ann", "--for", "done", "--timeout", "30").stdout == b"ann is DONE\n"
    assert user.listed()["ann"]["exit_code"] == 3
    assert b"is DONE" in user.mngr("message", "ann", "anybody there?", check=1).stderr
    assert b"will not be WAITING" in user.mngr("wait", "ann", check=1).stderr
    user.mngr("stop", "ann")
    assert user.mngr("wait", "ann", "--for", "stopped", "--timeout", "30").stdout == b"ann is STOPPED\n"


def test_messages_arrive_byte_for_byte(talker: User) -> None:
    user = talker
    user.mngr("create", "ear", "stand-in", "-q")
    user.mngr("wait", "ear", "--timeout", "30")
    rng = random.Random(6)  # noqa: S311
    big = bytes(rng.choice(b"abcdefghijklmnop \n\t\xc3\xa9{}$`'\"\\") for _ in range(1_000_000)) + b"."
    texts = [
        b"one",
        "two\nlines and \u00e9\u4e16".encode(),
        b"  tabs\t\\ $HOME `x` 'q' \"d\" ; # \n\n  end",
        b"-n",
        big,
    ]
    for text in texts:
        user.mngr("message", "ear", "-", stdin=text)
        user.mngr("wait", "ear", "--timeout", "60")
    heard = user.text("exec", "ear", 'cd ~/.stand-in/ear/messages && for n in $(ls | sort -n); do md5sum <"$n"; done')
    assert [line.split()[0] for line in heard.splitlines()] == [hashlib.md5(text).hexdigest() for text in texts]  # noqa: S324

    # While it works too, and when somebody scrolls in the terminal.
    user.mngr("exec", "ear", "tmux copy-mode -t '=mngr-ear:'")
    user.mngr("message", "ear", "work")
    user.mngr("message", "ear", stdin=big)
    user.mngr("exec", "ear", "touch ~/.stand-in/ear/go")
    user.mngr("message", "ear", "--wait", "--timeout", "1m", "last")
    heard = user.text("exec", "ear", "cd ~/.stand-in/ear/messages; ls | wc -l; md5sum <7; cat 8")
    assert heard.split() == ["8", hashlib.md5(big).hexdigest(), "-", "last"]  # noqa: S324
    # Long output has scrolled away, and colours are there when asked for.
    user.mngr("message", "ear", "long 120", "--wait")
    assert "line 1 of 120" not in user.text("capture", "ear")
    assert "line 1 of 120" in user.text("capture", "ear", "--history")
    assert "\x1b[" not in user.text("capture", "ear")
    user.mngr("exec", "ear", "printf '\\033[31mred' >$(tmux display -p -t '=mngr-ear:' '#{pane_tty}')")
    assert "\x1b[31mred" in user.text("capture", "ear", "--ansi")
    for bad in (b"", b" \n", b"a\x1b[201~b"):
        assert b"message" in user.mngr("message", "ear", "-", stdin=bad, check=2).stderr


def test_several_agents_at_once(talker: User) -> None:
    user = talker
    for name, label in (("one", "red"), ("two", "blue")):
        user.mngr("create", name, "stand-in", "-q", "--label", f"team={label}", "--label", "kind=x")
    user.mngr("create", "cmd", "-q", "--label", "team=red", "--", "sleep 1000")
    ids = {name: str(agent["id"]) for name, agent in user.listed().items()}
    user.mngr("wait", "one", "two", "--timeout", "30")

    assert user.text("list", "--ids", "--waiting").split() == [ids["one"], ids["two"]]
    user.mngr("message", "-", "go on", "--wait", stdin="\n".join([ids["one"], ids["two"]]).encode())
    for name in ("one", "two"):
        assert user.text("exec", name, f"cat ~/.stand-in/{name}/messages/1") == "go on"
    assert user.text("list", "--label", "team=red", "--format", "{name}") == "one\ncmd\n"
    assert user.text("list", "--label", "team=red", "--label", "kind=x", "--format", "{name}") == "one\n"
    assert user.text("list", "--host", "two", "--format", "{name}") == "two\n"
    assert user.text("list", "--running", "--format", "{name}") == "cmd\n"
    assert user.text("list", "--sort", "-name", "--limit", "2", "--fields", "name,labels.team,state").splitlines() == [
        "NAME  LABELS.TEAM  STATE",
        "two   blue         WAITING",
        "one   red          WAITING",
    ]
    fields = json.loads(user.text("list", "--sort", "name", "--fields", "name,host.state", "--format", "json"))
    assert fields["agents"][0] == {"name": "cmd", "host.state": "RUNNING"}
    assert isinstance(user.listed()["one"]["idle_s"], float)
    assert b"no field 'nope'" in user.mngr("list", "--fields", "nope", check=2).stderr

    ran = user.mngr("exec", "one", "two", "--", "echo $MNGR_AGENT_NAME; pwd >&2")
    assert sorted(ran.stdout.splitlines()) == [b"one| one", b"two| two"]
    assert sorted(ran.stderr.splitlines()) == [b"one| /work/one", b"two| /work/two"]
    failed = user.mngr("exec", "--all", '[ "$MNGR_AGENT_NAME" != two ] || exit 3', check=5)
    assert failed.stderr == b"mngr: two: exit code 3\n"
    told = user.mngr("message", "--all", "--format", "json", "-", stdin=b"all of you")
    assert sorted(one["name"] for one in json.loads(told.stdout)["tolds"]) == ["cmd", "one", "two"]
    some = user.mngr("message", "one", "nobody", "hello", check=5)
    assert b"no agent named 'nobody'" in some.stderr
    user.mngr("stop", "-", stdin=user.mngr("list", "--ids", "--label", "kind=x").stdout)
    assert user.text("list", "--stopped", "--format", "{name}") == "one\ntwo\n"


def test_exec_in_every_manner(user: User) -> None:
    user.mngr("create", "ex", "-q", "--", "sleep 1000")
    assert user.text("exec", "--cwd", "/tmp", "ex", "pwd") == "/tmp\n"
    assert user.text("exec", "ex", "--cwd", "..", "--", "pwd") == "/work\n"
    assert user.text("exec", "--user", "nobody", "ex", "whoami; echo $MNGR_AGENT_NAME") == "nobody\nex\n"
    slow = user.mngr("exec", "--timeout", "1", "ex", "echo before; sleep 99; echo after", check=124)
    assert slow.stdout == b"before\n"
    assert user.mngr("exec", "ex", "ps -e -o args | grep -c '[s]leep 99'", check=None).stdout == b"0\n"
    assert user.text("exec", "-t", "ex", "test -t 0 && echo terminal") == "terminal\r\n"
    assert b"no agent named 'git'" in user.mngr("exec", "ex", "git", "checkout", "--", "x", check=5).stderr
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
    made = json.loads(
        user.mngr(
            *("create", "--in", "modal", "--format", "json", "--yes", "--label", "team=red"),
            *("--env", "BOTH=pair", "--env", f"TOKEN={secret}", "--env-file", str(tmp_path / "vars")),
            *("--pass-env", "MINE", "--upload-file", f"{tmp_path}/tool.sh:/usr/local/bin/tool"),
            *("--upload-file", f"{tmp_path}/tool.sh:deep/er/", "--message-file", str(tmp_path / "task")),
            *("--extra-provision-command", 'echo "$TOKEN at $(pwd)" >prepared'),
            *("--", "cat >told; sleep 1000"),
            MINE=f"{secret}-mine",
        ).stdout
    )["agent"]
    name = made["name"]
    assert made["labels"] == {"team": "red"}
    assert (made["type"], made["work_dir"]) == ("command", f"/work/{name}")
    seen = user.text("exec", name, 'echo "$BOTH|$TOKEN|$FROM_FILE|$OTHER|$MINE"').strip()
    assert seen == f"pair|{secret}|two words|{secret}-file|{secret}-mine"
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
        (["x", "loop"], "is its own parent: loop -> loop"),
    ],
)
def test_what_create_says_no_to(user: User, args: list[str], says: str) -> None:
    done = user.mngr("create", *args, check=2, MNGR__AGENT_TYPES__LOOP__PARENT="loop")
    assert says in done.stderr.decode()
    assert done.stderr.count(b"\n") == 1
    assert b"secret" not in done.stderr


def test_connect_holds_on(talker: User, terminal: Terminal) -> None:
    user = talker
    user.mngr("create", "tty", "stand-in", "-q")
    user.mngr("wait", "tty", "--timeout", "30")
    user.mngr("stop", "tty")
    terminal.type("clear; mngr connect tty; echo ended with $?", "Enter")
    terminal.until("A stand-in for an agent")
    terminal.type("typed by hand", "Enter")
    terminal.until("● heard 13 bytes")
    # The line drops: every session of sshd ends, that of this command too.
    user.mngr("exec", "tty", "kill $(ps -e -o pid=,args= | sed -n 's/^ *\\([0-9]*\\) sshd: root.*/\\1/p')", check=None)
    terminal.until("mngr: connected again")
    terminal.until("● heard 13 bytes")
    terminal.type("again", "Enter")
    terminal.until("● heard 5 bytes")
    terminal.type("C-b")
    terminal.type("d")
    terminal.until("ended with 0")

    terminal.type("clear; mngr connect --read-only tty; echo over with $?", "Enter")
    terminal.until("● heard 5 bytes")
    terminal.type("not heard", "Enter")
    terminal.type("C-b")
    terminal.type("d")
    terminal.until("over with 0")
    assert "not heard" not in user.text("capture", "tty")
    user.mngr("stop", "tty")
    terminal.type("clear; mngr connect tty", "Enter")
    terminal.until("mngr: tty is STOPPED; starting it")
    terminal.until("A stand-in for an agent")


KEYS = {"ANTHROPIC_API_KEY": "sk-ant-api03-none-0123456789", "OPENAI_API_KEY": "sk-none", "GEMINI_API_KEY": "none"}


@pytest.mark.timeout(900)
def test_the_real_programs(user: User) -> None:
    """Each is installed and started. Without an account and a network it takes a message and can not send it on."""
    for kind in ("claude", "codex", "opencode", "gemini"):
        user.mngr("create", kind, kind, "-q", "--message", "hello\nfrom the tests", timeout_s=600, **KEYS)
        assert re.search(r"\d+\.\d+\.\d+", user.text("exec", kind, kind, "--version"))
        assert "from the tests" in user.text("capture", kind, "--history")
    for kind in ("claude", "codex"):
        assert user.text("transcript", kind) == "user: hello\nfrom the tests\n"
    again = user.mngr("create", "second", "claude", "-v", **KEYS)
    assert b"STEP" not in again.stderr
    user.mngr("wait", "second", "--timeout", "2m")
    user.mngr("message", "second", "are you there?")
    assert state(user, "second") == "RUNNING"
    # Of an interruption no hook tells.
    user.mngr("message", "second", "--answer", "\x1b")
    user.mngr("wait", "second", "--timeout", "2m")


def test_settings_travel_and_credentials_only_when_asked(user: User, tmp_path: Path) -> None:
    home = tmp_path / "person"
    (home / ".claude" / "commands").mkdir(parents=True)
    (home / ".claude" / "settings.json").write_text('{"theme": "light"}')
    (home / ".claude" / "commands" / "x.md").write_text("do x")
    (home / ".claude" / ".credentials.json").write_text("a login")
    # The program is left out, which takes long to install and is not what this is about.
    env = {"HOME": str(home), "MNGR__AGENT_TYPES__CLAUDE__COMMAND": "sleep 1000 #"}
    default = subprocess.run(
        [str(BIN / "mngr"), "config", "get", "default_agent_type"],
        env=clean_env({"MNGR_HOME": str(user.home)}),
        capture_output=True,
        cwd=user.project,
    )
    assert default.stdout == b"claude\n"
    user.mngr("create", "mine", "-q", MNGR__DEFAULT_AGENT_TYPE="claude", **env)
    listed = user.text("exec", "mine", "cd ~/.claude; find . -type f | sort; cat settings.json", **env)
    assert listed == './commands/x.md\n./settings.json\n{"theme": "light"}'
    user.mngr("create", "shared", "claude", "-q", "--share-credentials", **env)
    assert user.text("exec", "shared", "cat ~/.claude/.credentials.json", **env) == "a login"
