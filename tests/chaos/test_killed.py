"""mngr is killed at each of its steps; whatever it was at, `mngr gc` puts everything right and no work is lost."""

from __future__ import annotations

import os
import subprocess

import pytest

from tests.chaos.walk import NOTE, Walk, settled
from tests.conftest import BIN, User, clean_env

# Every step with `make chaos`; some of them, others each time the code changes, in every run of the tests.
EVERY = int(os.environ.get("MNGR_CHAOS_EVERY", "6"))
pytestmark = pytest.mark.timeout(1800)


@pytest.fixture
def walk(user: User) -> Walk:
    return Walk(user, EVERY)


def made(user: User, name: str) -> None:
    user.mngr("create", name, "--type", "command", "--", "sleep 1000")
    user.mngr("exec", name, NOTE)


def the_note(user: User, name: str) -> None:
    user.mngr("start", name)
    assert user.text("exec", name, "cat note") == "precious\n"


def test_create(user: User, walk: Walk) -> None:
    for step in walk.steps():
        walk.cut(step, "create", "half", "--type", "command", "--", "sleep 1000")
        agents = settled(user)
        assert set(agents) <= {"half"}
        # A second try is not in the way of what the first has left.
        if agents.get("half", {}).get("state") != "RUNNING":
            user.mngr("create", "half", "--type", "command", "--", "sleep 1000")
        user.mngr("destroy", "half", "--force")
        assert user.running_sandboxes() == 0


def test_stop(user: User, walk: Walk) -> None:
    made(user, "it")
    for step in walk.steps():
        walk.cut(step, "stop", "it")
        settled(user)
        the_note(user, "it")


def test_start(user: User, walk: Walk) -> None:
    made(user, "it")
    for step in walk.steps():
        user.mngr("stop", "it")
        walk.cut(step, "start", "it")
        settled(user)
        the_note(user, "it")


def test_snapshot(user: User, walk: Walk) -> None:
    made(user, "it")
    for step in walk.steps():
        walk.cut(step, "snapshot", "create", "it", "--name", f"at-{step}")
        assert settled(user)["it"]["state"] == "RUNNING"
        the_note(user, "it")


def test_destroy(user: User, walk: Walk) -> None:
    for step in walk.steps():
        made(user, "it")
        walk.cut(step, "destroy", "it", "--force")
        for name in settled(user):
            # It was cut off before anything was done: then nothing is lost either.
            the_note(user, name)
            user.mngr("destroy", name, "--force")
        # Beside the settings there is what can be known of an account without any host.
        left = {path.name for path in user.home.rglob("*") if path.is_file() and path.parent.name != "accounts"}
        assert left <= {"settings.toml", "id"}, left


PAIRS = [
    (("start", "it"), ("start", "it")),
    (("stop", "it"), ("start", "it")),
    (("destroy", "it", "--force"), ("start", "it")),
    (("snapshot", "create", "it"), ("stop", "it")),
]


@pytest.mark.parametrize("stopped_first", [False, True], ids=["running", "stopped"])
@pytest.mark.parametrize("pair", PAIRS, ids=["start start", "stop start", "destroy start", "snapshot stop"])
def test_two_at_once(user: User, pair: tuple[tuple[str, ...], tuple[str, ...]], stopped_first: bool) -> None:
    made(user, "it")
    if stopped_first:
        user.mngr("stop", "it")
    command = [str(BIN / "mngr")]
    both = [
        subprocess.Popen(
            [*command, *args], cwd=user.project, env=clean_env(user.env), stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for args in pair
    ]
    for process in both:
        _stdout, stderr = process.communicate(timeout=120)
        # Whoever comes second may find that there is nothing left to do it to.
        assert process.returncode in (0, 1, 3), stderr
        assert b"Traceback" not in stderr, stderr
    agents = settled(user)
    if "it" in agents:
        the_note(user, "it")
    else:
        assert "destroy" in pair[0]
