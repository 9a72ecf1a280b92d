"""Build arguments: what a user asks a sandbox to be."""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from mngr.config import ModalSettings
from mngr.errors import UsageError

MAX_TIMEOUT_S = 86_400


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What a sandbox is made with: cores, GiB, an image's name, seconds. Kept with the host's record."""

    cpu: float
    memory: float
    image: str
    timeout: int
    region: str = ""
    offline: bool = False


def parse(arguments: Iterable[str], settings: ModalSettings) -> Options:
    """Reads ``key=value`` words, of which a later one replaces an earlier. Raises `UsageError` naming all problems."""
    values: dict[str, Any] = {
        "cpu": settings.default_cpu,
        "memory": settings.default_memory,
        "image": settings.default_image,
        "timeout": settings.default_timeout,
        "region": settings.default_region,
    }
    problems = []
    for word in arguments:
        key, _, text = word.removeprefix("--").replace(" ", "=", 1).partition("=")
        reader = _READERS.get(key)
        if reader is None:
            near = difflib.get_close_matches(key, _READERS, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(_READERS)}"
            problems.append(f"unknown build argument {key!r}; {hint}")
            continue
        try:
            values[key] = reader(text)
        except ValueError as error:
            problems.append(f"build argument {key}={text}: {error}")
    if problems:
        raise UsageError("\n".join(problems))
    return Options(**values)


def split(text: str) -> list[str]:
    """The words of ``--build-args``, quoted as for a shell. Raises `UsageError`."""
    try:
        return shlex.split(text)
    except ValueError as error:
        raise UsageError(f"--build-args {text!r}: {error}") from error


def _positive(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise ValueError("must be a number") from None
    if not 0 < number < 10_000:
        raise ValueError("must be above 0")
    return number


def _seconds(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= MAX_TIMEOUT_S:
        raise ValueError(f"must be seconds from 1 to {MAX_TIMEOUT_S}")
    return int(text)


def _word(text: str) -> str:
    if not text or any(character.isspace() for character in text):
        raise ValueError("must be one word")
    return text


def _flag(text: str) -> bool:
    if text not in ("", "true", "false"):
        raise ValueError("takes no value")
    return text != "false"


_READERS: dict[str, Callable[[str], Any]] = {
    "cpu": _positive,
    "memory": _positive,
    "image": _word,
    "timeout": _seconds,
    "region": _word,
    "offline": _flag,
}
