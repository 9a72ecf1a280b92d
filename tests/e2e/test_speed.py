"""What the commands that are typed all day do, and what they leave undone."""

from __future__ import annotations

import json
import subprocess
from typing import Any

from tests.conftest import BIN, LocalModalServer, User, clean_env, imported

_SDK = {"modal", "aiohttp", "modal_proto", "grpclib", "asyncio", "concurrent.futures", "logging", "rich", "tomlkit"}
_CHANGES = {"mngr.operations.lifecycle", "mngr.operations.snapshots", "mngr.operations.keeper"}


def _account(user: User, *args: str) -> dict[str, Any]:
    """What a command says of itself with --profile, in JSON."""
    said = user.mngr(*args, "--profile", "--format", "json").stderr.decode().strip().splitlines()
    value: dict[str, Any] = json.loads(said[-1])["profile"]
    return value


def test_known_hosts_are_reached_and_listed_without_detours(user: User, localmodal_server: LocalModalServer) -> None:
    user.mngr("create", "ann", "--", "sleep 1000")
    user.mngr("list")

    ran = user.mngr("exec", "ann", "true", PYTHONPROFILEIMPORTTIME="1")
    assert not imported(ran.stderr.decode()) & (_SDK | _CHANGES)
    assert not [name for name in imported(ran.stderr.decode()) if name.startswith("mngr.providers.modal")]

    listed = user.mngr("list", PYTHONPROFILEIMPORTTIME="1")
    assert not imported(listed.stderr.decode()) & ({"modal", "aiohttp", "rich", "tomlkit"} | _CHANGES)

    account = _account(user, "list")
    assert sorted(call["name"] for call in account["calls"]) == ["SandboxListV2", "VolumeListFiles2"]
    assert account["sequential_calls"] == 1 or account["calls"][0]["ms"] < 50
    assert account["total_ms"] >= account["first_line_ms"] > account["imports_ms"] > 0
    assert len(account["ssh"]) == 1

    # Another machine: nothing is remembered, and what is listed is the same.
    def shown() -> list[tuple[object, ...]]:
        return [(one["id"], one["state"], one["host"]) for one in user.listed().values()]

    before = shown()
    for folder in ("records-modal", "accounts", "endpoints"):
        for path in (user.home / "cache" / folder).iterdir():
            path.unlink()
    assert shown() == before
    assert shown() == before

    # What needs the SDK does not need its HTTP client.
    kept = user.mngr("snapshot", "create", "ann", PYTHONPROFILEIMPORTTIME="1")
    assert {"modal"} == imported(kept.stderr.decode()) & {"modal", "aiohttp", "rich", "tomlkit"}

    # What is asked before is asked at the same time, which leaves four calls in sequence; without a network they may
    # happen to follow each other all the same.
    account = _account(user, "snapshot", "create", "ann")
    asked = ["SandboxGetCommandRouterAccess", "SandboxGetTaskIdV2", "SandboxWaitV2", "VolumeListFiles2"]
    names = [call["name"] for call in account["calls"]]
    assert sorted(names[:4]) == asked
    assert names[4:7] == ["TaskSnapshotFilesystem", "VolumePutFiles2", "VolumePutFiles2"]

    account = _account(user, "stop", "ann")
    assert "SandboxGetExitSnapshotV2" in [call["name"] for call in account["calls"]]
    assert user.listed()["ann"]["state"] == "STOPPED"

    # Of each host only the newest record stays.
    code = "import modal, sys\nprint(len(modal.Volume.from_name(sys.argv[1]).listdir('/hosts', recursive=True)))"
    app = (user.home / "settings.toml").read_text().split('"')[1]
    counted = subprocess.run(
        [str(BIN / "python"), "-c", code, app], env=clean_env(localmodal_server.env), capture_output=True
    )
    assert int(counted.stdout) == 2, counted  # the folder and the file

    # Nor does what only ends things need the SDK.
    user.mngr("start", "ann")
    for words in (["label", "ann", "a=b"], ["stop", "ann"], ["destroy", "ann", "--force"]):
        done = user.mngr(*words, PYTHONPROFILEIMPORTTIME="1")
        assert not imported(done.stderr.decode()) & {"modal", "aiohttp", "rich", "tomlkit"}, words
