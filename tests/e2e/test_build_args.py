"""Each build argument, by its effect inside the running sandbox."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import time
from collections.abc import Callable

import pytest

from tests.conftest import LocalModalServer, User


def wait_until(true: Callable[[], bool], *, within_s: float = 60) -> None:
    deadline = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline


def test_limits(user: User) -> None:
    words = ["cpu=0.5", "cpu-limit=0.5", "memory=0.5", "memory-limit=512MB", "env=GREETING=hello there"]
    args = [part for word in words for part in ("-b", word)]
    user.mngr("create", "lim", *args, "--", "sleep 1000")
    assert user.text("exec", "lim", "echo $GREETING") == "hello there\n"
    eat = "perl -e '$x = \"x\" x (900 * 1024 * 1024); print length $x'"
    assert user.mngr("exec", "lim", eat, check=None).returncode == 137
    user.mngr("create", "eater", *args, "--", eat)
    wait_until(lambda: user.listed()["eater"]["state"] == "DONE")
    assert user.listed()["eater"]["out_of_memory"] is True
    assert "exit code 137, out of memory" in user.text("list")
    assert user.listed()["lim"]["out_of_memory"] is False
    fits = "perl -e '$x = \"x\" x (100 * 1024 * 1024); print length $x'"
    assert user.text("exec", "lim", fits) == "104857600"
    # A loop of half a core's share needs about twice its own time.
    timed = "perl -MTime::HiRes=time -e '$t=time; $n++ while (times)[0] < 1; print time-$t > 1.6 ? 1 : 0'"
    assert user.text("exec", "lim", timed) == "1"
    assert "hello there" not in json.dumps(user.listed())


def test_volumes(user: User) -> None:
    name = f"data-{user.home.parent.name}"[:60].rstrip("-")
    user.mngr("create", "one", "-b", f"volume={name}:/data", "-b", f"volume={name}-b:/more", "--", "sleep 1000")
    # The same volume in two sandboxes at a time.
    user.mngr("create", "two", "-b", f"volume={name}:/elsewhere", "--", "sleep 1000")
    user.mngr("exec", "one", "echo kept >/data/file; echo other >/more/file")
    user.mngr("exec", "two", "echo back >/elsewhere/answer")
    # What a sandbox wrote is committed at its end at the latest; volumes outlive the agents.
    user.mngr("destroy", "one", "two", "--force")
    user.mngr("create", "three", "-b", f"volume={name}-b:/b", "-b", f"volume={name}:/a", "--", "sleep 1000")
    assert user.text("exec", "three", "cat /a/file /a/answer /b/file") == "kept\nback\nother\n"


@pytest.mark.parametrize(("gpu", "asked"), [("h100", "H100:1"), ("H100:2", "H100:2"), ("any", "ANY:1")])
def test_a_gpu_that_is_not_there(user: User, gpu: str, asked: str) -> None:
    """What localmodal says is what it was asked for on the wire; then what to try."""
    refused = user.mngr("create", "gpu", "-b", f"gpu={gpu}", "--", "x", check=1).stderr.decode().splitlines()
    assert refused[0] == (
        f"mngr: Modal: GPU {asked} was asked for; localmodal runs on this machine, and it offers no GPU."
    )
    assert (
        refused[1]
        == f"mngr: what to try: look at gpu={gpu if gpu == 'any' else gpu.upper()}; see: mngr help build-args"
    )
    assert user.running_sandboxes() == 0


def test_where_it_runs_is_told(user: User, localmodal_server: LocalModalServer) -> None:
    user.mngr("create", "reg", "-b", "region=us-east", "-b", "cloud=aws", "--", "sleep 1000")
    host = user.listed()["reg"]["host"]
    options, sandbox_id = host["options"], host["sandbox_id"]  # type: ignore[index]
    assert (options["region"], options["cloud"]) == ("us-east", "aws")
    # What came over the wire is what the server has written down of the sandbox.
    with contextlib.closing(sqlite3.connect(localmodal_server.home / "state.sqlite")) as database:
        (record,) = database.execute("SELECT record FROM sandboxes WHERE id = ?", (sandbox_id,)).fetchone()
    spec = json.loads(record)["spec"]
    assert (spec["regions"], spec["cloud"]) == (["us-east"], "aws")


def test_every_form_on_the_command_line(user: User) -> None:
    """All that is wrong is told at once and nothing is made; the forms may be mixed."""
    refused = user.mngr(
        *("create", "x", "-b", "gpu=", "-b", "--cpu=none", "-b", "--memory none", "--build-arg", "timeout=none"),
        *(
            "--build-args",
            "--region 'two words' volume=x \"env=B AD=1\"",
            "-b",
            "cidr-allowlist=x",
            "-b",
            "secret=NO_SUCH",
        ),
        *("-b", "file=/nonexistent/D", "-b", "ofline", "--", "sh"),
        check=2,
    )
    said = refused.stderr.decode().splitlines()
    for what in ("gpu=", "cpu=none", "memory=none", "timeout=none", "region=two words", "volume=x", "env=B AD=1"):
        assert [line for line in said if line.startswith(f"mngr: build argument {what}: ")], said
    assert "mngr: unknown build argument 'ofline'; did you mean 'offline'?" in said
    assert len(said) == 11, said
    assert user.listed() == {}


def test_what_is_given_twice_is_noted(user: User) -> None:
    twice = ["create", "x", "-v", "-b", "gpu=t4", "-b", "gpu=h100", "--", "sh"]
    assert b"build argument gpu was given twice; h100 counts" in user.mngr(*twice, check=1).stderr


def test_help_has_every_argument_with_its_default(user: User) -> None:
    arguments = json.loads(user.text("help", "build-args", "--format", "json"))["build_args"]
    table, of_create = user.text("help", "build-args"), user.text("create", "--help")
    for name, about in arguments.items():
        line = next(line for line in table.splitlines() if line.split()[0] == name)
        assert about["help"].split(",")[0] in line
        assert about["default"] in line
        assert f"\n  {name} " in of_create
    assert "[debian:bookworm-slim]" in of_create
    assert {"gpu", "cpu", "memory", "image", "timeout", "region", "context-dir", "secret", "cidr-allowlist"} <= set(
        arguments
    )


def test_settings_from_everywhere(user: User) -> None:
    (user.project / ".mngr").mkdir()
    (user.project / ".mngr" / "settings.toml").write_text("[providers.modal]\ndefault_cpu = 2\ndefault_memory = 2\n")
    (user.project / ".mngr" / "settings.local.toml").write_text("[providers.modal]\ndefault_memory = 3\n")
    assert user.text("config", "get", "providers.modal.default_cpu") == "2.0\n"
    assert user.text("config", "get", "providers.modal.default_memory") == "3.0\n"
    over = {"MNGR__PROVIDERS__MODAL__DEFAULT_CPU": "5"}
    assert user.text("config", "get", "providers.modal.default_cpu", **over) == "5.0\n"
    setting = ("--setting", "providers.modal.default_cpu=6")
    assert user.text("config", "get", "providers.modal.default_cpu", *setting, **over) == "6.0\n"
    path = user.home / "settings.toml"
    path.write_text(f"# mine\n{path.read_text()}")
    user.mngr("config", "set", "providers.gpu-box.backend", "modal")
    user.mngr("config", "set", "providers.gpu-box.default_gpu", "h100:2")
    assert path.read_text().startswith("# mine\n")
    refused = user.mngr("create", "x", "--in", "gpu-box", "--", "x", check=1)
    assert b"GPU H100:2 was asked for" in refused.stderr
    user.mngr("config", "unset", "providers.gpu-box.default_gpu")
    wrong = user.mngr("config", "set", "providers.modal.default_cpv", "1", check=2)
    assert b"did you mean 'default_cpu'?" in wrong.stderr
    assert user.text("config", "path").strip() == str(path)
