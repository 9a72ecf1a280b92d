"""Every command of the how-to pages works as it is written."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from tests.conftest import User, clean_env

_PAGES = Path(__file__).parent.parent.parent / "docs" / "how-to"


def _commands(page: str) -> list[str]:
    blocks = re.findall(r"^```sh\n(.*?)^```", (_PAGES / page).read_text(), flags=re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.strip()]


def _person(user: User, folder: Path) -> dict[str, str]:
    """A home of their own; ssh itself takes the home of /etc/passwd, whatever HOME says."""
    programs = folder / "programs"
    programs.mkdir()
    for name in ("ssh", "scp"):
        (programs / name).write_text(f'#!/bin/sh\nexec {shutil.which(name)} -F "$HOME/.ssh/config" "$@"\n')
        (programs / name).chmod(0o755)
    env = clean_env(user.env | {"HOME": str(folder / "person"), "GIT_PAGER": "cat"})
    return env | {"PATH": f"{programs}:{env['PATH']}"}


def test_get_work_back(user: User, tmp_path: Path) -> None:
    user.git("config", "user.name", "Ada")
    user.git("config", "user.email", "ada@example.com")
    user.mngr("create", "my-agent", "--", "sleep 1000")
    user.mngr("exec", "my-agent", "echo 1 >work; git add work; git commit -qm work; echo all well >report.txt")
    env = _person(user, tmp_path)
    commands = _commands("get-work-back.md")
    assert len(commands) > 15
    for line in commands:
        done = subprocess.run(
            ["sh", "-c", line], cwd=user.project, env=env, capture_output=True, stdin=subprocess.DEVNULL
        )
        assert done.returncode == 0, (line, done.stdout, done.stderr)
    assert (user.project / "report.txt").read_text() == "all well\n"
    assert (user.project / "notes" / "README.md").exists()
    assert user.git("log", "-1", "--format=%s") == "What my-agent did\n"
    assert (user.project / "clone-of-my-agent" / "work").exists()
