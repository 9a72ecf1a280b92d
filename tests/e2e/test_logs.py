"""Logs and events of agents, whether their host runs or not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.conftest import BIN, User, clean_env, until

COUNTER = (
    'stty -echo; echo "first of all"; n=0; while sleep 0.05; do n=$((n+1)); printf "\\033[32mline\\033[0m $n\\n"; done'
)


@dataclass
class Followed:
    """What a following command has printed so far."""

    process: subprocess.Popen[bytes]
    data: bytearray = field(default_factory=bytearray)

    def lines(self) -> list[str]:
        return self.data.decode(errors="replace").splitlines()

    def has(self, text: str) -> bool:
        return any(text in line for line in self.lines())


@contextmanager
def following(user: User, *words: str) -> Iterator[Followed]:
    """Runs a command that follows something, until the block ends."""
    with subprocess.Popen(
        [str(BIN / "mngr"), *words], cwd=user.project, env=clean_env(user.env), stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        followed = Followed(process)
        descriptor = process.stdout.fileno()

        def take() -> None:
            while piece := os.read(descriptor, 65_536):
                followed.data += piece

        reader = threading.Thread(target=take)
        reader.start()
        try:
            yield followed
        finally:
            process.send_signal(signal.SIGINT)
            process.wait()
            reader.join()


def kill_container(user: User, name: str) -> None:
    """Ends a sandbox as a machine does whose power fails."""
    sandbox_id = user.listed()[name]["host"]["sandbox_id"]  # type: ignore[index]
    command = ["podman", "kill", "--signal", "KILL", f"localmodal-{sandbox_id}"]
    subprocess.run(command, check=True, capture_output=True)


def counted(lines: list[str]) -> list[int]:
    return [int(line.split()[1]) for line in lines if line.startswith("line ")]


def runs(lines: list[str]) -> list[list[int]]:
    """What the counter counted in each of its runs."""
    found: list[list[int]] = []
    for line in lines:
        if line == "first of all":
            found.append([])
        elif line.startswith("line "):
            found[-1].append(int(line.split()[1]))
    return found


def test_logs_of_an_agent_that_runs_and_of_one_that_does_not(user: User, tmp_path: Path) -> None:
    user.mngr("create", "ann", "--", COUNTER)
    until(lambda: len(counted(user.text("logs", "ann").splitlines())) > 50)
    live = user.text("logs", "ann").splitlines()
    # From the first byte on, and without a colour in a pipe.
    assert live[0] == "first of all"
    assert counted(live) == [*range(1, len(live))]
    assert b"\x1b[32mline\x1b[0m 1\r\n" in user.mngr("logs", "ann", "--raw").stdout
    assert len(user.text("logs", "ann", "--tail", "3").splitlines()) == 3
    value = json.loads(user.text("logs", "ann", "--tail", "1", "--format", "json"))
    assert (value["source"], value["live"], value["log"].split()[0]) == ("output", True, "line")
    assert "Accepted publickey" in user.text("logs", "ann", "--source", "sshd")

    user.mngr("stop", "ann")
    done = user.mngr("logs", "ann")
    assert b"mngr: ann is STOPPED; this is all that it wrote until its end" in done.stderr
    stopped = done.stdout.decode().splitlines()
    numbers = counted(stopped)
    assert (stopped[0], numbers) == ("first of all", [*range(1, len(numbers) + 1)])
    assert len(numbers) >= len(counted(live))
    assert user.text("logs", "ann", "--tail", "7").splitlines() == stopped[-7:]
    assert user.text("logs", "ann", "--since", "1h").splitlines() == stopped
    assert "ending: stopped by user" in user.text("logs", "ann", "--source", "supervisor")
    lines = user.text("logs", "ann", "--tail", "2", "--format", "jsonl").splitlines()
    assert [json.loads(line) for line in lines] == [{"source": "output", "line": line} for line in stopped[-2:]]
    everything = user.text("logs", "ann", "--source", "all")
    assert [line for line in everything.splitlines() if line.startswith("==> ")][:3] == [
        *("==> output <==", "==> events <==", "==> supervisor <=="),
    ]
    # The same by the host's id, less the output.
    host = user.listed()["ann"]["host"]["id"]  # type: ignore[index]
    assert "==> sshd <==" in user.text("logs", host)
    assert b"has no output of its own" in user.mngr("logs", host, "--source", "output", check=2).stderr

    # Files of the data directory, which is the volume; the work folder needs the host.
    listed = json.loads(user.text("file", "ls", "ann", "/mngr", "--format", "json"))["files"]
    assert {"agents", "events.jsonl", "logs", "status.json"} <= {one["name"] for one in listed}
    assert json.loads(user.text("file", "cat", "ann", "/mngr/status.json"))["ended"] is True
    user.mngr("file", "get", "ann", "/mngr/logs", str(tmp_path))
    assert "Accepted publickey" in (tmp_path / "logs" / "sshd.log").read_text()
    refused = user.mngr("file", "cat", "ann", "README.md", check=1).stderr.decode()
    assert "mngr start ann" in refused

    user.mngr("start", "ann")
    assert user.text("file", "cat", "ann", "README.md") == "hello\n"
    user.mngr("file", "get", "ann", ".", str(tmp_path / "work"))
    assert (tmp_path / "work" / "README.md").read_text() == "hello\n"
    names = [one["name"] for one in json.loads(user.text("file", "ls", "ann", "--format", "json"))["files"]]
    assert names == [".git", "README.md"]
    assert b"has no /nope" in user.mngr("file", "cat", "ann", "/nope", check=3).stderr


def test_follow_goes_on_across_stop_and_start(user: User) -> None:
    user.mngr("create", "fol", "--", COUNTER)
    with (
        following(user, "logs", "fol", "--follow") as followed,
        following(user, "events", "fol", "--follow") as happened,
    ):
        until(lambda: followed.has("line 20"))
        user.mngr("stop", "fol")
        user.mngr("start", "fol")
        until(lambda: len(runs(followed.lines())) == 2 and len(runs(followed.lines())[1]) > 20)
        user.mngr("message", "fol", "a word to the counter")
        # A line is there at once.
        user.mngr("exec", "fol", "echo hello from outside >$(tmux display-message -p -t =mngr-fol: '#{pane_tty}')")
        until(lambda: followed.has("hello from outside"))
        until(lambda: [json.loads(line)["type"] for line in happened.lines()][-1:] == ["message"])
    again = followed.lines()
    for run in runs(again):
        assert run == [*range(1, len(run) + 1)]
    whole = user.text("logs", "fol").splitlines()
    assert whole[: len(again) - 1] == again[:-1]
    kinds = [json.loads(line)["type"] for line in happened.lines()]
    assert kinds == ["created", "started", "exited", "stopped", "booted", "started", "message"]


def test_all_logs_are_followed_at_once_across_stop_and_start(user: User) -> None:
    user.mngr("create", "fal", "--", COUNTER)
    everything = ("logs", "fal", "--follow", "--source", "all")
    with following(user, *everything, "--format", "jsonl") as followed, following(user, *everything) as shown:
        until(lambda: followed.has("line 20"))
        user.mngr("stop", "fal")
        user.mngr("start", "fal")
        user.mngr("message", "fal", "a word to the counter")
        until(lambda: followed.has('"message') and followed.has("booted") and shown.has("events| {"))
        until(lambda: len([one for one in followed.lines() if "first of all" in one]) == 2)
        until(lambda: len([one for one in shown.lines() if one == "output| first of all"]) == 2)
        user.mngr("exec", "fal", "echo hello from outside >$(tmux display-message -p -t =mngr-fal: '#{pane_tty}')")
        until(lambda: followed.has("hello from outside") and shown.has("hello from outside"))
    lines: dict[str, list[str]] = {}
    for one in map(json.loads, followed.lines()):
        lines.setdefault(one["source"], []).append(one["line"])
    assert {"output", "events", "supervisor", "sshd", "provision"} <= lines.keys()
    named: dict[str, list[str]] = {}
    for line in shown.lines():
        source, _bar, text = line.partition("| ")
        named.setdefault(source, []).append(text)
    for source in lines:
        whole = user.text("logs", "fal", "--source", source).splitlines()
        for found in (lines[source], named[source]):
            assert found[:-1] == whole[: len(found) - 1]
    assert len([line for line in lines["supervisor"] if line.endswith(" started")]) == 2
    for run in runs(lines["output"]):
        assert run == [*range(1, len(run) + 1)]
    # Of a host all of its logs are what is followed when none is named.
    host = user.listed()["fal"]["host"]["id"]  # type: ignore[index]
    with following(user, "logs", host, "--follow") as of_host:
        until(lambda: of_host.has("supervisor| ") and of_host.has("events| "))
        assert not of_host.has("output| ")
    refused = user.mngr("logs", "fal", "--follow", "--source", "all", "--format", "json", check=2)
    assert b"goes with --format human or jsonl" in refused.stderr


CLOCK = "stty -echo; while sleep 0.2; do date +%s; done"


def test_since_is_exact_to_two_seconds(user: User) -> None:
    user.mngr("create", "ever", "--", CLOCK)

    def first_of(*words: str) -> tuple[int, float, float]:
        """The time in the first line that was shown, and when the command began and ended."""
        begun = time.time()
        lines = user.text("logs", "ever", *words).splitlines()
        return int(lines[0]), begun, time.time()

    until(lambda: user.text("logs", "ever"))
    until(lambda: time.time() - first_of()[0] > 30)
    for _round in range(3):
        shown, begun, ended = first_of("--since", "12s")
        # Nothing of these seconds is left out; what is older is less than two seconds and a turn of the clock older.
        assert begun - 12 - 4 <= shown <= ended - 12 + 1
    assert user.text("logs", "ever", "--source", "events", "--since", "12s") == ""
    user.mngr("stop", "ever")
    last = int(user.text("logs", "ever", "--tail", "2").split()[0])
    began_s = int(time.time() - last) + 12
    shown, begun, ended = first_of("--since", f"{began_s}s")
    assert begun - began_s - 4 <= shown <= ended - began_s + 1
    assert "ended" in user.text("logs", "ever", "--source", "supervisor", "--since", f"{began_s}s")
    assert "Z started" not in user.text("logs", "ever", "--source", "supervisor", "--since", f"{began_s}s")


def test_after_a_sudden_end_all_that_was_committed_is_there(user: User) -> None:
    user.mngr("create", "cut", "--setting", "providers.modal.volume_sync_interval=1s", "--", COUNTER)
    user.mngr("snapshot", "create", "cut", "--name", "first")
    with following(user, "logs", "cut", "--follow") as followed:
        until(lambda: followed.has("line 60"))
        kill_container(user, "cut")
        until(lambda: user.listed()["cut"]["host"]["state"] == "CRASHED")  # type: ignore[index]
        done = user.mngr("logs", "cut")
        kept = counted(done.stdout.decode().splitlines())
        assert kept == [*range(1, len(kept) + 1)]
        # At least what a sync of more than a second before the end had in it.
        assert len(kept) >= 20
        assert b"before it ended" in done.stderr
        happened = [json.loads(line) for line in user.text("events", "cut").splitlines()]
        assert [one["type"] for one in happened] == ["created", "started", "snapshot", "ended"]
        assert "sandbox" in happened[-1]["reason"]
        user.mngr("start", "cut", "--snapshot", "first")
        until(lambda: len(runs(followed.lines())) == 2 and len(runs(followed.lines())[1]) > 30)
    for run in runs(followed.lines()):
        assert run == [*range(1, len(run) + 1)]
    kinds = [json.loads(line)["type"] for line in user.text("events", "cut").splitlines()]
    assert kinds == ["created", "started", "snapshot", "ended", "booted", "started"]


def test_a_flood_is_bounded_and_slows_nobody(user: User) -> None:
    """On a volume of version 1, too: of that the last commit is the one that Modal makes at the end."""
    options = ("--setting", "providers.modal.log_max_mb=2", "--setting", "providers.modal.host_volume_version=1")
    user.mngr("create", "yes", *options, "--", "yes 0123456789012345678901234567890123456789")
    assert user.listed()["yes"]["host"]["volume"]["version"] == 1  # type: ignore[index]
    for _round in range(3):
        assert user.text("exec", "yes", "sleep 2; echo responsive") == "responsive\n"
    user.mngr("stop", "yes")
    agent = user.listed()["yes"]["id"]
    listed = json.loads(user.text("file", "ls", "yes", f"/mngr/agents/{agent}", "--format", "json"))["files"]
    sizes = {one["name"]: one["size"] for one in listed if one["name"].startswith("output.log")}
    beside = ("output.log.boots", "output.log.times")
    assert sum(size for name, size in sizes.items() if name not in beside) <= 2 << 20
    # Four older parts; three where the host ended just when room had been made for another.
    assert len([name for name in sizes if name[len("output.log.") :].isdigit()]) in (3, 4)
    value = json.loads(user.text("logs", "yes", "--tail", "1000", "--format", "json"))
    # The oldest went: what is there is not the first.
    assert value["place"] > 2_000_000
    assert len(value["log"].splitlines()) == 1000


COUNTING = """
import os, socket, sys
received = 0
end = os._exit

def counted(call):
    def counting(*args):
        global received
        result = call(*args)
        received += len(result) if isinstance(result, bytes) else result
        return result
    return counting

socket.socket.recv, socket.socket.recv_into = counted(socket.socket.recv), counted(socket.socket.recv_into)
os._exit = lambda code: (print("received", received, file=sys.stderr, flush=True), end(code))
from mngr.cli.app import main
main()
"""


def test_the_end_of_a_large_log_is_read_and_no_more(user: User) -> None:
    """All bytes that the command gets from anywhere are counted."""
    user.mngr("create", "big", "--setting", "providers.modal.volume_sync_interval=1h", "--", "sleep 1000")
    user.mngr("exec", "big", "seq 23456789 >$MNGR_AGENT_STATE_DIR/output.log")
    user.mngr("stop", "big")
    done = subprocess.run(
        [str(BIN / "python"), "-c", COUNTING, "logs", "big", "--tail", "100"],
        cwd=user.project,
        env=clean_env(user.env),
        capture_output=True,
        text=True,
    )
    # The shell that was ended says so.
    expected = [*map(str, range(23_456_691, 23_456_790)), "Terminated"]
    assert done.stdout.splitlines() == expected
    assert 0 < int(done.stderr.split()[-1]) < 1_000_000
