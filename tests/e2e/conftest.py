"""What tests of conversations share."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from tests.conftest import User

STAND_IN = Path(__file__).parent.parent / "stand_in.pl"


@pytest.fixture
def talker(user: User) -> User:
    """A user whose settings have the type ``stand-in``."""
    script = base64.b64encode(STAND_IN.read_bytes()).decode()
    with (user.home / "settings.toml").open("a") as file:
        file.write(
            '\n[agent_types.stand-in]\nparent = "claude"\ncommand = "perl /opt/stand-in.pl"\n'
            'args = ["--from-settings"]\n'
            f'install = "echo {script} | base64 -d >/opt/stand-in.pl"\nenv = {{ FLAVOUR = "plain" }}\n'
        )
    return user
