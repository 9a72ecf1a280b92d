"""The volume that a host's data directory is on, and hosts without one."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.conftest import BIN, LocalModalServer, User, clean_env
from tests.e2e.test_logs import following, kill_container, until

AGENT = "echo I am $MNGR_AGENT_NAME; sleep 1000"


def volumes(user: User) -> dict[str, dict[str, str]]:
    return {one["host_id"]: one for one in json.loads(user.text("volume", "list", "--format", "json"))["volumes"]}


@pytest.mark.parametrize("created", [True, False], ids=["volume", "plain"])
def test_the_whole_life_of_a_host(user: User, created: bool, tmp_path: Path) -> None:
    settings = user.home / "settings.toml"
    settings.write_text(f"{settings.read_text()}is_host_volume_created = {json.dumps(created)}\n")
    user.mngr("create", "life", "--", AGENT)
    host = user.listed()["life"]["host"]
    assert isinstance(host, dict)
    assert list(volumes(user)) == ([host["id"]] if created else [])
    assert (host["volume"] is not None) == created
    # A mount of its own, or a folder of the disk; and the periodic sync only where there is something to sync.
    assert user.text("exec", "life", "mountpoint -q /mngr && echo yes || echo no") == ("yes\n" if created else "no\n")
    processes = user.text("exec", "life", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
    assert ("sync.sh loop" in processes) == created
    modes = "stat -c '%a %n' /mngr /mngr/logs /mngr/agents/*/env /mngr/agents/*/output.log | cut -d' ' -f1 | xargs"
    assert user.text("exec", "life", modes) == "700 700 600 600\n"
    assert user.text("exec", "life", "find /mngr ! -type f ! -type d") == ""
    assert "I am life" in user.text("logs", "life")
    user.mngr("exec", "life", "echo 'export TOKEN=kept' >>$MNGR_AGENT_STATE_DIR/env")

    user.mngr("clone", "life", "twin")
    assert "I am twin" in user.text("logs", "twin")
    assert "I am life" not in user.text("logs", "twin")
    assert user.text("exec", "twin", "echo $TOKEN $MNGR_AGENT_NAME") == "kept twin\n"
    assert user.text("exec", "twin", "ls /mngr/agents").split() == [user.listed()["twin"]["id"]]
    kinds = [json.loads(line)["type"] for line in user.text("events", "twin").splitlines()]
    assert kinds == ["created", "started"]
    assert len(volumes(user)) == (2 if created else 0)

    user.mngr("snapshot", "create", "life", "--name", "by-hand")
    user.mngr("exec", "life", "echo export TOKEN=later >>$MNGR_AGENT_STATE_DIR/env")

    user.mngr("stop", "life")
    if created:
        assert "I am life" in user.text("logs", "life")
        assert "by-hand" in user.text("events", "life")
        user.mngr("pull", "life", "/mngr/logs", str(tmp_path / "logs"))
        assert "stopped by user" in (tmp_path / "logs" / "supervisor.log").read_text()
    else:
        refused = user.mngr("logs", "life", check=3).stderr.decode()
        assert "has no volume (is_host_volume_created = false when it was made)" in refused
        assert b"mngr start life" in user.mngr("events", "life", check=3).stderr
        for words in (["file", "ls"], ["file", "cat"], ["file", "get"], ["pull"]):
            assert b"has no volume" in user.mngr(*words, "life", "/mngr/status.json", check=3).stderr
    # The setting is for new hosts.
    settings.write_text(settings.read_text().replace(json.dumps(created), json.dumps(not created)))
    user.mngr("start", "life")
    assert user.text("logs", "life").count("I am life") == 2
    assert user.text("exec", "life", "echo $TOKEN") == "later\n"
    kinds = [json.loads(line)["type"] for line in user.text("events", "life").splitlines()]
    assert [*dict.fromkeys(kinds)] == ["created", "started", "snapshot", "exited", "stopped", "booted"]
    # Idle it ends by itself, and comes back.
    user.mngr("limit", "life", "--idle-mode", "create", "--idle-timeout", "5s")
    until(lambda: user.listed()["life"]["host"]["state"] == "PAUSED")  # type: ignore[index]
    assert user.listed()["life"]["host"]["reason"] == "idle for 5s"  # type: ignore[index]
    if created:
        assert [json.loads(line)["type"] for line in user.text("events", "life").splitlines()][-2:] == [
            *("idle", "stopped"),
        ]
    user.mngr("limit", "life", "--idle-mode", "disabled")
    user.mngr("start", "life")
    assert user.text("logs", "life").count("I am life") == 3
    kinds = [json.loads(line)["type"] for line in user.text("events", "life").splitlines()]
    assert "idle" in kinds
    # An older snapshot brings back the disk; what is on a volume goes on.
    user.mngr("stop", "life")
    user.mngr("start", "life", "--snapshot", "by-hand")
    assert user.text("exec", "life", "echo $TOKEN") == ("later\n" if created else "kept\n")
    # Also one that comes from a host of the other kind has what it needs.
    user.mngr("clone", "life", "other")
    token = user.text("exec", "life", "echo $TOKEN").strip()
    assert user.text("exec", "other", "echo $TOKEN $MNGR_AGENT_NAME") == f"{token} other\n"
    assert len(volumes(user)) == (2 if created else 1)
    user.mngr("destroy", "life", "twin", "other", "--force")
    assert volumes(user) == {}


def test_a_volume_is_kept_on_request_and_removed_when_nobody_needs_it(
    user: User, localmodal_server: LocalModalServer
) -> None:
    user.mngr("create", "kept", "--", AGENT)
    host = user.listed()["kept"]["host"]["id"]  # type: ignore[index]
    in_use = user.mngr("volume", "destroy", host, "--force", check=2)
    assert b"is in use" in in_use.stderr
    user.mngr("destroy", "kept", "--force", "--keep-volume")
    assert user.listed() == {}
    assert json.loads(user.text("gc", "--format", "json"))["actions"] == []
    assert "I am kept" in user.text("logs", "kept")
    assert volumes(user)[host]["host_state"] == "DESTROYED"
    user.mngr("volume", "destroy", "kept", "--force")
    assert volumes(user) == {}
    assert b"there is no agent" in user.mngr("logs", "kept", check=3).stderr

    # One that no record accounts for, and one of somebody else's.
    app = (user.home / "settings.toml").read_text().split('"')[1]
    names = [f"{app}-{host}", f"other-{host}"]
    code = "import modal, sys\nfor name in sys.argv[1:]: modal.Volume.objects.create(name)\n"
    subprocess.run([str(BIN / "python"), "-c", code, *names], check=True, env=clean_env(localmodal_server.env))
    found = json.loads(user.text("gc", "--format", "json"))["actions"]
    assert [(one["kind"], one["id"]) for one in found] == [("volume", names[0])]
    assert volumes(user) == {}
    code = "import modal, sys\nmodal.Volume.objects.delete(sys.argv[1])\n"
    subprocess.run([str(BIN / "python"), "-c", code, names[1]], check=True, env=clean_env(localmodal_server.env))


def test_commands_wait_out_the_limit_for_volume_calls(
    user: User, localmodal_server: LocalModalServer, tmp_path: Path
) -> None:
    """Modal limits how often volumes are asked; here every third call is refused."""
    set_ = localmodal_server.run("faults", "set", "--error", "Volume*=RESOURCE_EXHAUSTED:1/3")
    assert set_.returncode == 0, set_.stderr
    try:
        user.mngr("create", "calm", "--", AGENT)
        user.mngr("snapshot", "create", "calm")
        user.mngr("clone", "calm", "calmer")
        with following(user, "logs", "calm", "--follow", "--source", "all") as followed:
            until(lambda: followed.has("output| I am calm"))
            user.mngr("stop", "calm")
            until(lambda: followed.has("ending: stopped by user"))
            assert "I am calm" in user.text("logs", "calm")
            assert "==> supervisor <==" in user.text("logs", "calm", "--source", "all")
            assert "stopped" in user.text("events", "calm")
            assert json.loads(user.text("file", "cat", "calm", "/mngr/status.json"))["ended"] is True
            assert len(user.text("file", "ls", "calm", "/mngr").splitlines()) > 4
            user.mngr("file", "get", "calm", "/mngr/logs", str(tmp_path / "got"))
            user.mngr("pull", "calm", "/mngr/logs", str(tmp_path / "pulled"))
            assert (tmp_path / "got" / "sshd.log").read_bytes() == (tmp_path / "pulled" / "sshd.log").read_bytes()
            assert len(volumes(user)) == 2
            user.mngr("start", "calm")
            until(lambda: len([line for line in followed.lines() if line == "output| I am calm"]) == 2)
        # Nobody's own calls were asked again: each line is there once.
        assert len([line for line in followed.lines() if line.endswith("ending: stopped by user")]) == 1
        assert json.loads(user.text("gc", "--format", "json"))["actions"] == []
        assert set(user.listed()) == {"calm", "calmer"}
        kill_container(user, "calmer")
        until(lambda: user.listed()["calmer"]["host"]["state"] == "CRASHED")  # type: ignore[index]
        assert "I am calmer" in user.text("logs", "calmer")
        user.mngr("volume", "destroy", "calmer", "--force")
        assert len(volumes(user)) == 1
        user.mngr("destroy", "calm", "calmer", "--force")
        assert volumes(user) == {}
    finally:
        localmodal_server.run("faults", "clear")
