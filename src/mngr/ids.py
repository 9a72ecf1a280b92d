"""Ids and names of agents and hosts."""

from __future__ import annotations

import re
import secrets

from mngr.errors import InvalidName

_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"
_QUALITIES = (
    "able amber bold brave bright brisk calm clever cosy crisp deft eager fair fond fresh glad golden grand happy keen "
    "kind lively lucid lucky merry mild neat nimble noble patient plain polite proud quick quiet ready sharp silver "
    "smart steady sunny swift tidy true vivid warm wise witty young"
).split()
_ANIMALS = (
    "ant badger bat bear beaver bee bison crane crow deer dove duck eagle falcon ferret finch fox frog goat goose hare "
    "hawk heron horse ibex jay kite lark lemur lion lynx mole moose newt otter owl panda pony puffin raven robin seal "
    "shrew sloth stork swan tern tiger toad trout vole whale wolf wren yak zebra"
).split()
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
