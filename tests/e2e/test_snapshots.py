"""Snapshots: taken, listed, gone back to, begun from, destroyed; by hand and by the clock."""

from __future__ import annotations

import json
from typing import Any

from tests.conftest import Terminal, User


def listed(user: User, *args: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(user.text("snapshot", "list", *args, "--format", "json"))["snapshots"]
    return found


def make(user: User, name: str = "my-agent", *args: str) -> None:
    user.mngr("create", name, *args, "--type", "command", "--", "sleep 1000")


def test_the_commands_of_the_manual(user: User) -> None:
    make(user)
    first = user.text("snapshot", "create", "my-agent").strip()
    assert first.startswith("im-")
    user.mngr("exec", "my-agent", "echo refactored >README.md; sync")
    named = user.text("snapshot", "create", "my-agent", "--name", "before-refactor", "--tag", "a=b").strip()
    shown = user.text("snapshot", "list", "my-agent")
    assert first in shown
    assert "before-refactor" in shown
    user.mngr("snapshot", "destroy", "my-agent", "--snapshot", first, "--force")
    found = listed(user, "my-agent")
    assert [(one["id"], one["name"], one["kind"], one["tags"]) for one in found] == [
        (named, "before-refactor", "manual", {"a": "b"})
    ]
    assert found[0]["host"] == "my-agent"
    assert found[0]["size"] > 1_000_000
    refused = user.mngr("start", "my-agent", "--snapshot", named, check=2)
    assert b"to go back to a snapshot stop it first" in refused.stderr
    user.mngr("exec", "my-agent", "echo worse >README.md; sync")
    user.mngr("stop", "my-agent")
    user.mngr("start", "my-agent", "--snapshot", "before-refactor")
    assert user.text("exec", "my-agent", "cat README.md") == "refactored\n"
    # What it had come to before is not lost by going back.
    user.mngr("stop", "my-agent")
    kinds = [(one["kind"], one["based_on"]) for one in listed(user)]
    assert kinds == [("manual", None), ("exit", None), ("exit", named)]
    user.mngr("start", "my-agent", "--snapshot", listed(user)[1]["id"])
    assert user.text("exec", "my-agent", "cat README.md") == "worse\n"


def test_forms_of_asking(user: User) -> None:
    make(user, "a")
    make(user, "b")
    short = user.text("snapshot", "a").strip()
    both = user.mngr("snapshot", "create", "-", "--format", "{id} {host}", stdin=b"a\nb\n").stdout.decode()
    assert [line.split()[1] for line in both.splitlines()] == ["a", "b"]
    assert [one["id"] for one in listed(user, "a")] == [short, both.split()[0]]
    assert len(listed(user)) == 3
    assert len(listed(user, "--limit", "1")) == 1
    assert len(listed(user, "--before", "2020-01-01")) == 0
    assert len(listed(user, "--after", "1h")) == 3
    for args, says in (
        (("snapshot", "create", "a", "--name", "two words"), "must be one word"),
        (("snapshot", "create", "a", "--tag", "x"), "must be KEY=VALUE"),
        (("snapshot", "list", "--after", "soon"), "must be a date"),
        (("snapshot", "destroy", "a", "--force"), "say which"),
        (("snapshot", "destroy", "a", "--snapshot", "x"), "add --force"),
    ):
        assert says in user.mngr(*args, check=2).stderr.decode()
    assert (
        b"has no snapshot 'nope'" in user.mngr("snapshot", "destroy", "a", "--snapshot", "nope", "-f", check=3).stderr
    )
    user.mngr("stop", "b")
    some = user.mngr("snapshot", "create", "a", "b", "--format", "json", check=5)
    assert [one["host"] for one in json.loads(some.stdout)["snapshots"]] == ["a"]
    assert "is STOPPED" in json.loads(some.stdout)["errors"][0]


def test_the_last_that_a_host_can_come_back_from_is_guarded(user: User, terminal: Terminal) -> None:
    make(user)
    user.mngr("stop", "my-agent")
    terminal.type("mngr snapshot destroy my-agent --all-snapshots; echo ended with $?", "Enter")
    terminal.until("ended with 2")
    assert "has nothing else to come back from; add --force" in terminal.screen().replace("\n", "")
    user.mngr("start", "my-agent")
    terminal.type("clear; mngr snapshot destroy my-agent --all-snapshots; echo ended with $?", "Enter")
    terminal.until("Go on?")
    terminal.type("n", "Enter")
    terminal.until("ended with 130")
    assert len(listed(user)) == 1
    for number in range(3):
        user.mngr("snapshot", "create", "my-agent", "--name", f"n{number}")
    shown = user.text("snapshot", "destroy", "my-agent", "--all-snapshots", "--keep", "2", "--dry-run")
    assert "n0" in shown
    assert "n1" not in shown
    assert len(listed(user)) == 4
    user.mngr("snapshot", "destroy", "my-agent", "--all-snapshots", "--older-than", "1d", "--force")
    assert len(listed(user)) == 4
    user.mngr("snapshot", "destroy", "my-agent", "--all-snapshots", "--keep", "2", "--force")
    assert [one["name"] for one in listed(user)] == ["n1", "n2"]


def test_clones(user: User) -> None:
    make(user, "src", "-b", "env=SECRET_WORD=sesame", "-b", "cpu=0.5")
    user.mngr("exec", "src", "echo work >work.txt; sync")
    made = json.loads(user.text("clone", "src", "twin", "--count", "2", "--format", "json"))["agents"]
    assert [agent["name"] for agent in made] == ["twin-1", "twin-2"]
    agents = user.listed()
    hosts = [agents[name]["host"] for name in ("src", "twin-1", "twin-2")]
    assert len({host["id"] for host in hosts}) == 3  # type: ignore[index]
    assert {host["options"]["cpu"] for host in hosts} == {0.5}  # type: ignore[index]
    keys = [(user.home / "hosts" / host["id"] / "known_hosts").read_text().split()[2] for host in hosts]  # type: ignore[index]
    assert len(set(keys)) == 3
    shown = user.text("exec", "twin-2", "cat work.txt; git branch --show-current; echo $MNGR_AGENT_NAME $SECRET_WORD")
    assert shown == "work\nmngr/twin-2\ntwin-2 sesame\n"
    assert user.text("exec", "twin-2", "tmux list-sessions -F '#{session_name}'") == "mngr-twin-2\n"
    # They live on when their source is gone, its secret too.
    user.mngr("destroy", "src", "--force")
    user.mngr("stop", "twin-1")
    user.mngr("start", "twin-1")
    assert user.text("exec", "twin-1", "cat work.txt; echo $SECRET_WORD") == "work\nsesame\n"
    taken = user.mngr("clone", "twin-1", "twin-2", check=2)
    assert b"an agent named 'twin-2' exists already" in taken.stderr


def test_by_the_clock(user: User) -> None:
    make(user, "per", "--snapshot-every", "1s", "--keep-snapshots", "2")
    for number in range(4):
        user.mngr("exec", "per", f"echo {number} >count; sync; sleep 1.1")
        done = json.loads(user.text("keeper", "run", "--once", "--format", "json"))
        assert "took snapshot" in done["what"], done
    user.mngr("exec", "per", "sleep 1.1")
    assert user.text("keeper", "run", "--once") == ""
    found = listed(user)
    assert [one["kind"] for one in found] == ["periodic", "periodic"]
    user.mngr("stop", "per")
    user.mngr("start", "per", "--snapshot", found[0]["id"])
    assert user.text("exec", "per", "cat count") == "2\n"
    assert "ExecStart=" in user.text("keeper", "unit")


def test_snapshots_that_expire(user: User) -> None:
    ttl = ("--setting", "providers.modal.snapshot_ttl=1s")
    make(user, "exp")
    user.mngr("snapshot", "create", "exp", *ttl)
    assert listed(user)[0]["expires_at"] is not None
    user.mngr("exec", "exp", "sleep 1.1")
    acted = json.loads(user.text("gc", "--format", "json"))["actions"]
    assert [action["what"] for action in acted] == ["exp: removed 1 expired snapshots"]
    assert listed(user) == []
