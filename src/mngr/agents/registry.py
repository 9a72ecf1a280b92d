"""The types of agents by name: those built in, and those that the settings make of them."""

from __future__ import annotations

import dataclasses
import importlib
import shlex

from mngr.agents.types import AgentType
from mngr.config import AgentTypeSettings, Settings
from mngr.errors import UsageError

BUILT_IN = ("claude", "codex", "opencode", "gemini", "shell", "command")


def names(settings: Settings) -> tuple[str, ...]:
    """All types that there are."""
    return tuple(dict.fromkeys((*BUILT_IN, *settings.agent_types)))


def agent_type(name: str, settings: Settings) -> AgentType:
    """The type called `name`. Raises `UsageError`."""
    return _resolve(name, settings, ())


def known_type(name: str, settings: Settings) -> AgentType:
    """The type of an agent that exists; one that the settings no longer have is as a command is."""
    return agent_type(name if name in names(settings) else "command", settings)


def _resolve(name: str, settings: Settings, below: tuple[str, ...]) -> AgentType:
    said = settings.agent_types.get(name)
    if name in below:
        raise UsageError(f"agent type {name!r} is its own parent: {' -> '.join((*below, name))}")
    if said is None or (name in BUILT_IN and said.parent in ("", name)):
        kind = _built_in(name, settings)
    else:
        kind = _resolve(said.parent or "command", settings, (*below, name))
    return kind if said is None else _with(kind, name, said)


def _built_in(name: str, settings: Settings) -> AgentType:
    if name not in BUILT_IN:
        import difflib

        near = difflib.get_close_matches(name, names(settings), n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(names(settings))}"
        raise UsageError(f"there is no agent type {name!r}; {hint} (a command goes after --)")
    found: AgentType = importlib.import_module(f"mngr.agents.{name}").TYPE
    return found


def _with(kind: AgentType, name: str, said: AgentTypeSettings) -> AgentType:
    """A type with what the settings say of it. A program of its own is not installed from the parent's package."""
    changed = dataclasses.replace(kind, name=name, env={**kind.env, **said.env})
    if said.command:
        changed = dataclasses.replace(changed, program=said.command, package=None)
    if said.args and not changed.program:
        changed = dataclasses.replace(changed, program=shlex.join(said.args))
    elif said.args:
        changed = dataclasses.replace(changed, own_arguments=(*changed.own_arguments, *said.args))
    if said.install:
        changed = dataclasses.replace(changed, install=(*changed.install, said.install))
    if said.version:
        changed = dataclasses.replace(changed, version=said.version)
    if said.forward:
        changed = dataclasses.replace(changed, forwards=(*changed.forwards, *said.forward))
    return changed
