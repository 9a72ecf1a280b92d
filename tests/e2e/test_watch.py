"""Agents are watched: on a terminal and by a program."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.conftest import BIN, Terminal, User, clean_env

_SESSIONS = "ps -eo args | grep -c '[f]ollow-agents.sh 1' || true"


@contextmanager
def _watching(user: User, *args: str) -> Iterator[subprocess.Popen[str]]:
    """A program that watches, and ends it as Ctrl-C does."""
    command = [str(BIN / "mngr"), "list", "--watch", "1", *args]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=user.project, env=clean_env(user.env)) as one:
        yield one
        one.send_signal(signal.SIGINT)
        assert one.wait(60) == 0


def _until(process: subprocess.Popen[str], **states: str) -> dict[str, Any]:
    """Reads documents until one says so; the last one."""
    assert process.stdout is not None
    for line in process.stdout:
        document: dict[str, Any] = json.loads(line)
        if {agent["name"]: agent["state"] for agent in document["agents"]} == states:
            return document
    raise AssertionError(f"it ended before {states}")


def test_a_program_is_told_what_changes(user: User) -> None:
    user.mngr("create", "ann", "--", "cat")
    user.mngr("create", "bob", "--", "while [ ! -e /tmp/over ]; do date; sleep 0.1; done")
    with _watching(user) as process:
        first = _until(process, ann="RUNNING", bob="RUNNING")
        assert not first["errors"]
        assert first["agents"][0]["host"]["ssh"]["port"]
        assert user.text("exec", "bob", _SESSIONS).strip() != "0"

        # That bob shows something all the time is no change, so what comes next is that it has ended.
        user.mngr("exec", "bob", "touch /tmp/over")
        assert process.stdout is not None
        changed = json.loads(process.stdout.readline())
        assert {agent["name"]: agent["exit_code"] for agent in changed["agents"]} == {"ann": None, "bob": 0}

        user.mngr("stop", "ann")
        _until(process, ann="STOPPED", bob="DONE")
        user.mngr("destroy", "bob", "--force")
        _until(process, ann="STOPPED")
        user.mngr("start", "ann")
        again = _until(process, ann="RUNNING")
        assert again["agents"][0]["host"]["sandbox_id"] != first["agents"][0]["host"]["sandbox_id"]

    # Nothing of it stays on the host, and what stays open does not look like somebody who works there.
    user.mngr("exec", "ann", f'while [ "$({_SESSIONS})" != 0 ]; do sleep 0.1; done')


def test_a_host_that_is_only_watched_is_idle(user: User) -> None:
    user.mngr("create", "ann", "--idle-mode", "ssh", "--idle-timeout", "4", "--", "cat")
    with _watching(user) as process:
        # The agent is ended first, and then its host.
        host = _until(process, ann="STOPPED")["agents"][0]["host"]
        while host["state"] == "RUNNING":
            assert process.stdout is not None
            host = json.loads(process.stdout.readline())["agents"][0]["host"]
    assert host["state"] == "PAUSED"
    assert host["reason"].startswith("idle")


def test_lines_are_of_those_that_changed(user: User) -> None:
    user.mngr("create", "ann", "--", "cat")
    user.mngr("create", "bob", "--", "cat")
    with _watching(user, "--format", "{name} {state}") as process:
        assert process.stdout is not None
        assert [process.stdout.readline() for _ in range(2)] == ["ann RUNNING\n", "bob RUNNING\n"]
        user.mngr("stop", "bob", "--keep-host")
        assert process.stdout.readline() == "bob STOPPED\n"


def test_a_person_sees_one_table(user: User, terminal: Terminal) -> None:
    user.mngr("create", "ann", "--", "cat")
    user.mngr("create", "bob", "--", "cat")
    terminal.type("mngr list --watch 1; echo code $?", "Enter")
    terminal.until("bob   RUNNING")
    user.mngr("stop", "ann", "--keep-host")
    terminal.until("ann   STOPPED")
    terminal.type("C-c")
    terminal.until("code 0")
    shown = terminal.screen().splitlines()
    names = [line.split()[0] for line in shown if line]
    assert names[1:4] == ["NAME", "ann", "bob"]
    assert sum(line.startswith("NAME") for line in shown) == 1


def test_what_is_no_number_of_seconds_is_refused(user: User) -> None:
    for wrong in ("0", "often"):
        said = user.mngr("list", "--watch", wrong, check=2).stderr.decode()
        assert said.startswith("mngr: Invalid value for '--watch'")
        assert wrong in said
