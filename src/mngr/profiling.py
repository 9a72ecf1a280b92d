"""The account that `--profile` prints: where a command's time went. Nothing of it is imported without the option.

It is taken from outside of what it measures: at the joints of Python and of grpclib, so that no other module of mngr
knows of it and every call is seen, whoever makes it (the SDK's own ones too).
"""

from __future__ import annotations

import builtins
import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_MS = 1000.0


@dataclass
class Span:
    """Something that took time, in seconds since the process began; `end` None while it goes on."""

    kind: str
    name: str
    begun: float
    end: float | None = None

    def value(self) -> dict[str, Any]:
        took = None if self.end is None else round((self.end - self.begun) * _MS, 1)
        return {"name": self.name, "start_ms": round(self.begun * _MS, 1), "ms": took}


@dataclass
class Account:
    """What was measured so far."""

    zero: float
    import_s: float
    spans: list[Span] = field(default_factory=list)
    first_line: float | None = None
    wanted: bool = False

    def now(self) -> float:
        """Seconds since the process began."""
        return time.monotonic() - self.zero

    @contextlib.contextmanager
    def span(self, kind: str, name: str) -> Iterator[Span]:
        one = Span(kind, name, self.now())
        self.spans.append(one)
        try:
            yield one
        finally:
            one.end = self.now()

    def of(self, kind: str) -> list[Span]:
        return [one for one in self.spans if one.kind == kind]

    def value(self) -> dict[str, Any]:
        """All of it in milliseconds. `local_ms` is the time in which nothing of the rest went on."""
        total = self.now()
        waited = _union([(one.begun, one.end or total) for one in self.spans])
        calls = self.of("call")
        return {
            "total_ms": round(total * _MS, 1),
            "first_line_ms": None if self.first_line is None else round(self.first_line * _MS, 1),
            "imports_ms": round(self.import_s * _MS, 1),
            "calls": [one.value() for one in calls],
            "sequential_calls": _deepest(calls),
            "transfers": [one.value() for one in self.of("transfer")],
            "ssh": [one.value() for one in self.of("ssh")],
            "programs": [one.value() for one in self.of("program")],
            "local_ms": round((total - waited) * _MS, 1),
        }


_accounts: list[Account] = []
"""The one of this process, once there is one."""


def prepare() -> None:
    """Begins to measure, in case the option turns out to be ours. A second call does nothing."""
    if _accounts:
        return
    since = _age()
    made = Account(zero=time.monotonic() - since, import_s=since)
    _accounts.append(made)
    _watch_imports(made)
    _watch_programs(made)
    _watch_output(made)


def want() -> None:
    """The option is ours: `account` gives what was measured."""
    prepare()
    _accounts[0].wanted = True


def account() -> dict[str, Any] | None:
    """What was measured, None when nobody asked."""
    return _accounts[0].value() if _accounts and _accounts[0].wanted else None


def text(value: dict[str, Any]) -> str:
    """An account for people."""
    first = value["first_line_ms"]
    lines = [
        f"total {value['total_ms']:.0f} ms; first line {'-' if first is None else f'after {first:.0f} ms'}; "
        f"start and imports {value['imports_ms']:.0f} ms; local work {value['local_ms']:.0f} ms",
        f"{len(value['calls'])} calls, {value['sequential_calls']} one after the other",
    ]
    for kind in ("calls", "transfers", "ssh", "programs"):
        for one in value[kind]:
            took = "       -" if one["ms"] is None else f"{one['ms']:8.0f}"
            lines.append(f"{one['start_ms']:8.0f} {took} ms  {one['name']}")
    return "\n".join(lines)


def _age() -> float:
    """Seconds since this process began. Linux tells to 10 ms; elsewhere it is counted from now."""
    try:
        ticks = int(Path("/proc/self/stat").read_text().rsplit(")", 1)[1].split()[19])
        return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, AttributeError):
        return 0.0


def _watch_imports(account: Account) -> None:
    """Counts the outermost imports of the first thread; they hold what is imported within."""
    original = builtins.__import__
    depth = 0
    first = threading.get_ident()

    def counted(*args: Any, **more: Any) -> Any:
        nonlocal depth
        if threading.get_ident() != first:
            return original(*args, **more)
        depth += 1
        begun = time.monotonic()
        try:
            return original(*args, **more)
        finally:
            depth -= 1
            if depth == 0:
                account.import_s += time.monotonic() - begun
                _watch_calls(account)
                _watch_sessions(account)

    builtins.__import__ = counted


def _watch_programs(account: Account) -> None:
    original = subprocess.run

    def run(command: Any, *args: Any, **more: Any) -> Any:
        words = [os.fspath(word) for word in command] if isinstance(command, list | tuple) else [str(command)]
        program = os.path.basename(words[0])  # noqa: PTH119 (a word of a command line)
        with account.span("ssh" if program == "ssh" else "program", _shown(program, words)):
            return original(command, *args, **more)

    subprocess.run = run  # type: ignore[assignment]


def _watch_sessions(account: Account) -> None:
    """Those over a connection that is open, for which no program is started; once they are imported."""
    mux: Any = sys.modules.get("mngr.hosts.mux")
    original = getattr(mux, "run", None)
    if original is None or hasattr(mux, "_mngr_span"):
        return

    def run(*args: Any) -> Any:
        with account.span("ssh", "session"):
            return original(*args)

    mux.run, mux._mngr_span = run, None


def _shown(program: str, words: list[str]) -> str:
    """The program and, of git, what it does. No more: a command line may hold what a person typed for a host."""
    if program != "git":
        return program
    rest = words[3:] if words[1:2] == ["-C"] else words[1:]
    return " ".join([program, *rest[:1]])


class _Output:
    """Standard output that notes when it was first written to."""

    def __init__(self, stream: Any, account: Account) -> None:
        self._stream = stream
        self._account = account

    def write(self, text: str) -> Any:
        if self._account.first_line is None and text:
            self._account.first_line = self._account.now()
        return self._stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _watch_output(account: Account) -> None:
    sys.stdout = _Output(sys.stdout, account)


def _watch_calls(account: Account) -> None:
    """Each gRPC call, by the stream that grpclib opens for it, and each transfer over HTTP; once they are imported."""
    client = sys.modules.get("grpclib.client")
    stream = getattr(client, "Stream", None)
    if stream is not None and not hasattr(stream, "_mngr_span"):
        _wrap_stream(stream, account)
    session = getattr(sys.modules.get("aiohttp.client"), "ClientSession", None)
    if session is not None and not hasattr(session, "_mngr_span"):
        _wrap_session(session, account)


def _wrap_stream(stream: Any, account: Account) -> None:
    enter: Callable[..., Any] = stream.__aenter__
    leave: Callable[..., Any] = stream.__aexit__

    async def entered(self: Any) -> Any:
        self._mngr_span = Span("call", self._method_name.rsplit("/", 1)[-1], account.now())
        account.spans.append(self._mngr_span)
        return await enter(self)

    async def left(self: Any, *error: Any) -> Any:
        try:
            return await leave(self, *error)
        finally:
            self._mngr_span.end = account.now()

    stream.__aenter__, stream.__aexit__, stream._mngr_span = entered, left, None


def _wrap_session(session: Any, account: Account) -> None:
    request: Callable[..., Any] = session._request

    async def requested(self: Any, method: str, *args: Any, **more: Any) -> Any:
        with account.span("transfer", f"HTTP {method}"):
            return await request(self, method, *args, **more)

    session._request, session._mngr_span = requested, None


def _union(spans: list[tuple[float, float]]) -> float:
    """How long at least one of them went on."""
    total, reached = 0.0, 0.0
    for begun, end in sorted(spans):
        total += max(0.0, end - max(begun, reached))
        reached = max(reached, end)
    return total


def _deepest(spans: list[Span]) -> int:
    """The most calls of which each began when the one before had ended."""
    count, last = 0, 0.0
    for one in sorted(spans, key=lambda span: span.end or float("inf")):
        if one.begun >= last:
            count, last = count + 1, one.end or float("inf")
    return count
