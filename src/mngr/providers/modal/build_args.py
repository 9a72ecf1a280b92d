"""Build arguments: what a user asks a sandbox to be, in every form, checked before anything is made."""

from __future__ import annotations

import difflib
import os
import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from mngr.config import ModalSettings
from mngr.errors import UsageError
from mngr.providers.modal import dockerfiles, values
from mngr.providers.modal.options import Options, Plan


@dataclass(frozen=True, slots=True)
class Argument:
    """One build argument. `read` turns its text into a value or raises `ValueError`; `many` may be given again."""

    name: str
    field: str
    read: Callable[[str], Any]
    help: str
    many: bool = False


ARGUMENTS = (
    Argument("gpu", "gpu", values.gpu, "GPU and how many: h100, h100:2, a100-80gb, any"),
    Argument("cpu", "cpu", values.cores, "CPU cores"),
    Argument("memory", "memory", values.gibibytes, "memory in GB: 8, 512MB"),
    Argument("image", "image", values.word, "base image"),
    Argument("timeout", "timeout", values.seconds, "lifetime of a sandbox: 3600, 90m, 2h; at most 24h"),
    Argument("region", "region", values.word, "where to run: us-east, eu-west, …"),
    Argument("context-dir", "context_dir", values.word, "folder that COPY and ADD take files from"),
    Argument("secret", "secrets", values.variable, "environment variable for the image build", many=True),
    Argument("cidr-allowlist", "cidr_allowlist", values.cidrs, "range that may be reached; a,b for several", many=True),
    Argument("dockerfile", "dockerfile", values.word, "Dockerfile to build the image from"),
    Argument("offline", "offline", values.flag, "no outbound network"),
    Argument("volume", "volumes", values.volume, "volume to mount, as name:/path", many=True),
    Argument("docker-build-arg", "docker_build_args", values.pair, "KEY=VALUE for ARG in the Dockerfile", many=True),
    Argument("cloud", "cloud", values.word, "cloud to run on: aws, gcp, oci, …"),
    Argument("cpu-limit", "cpu_limit", values.cores, "cores that it can not go above"),
    Argument("memory-limit", "memory_limit", values.gibibytes, "memory that it can not go above"),
    Argument("env", "env", values.pair, "KEY=VALUE for the sandbox's environment", many=True),
)
_ALIASES = {"file": "dockerfile", "mem": "memory", "cidr": "cidr-allowlist", "build-arg": "docker-build-arg"}
_BY_NAME = {argument.name: argument for argument in ARGUMENTS}


def default_of(argument: Argument, settings: ModalSettings) -> Any:
    """What the settings say of an argument, as it is written there."""
    return getattr(settings, f"default_{argument.name.replace('-', '_')}")


def split(text: str) -> list[str]:
    """The words of ``--build-args``, quoted as for a shell; ``--gpu h100`` in it is one. Raises `UsageError`."""
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise UsageError(f"--build-args {text!r}: {error}") from error
    joined: list[str] = []
    for word in words:
        before = joined[-1] if joined else ""
        waits = before.startswith("--") and "=" not in before and " " not in before and before != "--offline"
        if waits and not word.startswith("--") and "=" not in word:
            joined[-1] = f"{before}={word}"
        else:
            joined.append(word)
    return joined


def plan(words: Iterable[str], settings: ModalSettings, environment: Mapping[str, str] | None = None) -> Plan:
    """Reads build arguments on top of the settings. Makes nothing. Raises `UsageError` with all problems, a line each.

    `environment` is where secrets are looked for, the caller's own without it.
    """
    problems: list[str] = []
    notes: list[str] = []
    given = _read(words, problems, notes)
    found = {name: value for name, value in _defaults(settings, problems).items() if name not in given}
    _settle(given, found, problems)
    chosen = found | given
    env = dict(pair.split("=", 1) for pair in chosen.get("env", ()))
    problems += _check(chosen, os.environ if environment is None else environment)
    if problems:
        raise UsageError("\n".join(problems))
    plain = {_BY_NAME[name].field: value for name, value in chosen.items()} | {"env": tuple(sorted(env))}
    return Plan(msgspec.convert(plain, Options), env, tuple(notes))


def _read(words: Iterable[str], problems: list[str], notes: list[str]) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for word in words:
        key, text = _key_and_text(word)
        argument = _BY_NAME.get(_ALIASES.get(key, key))
        if argument is None:
            near = difflib.get_close_matches(key, [*_BY_NAME, *_ALIASES], n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(_BY_NAME)}"
            problems.append(f"unknown build argument {key!r}; {hint}")
            continue
        try:
            value = argument.read(text)
        except ValueError as error:
            problems.append(f"build argument {key}={text}: {error}")
            continue
        if argument.many:
            given[argument.name] = (*given.get(argument.name, ()), *value)
        else:
            if argument.name in given:
                notes.append(f"build argument {argument.name} was given twice; {text or 'the later one'} counts")
            given[argument.name] = value
    return given


def _key_and_text(word: str) -> tuple[str, str]:
    """``gpu=h100``, ``--gpu=h100``, ``--gpu h100``, ``offline``."""
    bare = word.strip().removeprefix("--")
    cut = min((bare.find(mark) for mark in "= " if mark in bare), default=len(bare))
    return bare[:cut].strip(), bare[cut + 1 :].strip()


def _defaults(settings: ModalSettings, problems: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for argument in ARGUMENTS:
        written = default_of(argument, settings)
        texts = written if isinstance(written, list) else [written]
        for text in texts:
            if text in ("", False):
                continue
            try:
                value = argument.read("" if text is True else f"{text}")
            except ValueError as error:
                problems.append(f"setting default_{argument.name.replace('-', '_')} = {text!r}: {error}")
                continue
            found[argument.name] = (*found.get(argument.name, ()), *value) if argument.many else value
    return found


def _settle(given: dict[str, Any], found: dict[str, Any], problems: list[str]) -> None:
    """What was given goes before a default that would contradict it; two that were given are a problem."""
    for one, other, message in (
        ("image", "dockerfile", "image and dockerfile can not both be given: a Dockerfile names its image in FROM"),
        ("offline", "cidr-allowlist", "offline and cidr-allowlist can not both be given: offline allows nothing"),
    ):
        if given.get(one) and given.get(other):
            problems.append(message)
        elif given.get(one):
            found.pop(other, None)
        elif given.get(other) or found.get(other):
            found.pop(one, None)


def _check(chosen: dict[str, Any], environment: Mapping[str, str]) -> list[str]:
    problems = [
        f"build argument secret={name}: there is no such variable in the environment"
        for name in chosen.get("secret", ())
        if name not in environment
    ]
    for limit, request in (("cpu-limit", "cpu"), ("memory-limit", "memory")):
        if chosen.get(limit) is not None and chosen[limit] < chosen[request]:
            problems.append(f"build argument {limit}={chosen[limit]:g}: is below {request} ({chosen[request]:g})")
    problems += values.check_volumes(chosen.get("volume", ()))
    if "dockerfile" in chosen:
        file = _path(chosen["dockerfile"])
        folder = _path(chosen["context-dir"]) if "context-dir" in chosen else file.parent
        chosen["dockerfile"], chosen["context-dir"] = str(file), str(folder)
        problems += dockerfiles.check(file, folder)
    elif "context-dir" in chosen:
        problems.append("build argument context-dir: needs a dockerfile")
    return problems


def _path(text: str) -> Path:
    """An absolute path; ``~NAME`` of somebody who is not there stays as it is, and is then not found."""
    try:
        return Path(text).expanduser().absolute()
    except RuntimeError:
        return Path(text).absolute()
