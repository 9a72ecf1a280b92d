"""The programs of the types of agents, real ones."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.conftest import BIN, User, clean_env

KEYS = {"ANTHROPIC_API_KEY": "sk-ant-api03-none-0123456789", "OPENAI_API_KEY": "sk-none", "GEMINI_API_KEY": "none"}


@pytest.mark.timeout(900)
def test_the_real_programs(user: User) -> None:
    """Each is installed and started. Without an account and a network it takes a message and can not send it on."""
    for kind in ("claude", "codex", "opencode", "gemini"):
        user.mngr("create", kind, kind, "-q", "--message", "hello\nfrom the tests", timeout_s=600, **KEYS)
        assert re.search(r"\d+\.\d+\.\d+", user.text("exec", kind, kind, "--version"))
        assert "from the tests" in user.text("capture", kind, "--history")
    for kind in ("claude", "codex"):
        assert user.text("transcript", kind).startswith("user: hello\nfrom the tests\n")
    again = user.mngr("create", "second", "claude", "-v", **KEYS)
    assert b"STEP" not in again.stderr
    user.mngr("wait", "second", "--timeout", "2m")
    user.mngr("message", "second", "are you there?")
    assert user.listed()["second"]["state"] == "RUNNING"
    # Of an interruption no hook tells.
    user.mngr("message", "second", "--answer", "\x1b")
    user.mngr("wait", "second", "--timeout", "2m")


def test_settings_travel_and_credentials_only_when_asked(user: User, tmp_path: Path) -> None:
    home = tmp_path / "person"
    (home / ".claude" / "commands").mkdir(parents=True)
    (home / ".claude" / "settings.json").write_text('{"theme": "light"}')
    (home / ".claude" / "commands" / "x.md").write_text("do x")
    (home / ".claude" / ".credentials.json").write_text("a login")
    # The program is left out, which takes long to install and is not what this is about.
    env = {"HOME": str(home), "MNGR__AGENT_TYPES__CLAUDE__COMMAND": "sleep 1000 #"}
    default = subprocess.run(
        [str(BIN / "mngr"), "config", "get", "default_agent_type"],
        env=clean_env({"MNGR_HOME": str(user.home)}),
        capture_output=True,
        cwd=user.project,
    )
    assert default.stdout == b"claude\n"
    user.mngr("create", "mine", "-q", MNGR__DEFAULT_AGENT_TYPE="claude", **env)
    listed = user.text("exec", "mine", "cd ~/.claude; find . -type f | sort; cat settings.json", **env)
    assert listed == './commands/x.md\n./settings.json\n{"theme": "light"}'
    user.mngr("create", "shared", "claude", "-q", "--share-credentials", **env)
    assert user.text("exec", "shared", "cat ~/.claude/.credentials.json", **env) == "a login"
