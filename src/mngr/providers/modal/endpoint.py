"""Which server the SDK talks to. The only place in mngr that knows of localmodal."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from mngr.config import ModalSettings
from mngr.errors import ProviderUnavailable

_SWITCH = "to use the cloud: modal token new"
_START_S = 90


def choose(settings: ModalSettings) -> None:
    """Sets the environment that the SDK reads. A second call changes nothing.

    ``auto``: `MODAL_SERVER_URL` where it is set; else Modal where a token is configured; else localmodal, started when
    it does not run. Raises `ProviderUnavailable`.
    """
    if settings.server == "modal" or os.environ.get("MODAL_SERVER_URL"):
        return
    if settings.server == "auto" and _token_is_configured():
        return
    os.environ.update(_localmodal())


def _token_is_configured() -> bool:
    """As the SDK decides it: a token in the environment or in its configuration file."""
    if os.environ.get("MODAL_TOKEN_ID"):
        return True
    path = Path(os.environ.get("MODAL_CONFIG_PATH") or "~/.modal.toml").expanduser()
    try:
        return "token_id" in path.read_text() or "oauth_refresh_token" in path.read_text()
    except OSError:
        return False


def _localmodal() -> dict[str, str]:
    running = _running()
    if running is not None:
        return running
    import shutil

    program = Path(sys.executable).with_name("localmodal")
    command = str(program) if program.exists() else shutil.which("localmodal")
    if command is None:
        raise ProviderUnavailable(f"no Modal token is configured and localmodal is not installed; {_SWITCH}")
    known = _run(command, "env", "--format", "json")
    if known.returncode:
        started = _run(command, "up")
        if started.returncode:
            reason = started.stderr.strip().removeprefix("localmodal: ")
            raise ProviderUnavailable(f"no Modal token is configured, and localmodal: {reason} ({_SWITCH})")
        sys.stderr.write(f"mngr: started localmodal on this machine, as no Modal token is configured ({_SWITCH})\n")
        known = _run(command, "env", "--format", "json")
    values: dict[str, str] = json.loads(known.stdout)
    return values


def _running() -> dict[str, str] | None:
    """What ``localmodal env`` would print, from the files that it reads itself (docs/localmodal/index.md), without the
    0.2 s that the program takes; None when nothing runs there, or the files are not as expected."""
    chosen = os.environ.get("LOCALMODAL_HOME")
    data = Path(os.environ.get("XDG_DATA_HOME") or "~/.local/share").expanduser() / "localmodal"
    home = Path(chosen).expanduser() if chosen else data
    try:
        server = json.loads((home / "server.json").read_text())
        token = json.loads((home / "token.json").read_text())
        # proc(5): the state is field 3 of stat, the start field 22. A process of the same id that began at another time
        # is somebody else's, and a zombie serves nobody.
        state, *fields = Path(f"/proc/{server['pid']}/stat").read_text().rsplit(")", 1)[1].split()
        started = "" if state == "Z" else fields[18]
        values = {
            "MODAL_SERVER_URL": server["url"],
            "MODAL_TOKEN_ID": token["token_id"],
            "MODAL_TOKEN_SECRET": token["token_secret"],
        }
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return values if started == str(server["started"]) else None


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=_START_S, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired as error:
        raise ProviderUnavailable(f"localmodal did not start within {_START_S} s; see: localmodal status") from error
