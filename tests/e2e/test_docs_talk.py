"""Every command of docs/how-to/talk.md, typed as it stands there."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.conftest import User, clean_env

PAGE = Path(__file__).parents[2] / "docs/how-to/talk.md"


def test_the_page_on_talking(talker: User) -> None:
    talker.mngr("create", "ann", "stand-in", "-q")
    commands = [line.removeprefix("$ ") for line in PAGE.read_text().splitlines() if line.startswith("$ ")]
    assert len(commands) == 18
    for command in commands:
        done = subprocess.run(
            ["sh", "-c", command],
            cwd=talker.project,
            env=clean_env(talker.env),
            capture_output=True,
            timeout=120,
        )
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        assert done.stderr == b"", (command, done.stderr)
