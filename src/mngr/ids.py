"""Ids and names of agents and hosts."""

from __future__ import annotations

import re
import secrets

from mngr.errors import InvalidName

_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"
_QUALITIES = (
    *("amber", "bold", "brave", "bright", "brisk", "calm", "clever", "crisp", "deft", "eager", "fair", "fond", "glad"),
    *("golden", "happy", "keen", "kind", "lively", "lucky", "merry", "mild", "neat", "nimble", "noble", "proud"),
    *("quick", "quiet", "sharp", "silver", "smart", "steady", "sunny", "swift", "vivid", "warm", "wise", "witty"),
)
_ANIMALS = (
    *("ant", "badger", "bear", "beaver", "bee", "crane", "crow", "deer", "dove", "duck", "eagle", "falcon", "ferret"),
    *("finch", "fox", "frog", "goose", "hare", "hawk", "heron", "ibex", "jay", "lark", "lynx", "mole", "newt", "otter"),
    *("owl", "panda", "puffin", "raven", "robin", "seal", "stork", "swan", "tern", "tiger", "trout", "vole", "wren"),
)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,39}")


def new_host_id() -> str:
    return f"host-{_random()}"


def new_agent_id() -> str:
    return f"agent-{_random()}"


def made_up_name() -> str:
    """A name that is easy to say and most likely nobody has."""
    return f"{secrets.choice(_QUALITIES)}-{secrets.choice(_ANIMALS)}-{secrets.randbelow(90) + 10}"


def check_name(name: str) -> str:
    """The name, when it can be an agent's. Raises `InvalidName`."""
    if not _NAME.fullmatch(name):
        raise InvalidName(name)
    return name


def _random() -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(20))
