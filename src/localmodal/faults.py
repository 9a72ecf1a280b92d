"""Faults on demand: what one localmodal is told to do worse than it could, to see how its clients take it.

The settings are a file in the home, which the server looks at before each call; so they take effect at once, outlive
a restart, and are no part of Modal's protocol. Without the file nothing is ever delayed, refused or hidden.
"""

from __future__ import annotations

import fnmatch
import math
import re
from fractions import Fraction
from pathlib import Path

import msgspec

from localmodal.home import Home

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_STATUSES = (
    *("CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS"),
    *("PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED"),
    *("INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED"),
)


class BadFault(ValueError):
    """What was asked for can not be understood; the message says what would be."""


class ErrorRule(msgspec.Struct, frozen=True):
    """Calls of the RPCs that `rpc` matches (wildcards as in a shell) end with `status`.

    `rate` is the share of them: of ``1/3`` the third, sixth and so on, counted from when the rule was made.
    """

    rpc: str
    status: str
    rate: str = "1"

    @property
    def share(self) -> Fraction:
        return Fraction(self.rate)

    def matches(self, rpc: str) -> bool:
        return fnmatch.fnmatchcase(rpc, self.rpc)


class RateLimit(msgspec.Struct, frozen=True):
    """At most `calls` in any `per_s` seconds of an RPC and its later versions together; what is more is refused."""

    rpc: str
    calls: int
    per_s: float

    def matches(self, rpc: str) -> bool:
        return fnmatch.fnmatchcase(rpc, self.rpc) or fnmatch.fnmatchcase(without_version(rpc), self.rpc)


class FaultSettings(msgspec.Struct, frozen=True, kw_only=True):
    """All faults of one localmodal. The defaults are none.

    `latency_s` is added to each call, each transfer of a file and each new connection through a tunnel. Lists of
    sandboxes show the state of `stale_listings_s` ago.
    """

    latency_s: float = 0.0
    errors: tuple[ErrorRule, ...] = ()
    rate_limits: tuple[RateLimit, ...] = ()
    stale_listings_s: float = 0.0
    no_exit_snapshots: bool = False

    def lines(self) -> list[str]:
        """The faults as the options that make them."""
        lines = [f"--latency {self.latency_s * 1000:g}ms"] if self.latency_s else []
        lines += [f"--error {rule.rpc}={rule.status}:{rule.rate}" for rule in self.errors]
        lines += [f"--rate-limit {limit.rpc}={limit.calls}/{limit.per_s:g}s" for limit in self.rate_limits]
        lines += [f"--stale-listings {self.stale_listings_s:g}s"] if self.stale_listings_s else []
        lines += ["--no-exit-snapshots"] if self.no_exit_snapshots else []
        return lines


def settings_file(home: Home) -> Path:
    return home.path / "faults" / "settings.json"


def taken_file(home: Home) -> Path:
    """Where a running server notes the settings by which it goes, once all of it does."""
    return home.path / "faults" / "taken.json"


def read(home: Home) -> FaultSettings:
    """The faults that are set; none where there is no file."""
    try:
        return msgspec.json.decode(settings_file(home).read_bytes(), type=FaultSettings)
    except FileNotFoundError:
        return FaultSettings()


def write(home: Home, settings: FaultSettings) -> None:
    """Puts `settings` in the place of earlier ones; a running server sees all of them or none."""
    home.make()
    home.folder("faults")
    path = settings_file(home)
    partial = path.with_suffix(".partial")
    partial.write_bytes(msgspec.json.format(msgspec.json.encode(settings)))
    partial.rename(path)


def clear(home: Home) -> None:
    """Ends all faults. A second call does nothing."""
    if settings_file(home).exists():
        write(home, FaultSettings())


def in_force(home: Home) -> bool:
    """Whether the server that runs goes by the settings that were written last."""
    try:
        return taken_file(home).read_bytes() == settings_file(home).read_bytes()
    except FileNotFoundError:
        return not settings_file(home).exists()


def duration_s(text: str) -> float:
    """Seconds of a text such as ``100ms``, ``2s``, ``1m``. Raises `BadFault`."""
    found = _DURATION.fullmatch(text)
    if found is None:
        raise BadFault(f"'{text}' is no duration; write it like 100ms, 2s or 1m")
    return float(found[1]) * _SECONDS[found[2]]


def error_rule(text: str, rpcs: set[str]) -> ErrorRule:
    """The rule that ``RPC=STATUS[:RATE]`` says; `rpcs` are all there are. Raises `BadFault`."""
    rpc, separator, rest = text.partition("=")
    status, _, rate = rest.partition(":")
    if not separator or not rpc:
        raise BadFault(f"'{text}' is no error; write it like VolumeListFiles2=RESOURCE_EXHAUSTED:1/3")
    if status not in _STATUSES:
        raise BadFault(f"'{status}' is no status of an error; choose one of {', '.join(_STATUSES)}")
    rule = ErrorRule(rpc, status, rate or "1")
    try:
        share = rule.share
    except (ValueError, ZeroDivisionError):
        share = Fraction(-1)
    if not 0 <= share <= 1:
        raise BadFault(f"'{rate}' is no rate; write a number from 0 to 1, or a fraction like 1/3")
    _check_rpc(rpc, any(map(rule.matches, rpcs)))
    return rule


def rate_limit(text: str, rpcs: set[str]) -> RateLimit:
    """The limit that ``RPC=N/TIME`` says, such as ``VolumeListFiles=5/s``. Raises `BadFault`."""
    rpc, _, rest = text.partition("=")
    calls, _, per = rest.partition("/")
    if not rpc or not calls.isdecimal() or int(calls) < 1 or not per:
        raise BadFault(f"'{text}' is no limit; write it like VolumeListFiles=5/s")
    per_s = duration_s(per if per[0].isdigit() else f"1{per}")
    if per_s <= 0:
        raise BadFault(f"'{text}' is no limit: no call ever happens within {per}")
    limit = RateLimit(rpc, int(calls), per_s)
    _check_rpc(rpc, any(map(limit.matches, rpcs)))
    return limit


def _check_rpc(pattern: str, known: bool) -> None:
    if not known:
        raise BadFault(f"'{pattern}' is the name of no RPC of Modal's protocol; docs/localmodal/coverage.md lists them")


def without_version(rpc: str) -> str:
    """An RPC's first name: ``VolumeListFiles`` of ``VolumeListFiles2``, ``SandboxList`` of ``SandboxListV2``."""
    return re.sub(r"V?\d+$", "", rpc)


def falls_due(call: int, share: Fraction) -> bool:
    """Whether call number `call` (from 1) is one of the `share`, which lie as evenly as can be."""
    return math.floor(call * share) > math.floor((call - 1) * share)
