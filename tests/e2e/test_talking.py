"""Talking to agents, and watching them. They are stand-ins that behave like Claude Code."""

from __future__ import annotations

import hashlib
import json
import random
import shutil

from tests.conftest import Terminal, User


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

    # What an agent says may read as a question for a permission; it is not one.
    assert user.text("message", "ann", "question", "--wait") == "ann is told and is WAITING\n"
    assert "Do you want to keep both?" in user.text("capture", "ann")

    late = user.mngr("wait", "ann", "--for", "done", "--timeout", "1", check=1)
    assert late.stderr == b"mngr: agent 'ann' was not DONE within 1 s; it is WAITING\n"
    user.mngr("message", "ann", "end 3")
    assert user.mngr("wait", "ann", "--for", "done", "--timeout", "30").stdout == b"ann is DONE\n"
    assert user.listed()["ann"]["exit_code"] == 3
    assert b"is DONE" in user.mngr("message", "ann", "anybody there?", check=1).stderr
    assert b"will not be WAITING" in user.mngr("wait", "ann", check=1).stderr
    user.mngr("stop", "ann")
    # What was said can be read when nothing runs any more, by somebody who remembers nothing.
    shutil.rmtree(user.home / "cache")
    assert "did rm -rf /tmp/x" in user.text("transcript", "ann")
    happened = [json.loads(line) for line in user.text("events", "ann").splitlines()]
    assert {"created", "started", "message", "answer", "state", "exited"} <= {one["type"] for one in happened}
    assert {"working", "waiting", "blocked"} <= {one.get("state") for one in happened}
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
    both = "\n".join([ids["one"], ids["two"]]).encode()
    user.mngr("wait", "-", "--timeout", "30", stdin=both)

    assert user.text("list", "--ids", "--waiting").split() == [ids["one"], ids["two"]]
    user.mngr("message", "-", "go on", "--wait", stdin=both)
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

    assert user.mngr("exec", "-", "true", stdin=both).stdout == b""
    ran = user.mngr("exec", "one", "two", "--", "echo $MNGR_AGENT_NAME; pwd >&2")
    assert sorted(ran.stdout.splitlines()) == [b"one| one", b"two| two"]
    assert sorted(ran.stderr.splitlines()) == [b"one| /work/one", b"two| /work/two"]
    failed = user.mngr("exec", "--all", '[ "$MNGR_AGENT_NAME" != two ] || exit 3', check=5)
    assert failed.stderr == b"mngr: two: exit code 3\n"
    told = user.mngr("message", "--all", "--format", "json", "-", stdin=b"all of you")
    assert sorted(one["name"] for one in json.loads(told.stdout)["told"]) == ["cmd", "one", "two"]
    some = user.mngr("message", "one", "nobody", "hello", check=5)
    assert b"no agent named 'nobody'" in some.stderr
    user.mngr("stop", "-", stdin=user.mngr("list", "--ids", "--label", "kind=x").stdout)
    assert user.text("list", "--stopped", "--format", "{name}") == "one\ntwo\n"
    user.mngr("start", "-", stdin=ids["two"].encode())
    assert user.text("list", "--stopped", "--format", "{name}") == "one\n"


def test_connect_holds_on(talker: User, terminal: Terminal) -> None:
    user = talker
    user.mngr("create", "tty", "stand-in", "-q")
    user.mngr("wait", "tty", "--timeout", "30")
    user.mngr("stop", "tty")
    terminal.type("clear; mngr connect tty; echo ended with $?", "Enter")
    terminal.until("A stand-in for an agent")
    terminal.type("typed by hand", "Enter")
    terminal.until("● heard 13 bytes")
    clients = "tmux list-clients -F '#{client_pid}'"
    first = user.text("exec", "tty", clients).strip()
    # The line drops: every session of sshd ends, that of this command too.
    user.mngr("exec", "tty", "kill $(ps -e -o pid=,args= | sed -n 's/^ *\\([0-9]*\\) sshd: root.*/\\1/p')", check=None)
    user.mngr("exec", "tty", f'until now=$({clients}) && [ -n "$now" ] && [ "$now" != {first} ]; do sleep 0.1; done')
    terminal.until("● heard 13 bytes")
    terminal.type("again", "Enter")
    terminal.until("● heard 5 bytes")
    terminal.type("C-b")
    terminal.type("d")
    terminal.until("ended with 0")
    # What was said when it happened is on the screen that tmux gave back.
    terminal.until("mngr: connected again")

    terminal.type("clear; mngr connect --read-only tty; echo over with $?", "Enter")
    terminal.until("● heard 5 bytes")
    terminal.type("not heard", "Enter")
    # Over the same connection, so it comes after that: tmux takes keys that come all at once for a paste.
    assert "not heard" not in user.text("capture", "tty")
    terminal.type("C-b")
    terminal.type("d")
    terminal.until("over with 0")
    assert "not heard" not in user.text("capture", "tty")
    user.mngr("stop", "tty")
    terminal.type("clear; mngr connect tty", "Enter")
    terminal.until("mngr: tty is STOPPED; starting it")
    terminal.until("A stand-in for an agent")
