"""Hosts end in every way there is, say why, and come back with every byte that was synced before."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import BIN, LocalModalServer, Terminal, User, clean_env

NOTE = "echo precious >note; sync"


@pytest.fixture
def own_home(tmp_path: Path) -> Iterator[Path]:
    """The home of a server that only the user of this test has; requested before the user, it is removed after."""
    home = tmp_path / "localmodal"
    yield home
    env = clean_env({"LOCALMODAL_HOME": str(home)})
    purged = subprocess.run([str(BIN / "localmodal"), "purge", "--force"], env=env, capture_output=True, text=True)
    assert purged.returncode == 0, purged.stderr


@pytest.fixture
def lone_user(own_home: Path, user: User) -> User:
    user.env["LOCALMODAL_HOME"] = str(own_home)
    return user


def host(user: User, name: str) -> dict[str, Any]:
    return user.listed()[name]["host"]  # type: ignore[return-value]


def ended(user: User, name: str) -> dict[str, Any]:
    """The host, once it has ended by itself."""
    deadline = time.monotonic() + 60
    while (found := host(user, name))["state"] in ("RUNNING", "STARTING"):
        assert time.monotonic() < deadline, found
    return found


def comes_back(user: User, name: str) -> None:
    user.mngr("start", name)
    assert user.text("exec", name, "cat note") == "precious\n"


def sandbox_processes(home: Path, sandbox_id: str) -> list[int]:
    """The process ids of everything in a sandbox's container, the init last."""
    env = clean_env({"CONTAINERS_CONF": str(home / "containers.conf")})
    top = ["podman", "top", f"localmodal-{sandbox_id}", "pid", "hpid"]
    shown = subprocess.run(top, env=env, capture_output=True, text=True, check=True).stdout
    # The host's ids begin anew at some time, those in the container do not in so short a life. Of what has ended
    # meanwhile one is not known.
    both = [line.split() for line in shown.splitlines()[1:]]
    known = sorted(((int(words[0]), int(words[1])) for words in both if len(words) == 2), reverse=True)
    return [outside for _inside, outside in known]


def test_idle(user: User, terminal: Terminal) -> None:
    """Also without network; looking at it does not keep it awake. Whoever attaches brings it back."""
    options = ("--idle-mode", "ssh", "--idle-timeout", "3s", "--type", "command")
    user.mngr("create", "idle", "-b", "offline", *options, "--", "while sleep 1; do echo noise; done")
    user.mngr("exec", "idle", NOTE)
    found = ended(user, "idle")
    assert (found["state"], found["reason"]) == ("PAUSED", "idle for 3s")
    assert user.text("wait", "idle", "--for", "stopped", "--timeout", "60") == "idle is STOPPED\n"
    assert b"will not be WAITING" in user.mngr("wait", "idle", "--timeout", "60", check=1).stderr
    terminal.type("clear; mngr connect idle", "Enter")
    terminal.until("mngr: idle is PAUSED; starting it")
    terminal.until("noise")
    assert user.text("exec", "idle", "cat note") == "precious\n"


def test_an_attached_person_is_not_cut_off(user: User, terminal: Terminal) -> None:
    options = ("--idle-mode", "boot", "--idle-timeout", "4s", "--type", "command")
    user.mngr("create", "seen", *options, "--", "echo attached; exec sleep 1000")
    terminal.type("mngr connect seen; echo ended with $?", "Enter")
    terminal.until("attached")
    # Three times the idle time, told by the host's own clock.
    user.mngr("exec", "seen", 'end=$(($(date +%s) + 12)); while [ "$(date +%s)" -lt "$end" ]; do sleep 0.5; done')
    assert host(user, "seen")["state"] == "RUNNING"
    terminal.type("C-b")
    terminal.type("d")
    terminal.until("ended with 0")
    assert ended(user, "seen")["state"] == "PAUSED"


def test_all_agents_gone(user: User) -> None:
    user.mngr(
        *("create", "gone", "--setting", "providers.modal.agents_gone_grace=2s", "--type", "command"),
        *("--", NOTE),
    )
    found = ended(user, "gone")
    assert (found["state"], found["reason"]) == ("STOPPED", "all of its agents have ended")
    comes_back(user, "gone")


def test_a_command_that_is_interrupted_in_its_terminal_is_done(user: User) -> None:
    user.mngr("create", "cut", "--type", "command", "--", "echo begun; sleep 1000")
    user.mngr("exec", "cut", "until grep -q begun $MNGR_AGENT_STATE_DIR/output.log; do sleep 0.1; done")
    user.mngr("exec", "cut", "tmux send-keys -t =mngr-cut: C-c")
    user.mngr("wait", "cut", "--for", "done", "--timeout", "60")
    agent = user.listed()["cut"]
    assert (agent["state"], agent["exit_code"]) == ("DONE", 130)


def test_destroy_with_kept_snapshot(user: User) -> None:
    user.mngr("create", "old", "--env", "OLD=1", "--label", "a=1", "--type", "command", "--", "sleep 1000")
    user.mngr("exec", "old", NOTE)
    user.mngr("destroy", "old", "--keep-snapshots", "--force")
    assert user.listed() == {}
    kept = json.loads(user.text("snapshot", "list", "old", "--format", "json"))["snapshots"]
    assert [one["kind"] for one in kept] == ["exit"]
    # The same agent, given more; and another one, with nothing but the files.
    user.mngr("create", "new", "--snapshot", kept[0]["id"], "--env", "NEW=2", "--label", "b=2")
    shown = user.text("exec", "new", "cat note; git branch --show-current; echo $OLD$NEW $MNGR_AGENT_NAME")
    assert shown == "precious\nmngr/new\n12 new\n"
    assert (user.listed()["new"]["labels"], user.listed()["new"]["command"]) == ({"a": "1", "b": "2"}, "sleep 1000")
    user.mngr("create", "other", "shell", "--snapshot", kept[0]["id"], "--env", "NEW=2")
    user.mngr("wait", "other", "--timeout", "60")
    assert user.text("exec", "other", "cat note; echo $OLD$NEW $PWD") == "precious\n2 /work/old\n"
    assert (user.listed()["other"]["labels"], user.listed()["other"]["type"]) == ({}, "shell")
    user.mngr("snapshot", "destroy", "old", "--all-snapshots", "--force")
    assert user.text("snapshot", "list", "--format", "{id}") == ""


def test_the_agent_runs_out_of_memory(user: User) -> None:
    """The kernel ends the agent; its host goes on, and the work is there."""
    eat = f"{NOTE}; exec perl -e '$x .= \"x\" x (1 << 20) while 1'"
    user.mngr(*("create", "eater", "-b", "memory=0.3", "-b", "memory-limit=0.3", "--type", "command", "--", eat))
    user.mngr("exec", "eater", "until test -s /mngr/agents/*/exit_code; do sleep 0.1; done")
    agent = user.listed()["eater"]
    assert (agent["state"], agent["exit_code"]) == ("DONE", 137)
    assert user.text("exec", "eater", "cat note") == "precious\n"
    user.mngr("stop", "eater")
    comes_back(user, "eater")


@pytest.mark.parametrize("what", ["the container", "its main program for want of memory", "everything"])
def test_killed_from_outside(user: User, localmodal_server: LocalModalServer, what: str) -> None:
    user.mngr("create", "shot", "-b", "memory=0.5", "-b", "memory-limit=0.5", "--type", "command", "--", "sleep 1000")
    user.mngr("exec", "shot", NOTE)
    processes = sandbox_processes(localmodal_server.home, host(user, "shot")["sandbox_id"])
    if what == "the container":
        os.kill(processes[-1], 9)
    elif what == "everything":
        for pid in processes:
            # Some are there for a moment only.
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, 9)
    else:
        # The kernel then takes the supervisor first, whatever else there is.
        supervisor = user.text(
            "exec", "shot", "for p in /proc/[0-9]*; do grep -q supervisor $p/cmdline && echo ${p#/proc/}; done; true"
        )
        first = min(supervisor.split(), key=int)
        eat = f"echo 1000 >/proc/{first}/oom_score_adj; perl -e '$x .= \"x\" x (1 << 20) while 1'"
        user.mngr("exec", "shot", eat, check=None)
    found = ended(user, "shot")
    assert found["state"] == "CRASHED", found
    if what.endswith("memory"):
        assert found["reason"] == "out of memory"
    comes_back(user, "shot")
    assert json.loads(user.text("gc", "--format", "json"))["actions"] == []


def test_the_server_is_killed_and_started_again(own_home: Path, lone_user: User) -> None:
    """A server of its own, which is killed while one sandbox runs and another ends."""
    lone_user.mngr("create", "on", "--type", "command", "--", "sleep 1000")
    lone_user.mngr("create", "off", "--type", "command", "--", "sleep 1000")
    for name in ("on", "off"):
        lone_user.mngr("exec", name, NOTE)
    state = json.loads((own_home / "server.json").read_text())
    os.kill(state["pid"], 9)
    lone_user.mngr("exec", "off", "echo stop >/run/mngr/control; sleep 1000", check=None)
    assert lone_user.text("exec", "on", "cat note") == "precious\n"
    assert host(lone_user, "on")["state"] == "RUNNING"
    assert host(lone_user, "off")["state"] == "STOPPED"
    comes_back(lone_user, "off")
    lone_user.mngr("stop", "on")
    comes_back(lone_user, "on")
    lone_user.mngr("destroy", "on", "off", "--force")


def test_the_lifetime_is_no_limit(user: User) -> None:
    """A host that is to outlive its sandboxes goes on when any mngr sees that its time was over."""
    user.mngr(
        *("create", "long", "-b", "timeout=10", "--run-past-timeout", "--type", "command", "--"),
        "echo started >>starts; sleep 1000",
    )
    first = host(user, "long")["sandbox_id"]
    user.mngr("exec", "long", "echo precious >note; sync; sleep 1000", check=None)
    comes_back(user, "long")
    assert user.text("exec", "long", "cat starts") == "started\nstarted\n"
    assert host(user, "long")["sandbox_id"] != first


def test_agents_that_share_a_host(user: User) -> None:
    user.mngr("create", "ann", "--type", "command", "--", "sleep 1000")
    user.mngr("create", "bob", "--host", "ann", "--type", "command", "--", "sleep 1001")
    agents = user.listed()
    assert agents["ann"]["host"]["id"] == agents["bob"]["host"]["id"]  # type: ignore[index]
    assert user.text("exec", "bob", "pwd; git branch --show-current") == "/work/bob\nmngr/bob\n"
    refused = user.mngr("create", "cat", "--host", "ann", "-b", "cpu=2", "--type", "command", "--", "x", check=2)
    assert b"the host is there already" in refused.stderr
    # Only the one that is named ends while the other runs; the host ends with the last.
    user.mngr("stop", "ann")
    agents = user.listed()
    assert (agents["ann"]["state"], agents["bob"]["state"]) == ("STOPPED", "RUNNING")
    assert len(user.text("snapshot", "create", "ann", "bob", "--format", "{id}").split()) == 1
    user.mngr("stop", "bob")
    assert {agent["host"]["state"] for agent in user.listed().values()} == {"STOPPED"}  # type: ignore[index]
    # Those come back that ran.
    user.mngr("start", "bob")
    agents = user.listed()
    assert (agents["ann"]["state"], agents["bob"]["state"]) == ("STOPPED", "RUNNING")
    user.mngr("start", "ann")
    user.mngr("destroy", "ann", "--force")
    assert list(user.listed()) == ["bob"]
    assert user.mngr("exec", "bob", "test -e /work/ann", check=None).returncode == 1
    user.mngr("destroy", "bob", "--force")
    assert user.running_sandboxes() == 0


def test_what_other_machines_did_meanwhile_counts(user: User, tmp_path: Path) -> None:
    """Hosts are found by what this machine remembers of them, and that may be old."""
    other = user.elsewhere(tmp_path / "another")
    user.mngr("create", "ann", "--label", "by=user", "--", "sleep 1000")
    user.mngr("stop", "ann")

    other.mngr("label", "ann", "also=other")
    user.mngr("label", "ann", "at=last")
    assert other.listed()["ann"]["labels"] == {"by": "user", "also": "other", "at": "last"}

    other.mngr("rename", "ann", "bob")
    assert "there is no agent named 'ann'" in user.mngr("start", "ann", check=3).stderr.decode()
    other.mngr("rename", "bob", "cat")
    user.mngr("start", "cat")
    assert other.listed()["cat"]["host"]["state"] == "RUNNING"

    # Another of the same name is on another host by now.
    other.mngr("stop", "cat")
    before = user.listed()["cat"]["host"]["id"]
    other.mngr("destroy", "cat", "--force")
    other.mngr("create", "cat", "--", "sleep 1000")
    after = other.listed()["cat"]["host"]["id"]
    assert before != after
    user.mngr("stop", "cat")
    assert (other.listed()["cat"]["host"]["id"], other.listed()["cat"]["state"]) == (after, "STOPPED")
    other.mngr("destroy", "cat", "--force")
    assert user.mngr("destroy", "cat", "--force", check=3).stderr.startswith(b"mngr: ")
    assert not list((user.home / "locks").iterdir())


def test_several_at_once_and_from_standard_input(user: User) -> None:
    for name in ("a1", "a2"):
        user.mngr("create", name, "--type", "command", "--", "sleep 1000")
    some = user.mngr("stop", "a1", "a2", "--format", "json")
    assert [agent["state"] for agent in json.loads(some.stdout)["agents"]] == ["STOPPED", "STOPPED"]
    names = user.text("list", "--format", "{name}").encode()
    user.mngr("start", "-", stdin=names)
    assert {agent["state"] for agent in user.listed().values()} == {"RUNNING"}
    assert user.mngr("stop", "a1", "nobody", check=3).stderr.startswith(b"mngr: there is no agent named 'nobody'")
    assert {agent["state"] for agent in user.listed().values()} == {"RUNNING"}
    shown = user.text("destroy", "a1", "a2", "--dry-run")
    assert "a1: host a1 (RUNNING), 1 snapshot removed" in shown
    user.mngr("destroy", "-", "--force", stdin=names)
    assert user.listed() == {}


def test_restart_and_hosts_without_agents(user: User) -> None:
    user.mngr("create", "re", "--type", "command", "--", "echo started >>starts; sleep 1000")
    user.mngr("exec", "re", "until test -s starts; do sleep 0.1; done")
    user.mngr("start", "re")
    user.mngr("start", "re", "--restart")
    assert (
        user.text("exec", "re", 'until test "$(wc -l <starts)" = 2; do sleep 0.1; done; cat starts')
        == "started\nstarted\n"
    )
    user.mngr("stop", "re", "--keep-host")
    agent = user.listed()["re"]
    assert (agent["state"], agent["host"]["state"]) == ("STOPPED", "RUNNING")  # type: ignore[index]
    user.mngr("start", "re")
    user.mngr("stop", "re")
    user.mngr("start", "re", "--no-start-agents")
    assert user.listed()["re"]["state"] == "STOPPED"
    user.mngr("start", "re")
    user.mngr("exec", "re", "echo lost >unsaved; sync")
    warned = user.mngr("stop", "re", "--no-snapshot")
    assert b"what was changed since the last snapshot is lost" in warned.stderr
    user.mngr("start", "re")
    assert user.text("exec", "re", "ls") == "README.md\nstarts\n"


def test_two_starts_at_once_are_one(user: User) -> None:
    """A host that begins starts its agents while `mngr start` asks for the same."""
    user.mngr("create", "twice", "--type", "command", "--", "sleep 1000")
    agent = user.listed()["twice"]["id"]
    user.mngr("stop", "twice", "--keep-host")
    start = f"sh /usr/local/lib/mngr/start-agent.sh {agent}"
    user.mngr(
        "exec",
        "twice",
        f'for i in 1 2 3 4 5 6; do {start} & all="$all $!"; done; for i in $all; do wait $i || exit; done',
    )
    kinds = [json.loads(line)["type"] for line in user.text("events", "twice").splitlines()]
    assert kinds.count("started") == 2
    assert user.listed()["twice"]["state"] == "RUNNING"


def test_without_exit_snapshots(own_home: Path, lone_user: User) -> None:
    """An account that refuses them: said at create, no end for idleness, a snapshot before each end that mngr makes."""
    env = clean_env(lone_user.env)
    for args in (["up"], ["faults", "set", "--no-exit-snapshots"]):
        subprocess.run([str(BIN / "localmodal"), *args], env=env, check=True, capture_output=True)
    options = ("--idle-mode", "boot", "--idle-timeout", "2s", "--type", "command")
    made = lone_user.mngr("create", "plain", *options, "--", "sleep 1000")
    assert b"this account gives no exit snapshots" in made.stderr
    lone_user.mngr("exec", "plain", f"{NOTE}; sleep 5")
    assert host(lone_user, "plain")["state"] == "RUNNING"
    lone_user.mngr("stop", "plain")
    comes_back(lone_user, "plain")
    kinds = [one["kind"] for one in json.loads(lone_user.text("snapshot", "list", "--format", "json"))["snapshots"]]
    assert kinds == ["initial", "exit"]
    lone_user.mngr("exec", "plain", "echo lost >note; sync")
    os.kill(sandbox_processes(own_home, host(lone_user, "plain")["sandbox_id"])[-1], 9)
    # What it was last kept as is all there is, and mngr says so.
    assert ended(lone_user, "plain")["state"] == "CRASHED"
    started = lone_user.mngr("start", "plain")
    assert b"left no snapshot when it ended" in started.stderr
    assert lone_user.text("exec", "plain", "cat note") == "precious\n"
    lone_user.mngr("destroy", "plain", "--force")
