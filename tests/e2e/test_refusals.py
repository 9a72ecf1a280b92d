"""What mngr says no to, and what is there afterwards: nothing."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import pytest

from tests.conftest import BIN, User, clean_env


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (["create", "bad name", "--", "x"], 2, "'bad name' is not a name for an agent"),
        (["create", "a_b", "--", "x"], 2, "letters, digits and hyphens"),
        (["create", "x"], 2, "needs a command"),
        (["create", "x", "--type", "nope", "--", "x"], 2, "there is no agent type 'nope'"),
        (["create", "x", "--in", "mars", "--", "x"], 2, "there is no provider named 'mars'"),
        (["create", "x", "-b", "cpus=2", "--", "x"], 2, "did you mean 'cpu'?"),
        (["create", "x", "-b", "cpu=lots", "--", "x"], 2, "must be a number of cores"),
        (["create", "x", "-b", "timeout=0", "--", "x"], 2, "must be from 1 to 86400 seconds"),
        (["create", "x", "--source", "/nonexistent", "--", "x"], 2, "there is no such folder"),
        (["exec", "nobody", "true"], 3, "there is no agent named 'nobody'"),
        (["stop", "nobody"], 3, "there is no agent named 'nobody'"),
        (["destroy", "nobody"], 2, "add --force"),
        (["destroy", "nobody", "--force"], 3, "there is no agent named 'nobody'"),
        (["lst"], 2, "did you mean 'list'?"),
        (["list", "--nope"], 2, "--nope"),
    ],
)
def test_bad_input_is_one_line_and_makes_nothing(user: User, args: list[str], code: int, says: str) -> None:
    done = user.mngr(*args, check=code)
    text = done.stderr.decode()
    assert says in text
    assert text.count("\n") == 1
    assert text.startswith("mngr: ")
    assert "Traceback" not in text
    assert done.stdout == b""
    assert user.listed() == {}


def test_a_name_is_taken_once(user: User) -> None:
    user.mngr("create", "one", "--", "sleep 1000")
    again = user.mngr("create", "one", "--", "sleep 1000", check=2)
    assert again.stderr == (b"mngr: an agent named 'one' exists already; choose another name, or: mngr destroy one\n")
    assert len(user.listed()) == 1
    near = user.mngr("exec", "ome", "true", check=3)
    assert b"did you mean 'one'?" in near.stderr


def test_errors_are_json_when_asked(user: User) -> None:
    done = user.mngr("exec", "--format", "json", "nobody", "true", check=3)
    assert json.loads(done.stderr)["error"]["exit_code"] == 3


def test_a_broken_setting_names_the_file(user: User) -> None:
    path = user.home / "settings.toml"
    good = path.read_text()
    path.write_text(f"{good}defualt_cpu = 2\n")
    done = user.mngr("list", check=2)
    assert f"{path}, line 4: unknown setting 'providers.modal.defualt_cpu'; did you mean 'default_cpu'?" in (
        done.stderr.decode()
    )
    path.write_text(good)


def test_a_create_that_fails_leaves_no_sandbox(user: User) -> None:
    failed = user.mngr("create", "broken", "-b", "image=nosuch.invalid/image:1", "--", "x", check=1)
    assert b"the image could not be built" in failed.stderr
    agent = user.listed()["broken"]
    assert agent["host"]["state"] == "FAILED"  # type: ignore[index]
    assert "nosuch.invalid" in agent["host"]["reason"]  # type: ignore[index,operator]
    # The name is free for another try.
    user.mngr("create", "broken", "--", "sleep 1000")


@pytest.mark.parametrize("step", ["starting the sandbox", "sending the project", "starting the agent"])
def test_an_interrupted_create_leaves_no_sandbox(user: User, step: str) -> None:
    # The image is there beforehand, so that the steps come as they do on a usual day.
    user.mngr("create", "warm", "-q", "--", "sleep 1000")
    process = subprocess.Popen(
        [str(BIN / "mngr"), "create", "cut", "-v", "--", "sleep 1000"],
        cwd=user.project,
        env=clean_env(user.env | {"PYTHONUNBUFFERED": "1"}),
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if step in line:
            process.send_signal(signal.SIGINT)
            break
    rest = process.stderr.read()
    assert process.wait(timeout=60) == 130, rest
    assert "Traceback" not in rest
    assert user.listed()["cut"]["host"]["state"] == "FAILED"  # type: ignore[index]
    assert user.running_sandboxes() == 1


def test_which_server_without_a_token(tmp_path: Path) -> None:
    """Neither a token nor localmodal: the message has both ways out."""
    env = clean_env({"MNGR_HOME": str(tmp_path / "mngr"), "LOCALMODAL_HOME": str(tmp_path / "lm"), "PATH": "/nowhere"})
    done = subprocess.run([str(BIN / "mngr"), "list"], env=env, capture_output=True, text=True)
    assert done.returncode == 4
    assert "podman is not installed" in done.stderr
    assert "modal token new" in done.stderr


def test_of_two_creates_of_one_name_one_wins(user: User) -> None:
    user.mngr("create", "warm", "-q", "--", "sleep 1000")
    command = [str(BIN / "mngr"), "create", "same", "-q", "--", "sleep 1000"]
    both = [
        subprocess.Popen(command, cwd=user.project, env=clean_env(user.env), stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    errors = [process.communicate(timeout=120)[1] for process in both]
    assert sorted(process.returncode for process in both) == [0, 2], errors
    assert "an agent named 'same' exists already" in "".join(errors)
    # The one that lost has left nothing, and did not end the one that won.
    states = json.loads(user.text("list", "--format", "json"))["agents"]
    assert [agent["state"] for agent in states if agent["name"] == "same"] == ["RUNNING"]
