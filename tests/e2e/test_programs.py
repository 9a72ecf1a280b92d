"""The programs of the types of agents, real ones."""

from __future__ import annotations

import json
import os
import re
import ssl
import subprocess
from pathlib import Path

import pytest

from tests.conftest import BIN, Terminal, User, clean_env

MODEL = Path(__file__).parent.parent / "model.mjs"
SERVER = "http://127.0.0.1:7788"
KEYS = {"ANTHROPIC_API_KEY": "sk-ant-api03-none-0123456789", "OPENAI_API_KEY": "sk-none", "GEMINI_API_KEY": "none"}
PINNED = "1.18.30"
OPENCODE = {"permission": {"bash": "ask"}, "model": "anthropic/claude-sonnet-4-5",
            "provider": {"anthropic": {"options": {"baseURL": f"{SERVER}/v1"}}}}  # fmt: skip


@pytest.mark.timeout(900)
def test_the_real_programs(user: User, terminal: Terminal) -> None:
    """Each is installed, by its image or on a host whose image has another one's; each takes a message, asks whether it
    may run a command, is answered and runs it. They talk to a model that is a script."""
    # The certificates of this machine, which may have a proxy of its own between it and the registry.
    trusted = os.environ.get("SSL_CERT_FILE") or ssl.get_default_verify_paths().cafile
    model = ("--upload-file", f"{trusted}:/opt/ca.crt", "-b", "env=NODE_EXTRA_CA_CERTS=/opt/ca.crt")
    model += ("--upload-file", f"{MODEL}:/opt/", "--extra-provision-command")
    model += ("setsid node /opt/model.mjs 7788 >/tmp/model.log 2>&1 </dev/null &",)
    env = {
        **KEYS,
        "ANTHROPIC_BASE_URL": SERVER,
        "OPENAI_BASE_URL": f"{SERVER}/v1",
        "GOOGLE_GEMINI_BASE_URL": SERVER,
        "OPENCODE_CONFIG_CONTENT": json.dumps(OPENCODE),
        "MNGR__AGENT_TYPES__OPENCODE__VERSION": PINNED,
    }
    places = {"claude": model, "codex": ("--host", "claude"), "gemini": model, "opencode": ("--host", "gemini")}
    for kind, words in places.items():
        words = (*words, "--pass-env", "OPENCODE_CONFIG_CONTENT", "--message", "please\nrun it")
        # Of itself it decides what is harmless.
        mode = ("--", "--permission-mode", "default") if kind == "claude" else ()
        user.mngr("create", kind, kind, "-q", *words, *mode, timeout_s=600, **env)
        version = user.text("exec", kind, kind, "--version")
        assert re.search(r"\d+\.\d+\.\d+", version)
        if kind == "opencode":
            assert version.strip() == PINNED
        user.mngr("wait", kind, "--for", "blocked", "--timeout", "2m")
        assert user.listed()[kind]["state"] == "BLOCKED"
        assert b"is BLOCKED" in user.mngr("message", kind, "go on", check=1).stderr
        assert "touch made-by-the-model" in user.text("capture", kind)
        # OpenCode has buttons, the first of which is chosen; the others number their answers.
        told = user.mngr("message", "--answer", kind, "" if kind == "opencode" else "1", "--wait", "--timeout", "2m")
        assert told.stdout == f"{kind} is told and is WAITING\n".encode()
        user.mngr("exec", kind, "test -e made-by-the-model")
        assert "Said by the model." in user.text("capture", kind)
        user.mngr("message", kind, "thank you", "--wait", "--timeout", "2m")
        assert "thank you" in user.text("capture", kind, "--history")
    for kind in ("claude", "codex", "gemini"):
        said = json.loads(user.text("transcript", kind, "--format", "json"))["transcript"]
        spoken = [(one["role"], one["text"]) for one in said if one["role"] in ("user", "assistant")]
        assert spoken[0] == ("user", "please\nrun it")
        assert spoken[-2:] == [("user", "thank you"), ("assistant", "Said by the model.")]
        assert "touch made-by-the-model" in next(one["text"] for one in said if one["role"] == "tool")
    # Also of one that no hook tells of, when nothing runs any more.
    user.mngr("stop", "gemini", "opencode")
    assert "assistant: Said by the model." in user.text("transcript", "gemini")
    # Without a key a program shows its own login screen, and connect reaches it.
    user.mngr("create", "login", "codex", "--host", "claude", "-q", "--env", "CODEX_HOME=/root/elsewhere")
    user.mngr("wait", "login", "--timeout", "2m")
    terminal.type("clear; mngr connect login", "Enter")
    terminal.until("> 1. Sign in with ChatGPT")
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
