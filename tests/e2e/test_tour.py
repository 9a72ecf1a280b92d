"""The life of an agent, as a user types it."""

from __future__ import annotations

import json
import stat
import subprocess
from pathlib import Path

from tests.conftest import BIN, LocalModalServer, Terminal, User, clean_env

TICKER = 'echo "I am $MNGR_AGENT_NAME"; while sleep 0.2; do echo tick >>ticks; done'


def test_the_tour(user: User) -> None:
    (user.project / "uncommitted file.txt").write_text("not committed\n")
    made = json.loads(user.text("create", "ann", "--in", "modal", "--format", "json", "--", TICKER))["agent"]
    assert made["name"] == "ann"
    assert made["state"] == "RUNNING"

    assert user.listed()["ann"]["host"]["state"] == "RUNNING"  # type: ignore[index]
    assert "first commit" in user.text("exec", "ann", "git log --oneline | head -3")
    assert user.text("exec", "ann", "git", "branch", "--show-current") == "mngr/ann\n"
    assert user.text("exec", "ann", "cat 'uncommitted file.txt'") == "not committed\n"
    assert "I am ann" in user.text("capture", "ann")

    user.mngr("exec", "ann", "echo done by the agent >work.txt")
    user.mngr("stop", "ann")
    stopped = user.listed()["ann"]
    assert (stopped["state"], stopped["host"]["state"]) == ("STOPPED", "STOPPED")  # type: ignore[index]
    refused = user.mngr("exec", "ann", "true", check=1)
    assert refused.stderr == b"mngr: agent 'ann' is STOPPED; start it with: mngr start ann\n"

    user.mngr("start", "ann")
    assert user.text("exec", "ann", "cat work.txt") == "done by the agent\n"
    assert user.listed()["ann"]["state"] == "RUNNING"
    # The agent itself runs again, not only its machine.
    assert user.text("exec", "ann", "rm ticks; until test -s ticks; do sleep 0.05; done; echo ticking") == "ticking\n"

    user.mngr("destroy", "ann", "--force")
    assert user.listed() == {}


def test_nothing_is_left_of_a_destroyed_agent(user: User, localmodal_server: LocalModalServer) -> None:
    user.mngr("create", "gone", "--", "sleep 1000")
    host = user.listed()["gone"]["host"]
    user.mngr("stop", "gone")
    user.mngr("start", "gone")
    user.mngr("destroy", "gone", "--force")
    # Of the account, not of the host.
    kept = ("settings.toml", "id", "accounts")
    left = [path for path in user.home.rglob("*") if path.is_file() and not {path.name, path.parent.name} & set(kept)]
    assert left == []
    assert user.running_sandboxes() == 0
    code = (
        "import modal, sys\n"
        "left = modal.Volume.from_name(sys.argv[1]).listdir('/', recursive=True)\n"
        "assert not [entry.path for entry in left if entry.type.name == 'FILE'], left\n"
        "volumes = [one.name for one in modal.Volume.objects.list() if one.name.startswith(sys.argv[1])]\n"
        "assert volumes == [sys.argv[1]], volumes\n"
    )
    app = (user.home / "settings.toml").read_text().split('"')[1]
    subprocess.run([str(BIN / "python"), "-c", code, app], check=True, env=clean_env(localmodal_server.env))
    assert host["snapshots"] == []  # type: ignore[index]


def test_agents_get_their_environment(user: User) -> None:
    user.mngr("create", "env", "--", "env >seen; sleep 1000")
    user.mngr("exec", "env", "until test -s seen; do sleep 0.05; done")
    agent = user.listed()["env"]
    for source in ("cat seen", "env"):
        seen = dict(line.split("=", 1) for line in user.text("exec", "env", source).splitlines() if "=" in line)
        assert seen["MNGR_AGENT_ID"] == agent["id"]
        assert seen["MNGR_AGENT_NAME"] == "env"
        assert seen["MNGR_AGENT_WORK_DIR"] == agent["work_dir"]
        assert seen["MNGR_AGENT_STATE_DIR"] == f"/mngr/agents/{agent['id']}"
        assert seen["MNGR_HOST_DIR"] == "/mngr"
        assert not [name for name in seen if "SSH_HOST_KEY" in name or "AUTHORIZED" in name]
    assert user.text("exec", "env", "tmux list-sessions -F '#{session_name}'") == "mngr-env\n"


def test_exec_is_transparent(user: User) -> None:
    user.mngr("create", "ex", "--", "sleep 1000")
    data = bytes(range(256)) * 4096
    assert user.mngr("exec", "ex", "cat", stdin=data).stdout == data
    both = user.mngr("exec", "ex", "echo out; echo err >&2; exit 7", check=7)
    assert (both.stdout, both.stderr) == (b"out\n", b"err\n")
    assert user.mngr("exec", "ex", "exit 255", check=255).stderr == b""
    assert user.text("exec", "ex", "printf", "%s|", "two words", "$HOME", "'") == "two words|$HOME|'|"
    assert user.mngr("exec", "ex", "kill -9 $$", check=None).returncode == 137


def test_a_command_that_ends_is_done(user: User) -> None:
    user.mngr("create", "short", "--", "echo last words; exit 3")
    user.mngr("exec", "short", "until test -s /mngr/agents/*/exit_code; do sleep 0.05; done")
    agent = user.listed()["short"]
    assert (agent["state"], agent["exit_code"]) == ("DONE", 3)
    assert "last words" in user.text("capture", "short")


def test_connect_attaches_and_detaches(user: User, terminal: Terminal) -> None:
    user.mngr("create", "tty", "--", "echo hello-from-inside; exec sleep 1000")
    refused = user.mngr("connect", "tty", check=2)
    assert refused.stderr.startswith(b"mngr: connect needs a terminal")
    terminal.type("mngr connect tty; echo ended with $?", "Enter")
    terminal.until("hello-from-inside")
    terminal.type("C-b")
    terminal.type("d")
    terminal.until("ended with 0")
    assert user.listed()["tty"]["state"] == "RUNNING"


def test_state_is_private(user: User) -> None:
    user.mngr("create", "priv", "--", "sleep 1000")
    for path in [user.home, *user.home.rglob("*")]:
        mode = stat.S_IMODE(path.stat().st_mode)
        if path.name != "settings.toml":
            assert mode == (0o700 if path.is_dir() else 0o600), (path, oct(mode))


def test_a_folder_that_is_no_repository_travels_too(user: User, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    (plain / "deep").mkdir(parents=True)
    (plain / "deep" / "file").write_text("here\n")
    user.mngr("create", "plain", "--source", str(plain), "--", "sleep 1000")
    assert user.text("exec", "plain", "cat deep/file") == "here\n"


def test_formats(user: User) -> None:
    user.mngr("create", "fmt", "-q", "--", "sleep 1000")
    assert user.text("list", "--format", "{name} {state} {host.state}") == "fmt RUNNING RUNNING\n"
    assert user.text("--format", "{name}", "list") == "fmt\n"
    line = json.loads(user.text("list", "--format", "jsonl"))
    whole = json.loads(user.text("list", "--format", "json"))
    # The second look may fall into another second.
    assert {line.pop("idle_s"), whole["agents"][0].pop("idle_s")} <= {float(second) for second in range(600)}
    assert whole == {"agents": [line], "errors": []}
    assert set(line) >= {"id", "name", "type", "state", "created_at", "work_dir", "labels", "host"}
    assert set(line["host"]) >= {"id", "name", "provider", "state", "ssh"}
    assert set(line["host"]["ssh"]) == {"host", "port", "user", "command"}
    # The command shown is one that works as it is.
    shown = subprocess.run(f"{line['host']['ssh']['command']} echo over", shell=True, capture_output=True, text=True)  # noqa: S602
    assert shown.stdout == "over\n"
    wrong = user.mngr("list", "--format", "{nope}", check=2)
    assert b"there is no field 'nope'" in wrong.stderr


def test_work_outlives_the_lifetime_of_a_sandbox(user: User) -> None:
    user.mngr("create", "brief", "-b", "timeout=8", "--", "sleep 1000")
    user.mngr("exec", "brief", "echo kept >kept; sync")
    # Waits for the end as exec does: with the connection.
    user.mngr("exec", "brief", "sleep 100", check=None)
    ended = user.listed()["brief"]
    assert ended["state"] == "STOPPED"
    assert ended["host"]["reason"] == "lifetime of 8s reached"  # type: ignore[index]
    user.mngr("start", "brief")
    assert user.text("exec", "brief", "cat kept") == "kept\n"


def test_a_half_made_agent_can_be_destroyed(user: User) -> None:
    """A creation that was killed, with no chance to undo anything."""
    user.mngr("create", "warm", "-q", "--", "sleep 1000")
    process = subprocess.Popen(
        [str(BIN / "mngr"), "create", "half", "-v", "--", "sleep 1000"],
        cwd=user.project,
        env=clean_env(user.env),
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if "sending the project" in line:
            process.kill()
    process.wait()
    assert user.listed()["half"]["host"]["state"] == "BUILDING"  # type: ignore[index]
    user.mngr("destroy", "half", "--force")
    assert list(user.listed()) == ["warm"]
    assert user.running_sandboxes() == 1
