"""Reads the values of build arguments. Each reader raises `ValueError` saying what would be right."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence

from mngr.hosts.agents import HOST_DIR

MAX_TIMEOUT_S = 86_400
MIN_CORES = 0.125
MIN_GIBIBYTES = 0.125
_NUMBER = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*([A-Za-z]*)")
_GPU = re.compile(r"([A-Za-z][A-Za-z0-9-]*[!+]?)(?::(\d+))?")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_VOLUME = re.compile(r"[A-Za-z0-9\-_.]{1,64}")
_SIZES = {
    "": 1.0,
    "g": 1.0,
    "gb": 1.0,
    "gib": 1.0,
    "m": 1 / 1024,
    "mb": 1 / 1024,
    "mib": 1 / 1024,
    "t": 1024.0,
    "tb": 1024.0,
}
_TIMES = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}


def cores(text: str) -> float:
    number = _number(text, {"": 1.0}, "a number of cores, such as 2 or 0.5")
    if not MIN_CORES <= number <= 1024:
        raise ValueError(f"must be from {MIN_CORES} to 1024 cores")
    return number


def gibibytes(text: str) -> float:
    number = _number(text, _SIZES, "an amount of memory, such as 8, 8GB or 512MB")
    if not MIN_GIBIBYTES <= number <= 65_536:
        raise ValueError(f"must be from {MIN_GIBIBYTES * 1024:g}MB to 65536GB")
    return number


def seconds(text: str) -> int:
    number = _number(text, _TIMES, "a time, such as 3600, 90m or 2h")
    if number != int(number) or not 1 <= number <= MAX_TIMEOUT_S:
        raise ValueError(f"must be from 1 to {MAX_TIMEOUT_S} seconds (24h)")
    return int(number)


def _number(text: str, units: dict[str, float] | dict[str, int], wanted: str) -> float:
    match = _NUMBER.fullmatch(text)
    if match is None or match[2].lower() not in units or not text.isascii():
        raise ValueError(f"must be {wanted}")
    return float(match[1]) * units[match[2].lower()]


def gpu(text: str) -> str:
    """A GPU's name as Modal writes it, with ``:count`` where more than one is wanted."""
    match = _GPU.fullmatch(text)
    if match is None or (match[2] is not None and not 1 <= int(match[2]) <= 8):
        raise ValueError("must be a GPU and at most 8 of it, such as h100, h100:2 or any")
    name = "any" if match[1].lower() == "any" else match[1].upper()
    return f"{name}:{match[2]}" if match[2] and int(match[2]) > 1 else name


def word(text: str) -> str:
    if not text or any(character.isspace() or not character.isprintable() for character in text):
        raise ValueError("must be one word")
    return text


def flag(text: str) -> bool:
    if text.lower() not in ("", "true", "false", "yes", "no"):
        raise ValueError("takes no value, or true or false")
    return text.lower() in ("", "true", "yes")


def variable(text: str) -> tuple[str, ...]:
    if not _VARIABLE.fullmatch(text):
        raise ValueError("must be the name of an environment variable, such as NPM_TOKEN; its value is not given here")
    return (text,)


def pair(text: str) -> tuple[str, ...]:
    name, found, _value = text.partition("=")
    if not found or not _VARIABLE.fullmatch(name):
        raise ValueError("must be KEY=VALUE")
    return (text,)


def cidrs(text: str) -> tuple[str, ...]:
    ranges = []
    for part in text.split(","):
        try:
            ranges.append(str(ipaddress.ip_network(part.strip())))
        except ValueError as error:
            raise ValueError(f"must be a range such as 203.0.113.0/24 or 2001:db8::/32 ({error})") from None
    return tuple(ranges)


def volume(text: str) -> tuple[str, ...]:
    name, found, path = text.partition(":")
    if not found or not _VOLUME.fullmatch(name):
        raise ValueError("must be name:/path, the name of at most 64 letters, digits, '-', '_' and '.'")
    if not path.startswith("/") or ".." in path.split("/"):
        raise ValueError("the path must be absolute")
    path = "/" + "/".join(part for part in path.split("/") if part not in ("", "."))
    if path == "/":
        raise ValueError("a volume can not be mounted over everything (/)")
    if path == HOST_DIR or path.startswith(f"{HOST_DIR}/"):
        raise ValueError(f"{HOST_DIR} is the host's own folder")
    return (f"{name}:{path}",)


def check_volumes(volumes: Sequence[str]) -> list[str]:
    """What is wrong with several volumes together, a line each."""
    problems = []
    seen: dict[str, str] = {}
    for text in volumes:
        name, path = text.split(":", 1)
        for what in (name, path):
            if what in seen:
                problems.append(f"build argument volume={text}: {what} is in volume={seen[what]} already")
            seen.setdefault(what, text)
    return problems
