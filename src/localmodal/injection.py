"""The server's end of `faults`: delays calls, refuses them, and says what a list may show."""

from __future__ import annotations

import asyncio
import collections
import logging
import time

import msgspec

from localmodal import faults
from localmodal.engine.tunnel_delay import TunnelDelay
from localmodal.engine.watch import Watcher
from localmodal.errors import LocalModalError, ResourceExhausted
from localmodal.faults import ErrorRule, FaultSettings, RateLimit
from localmodal.home import Home
from localmodal.rpc import Call

log = logging.getLogger("localmodal.faults")


class Injection:
    """The faults of one home, as they are set at each moment. Counters start anew whenever they are set."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._stamp: tuple[int, int] | None = None
        self._settings = FaultSettings()
        self._counts: collections.Counter[ErrorRule] = collections.Counter()
        self._calls: dict[RateLimit, collections.deque[float]] = {}

    @property
    def settings(self) -> FaultSettings:
        """What is set now; the file is read again when it is another."""
        try:
            status = faults.settings_file(self._home).stat()
            stamp = (status.st_ino, status.st_mtime_ns)
        except FileNotFoundError:
            stamp = None
        if stamp != self._stamp:
            self._settings = faults.read(self._home)
            self._stamp = stamp
            self._counts.clear()
            self._calls.clear()
        return self._settings

    async def gate(self, call: Call) -> None:
        """Delays a call, and refuses it when it is its turn. Raises what is asked for."""
        settings = self.settings
        await self.delay()
        for limit in settings.rate_limits:
            if limit.matches(call.rpc):
                self._limit(limit, call.rpc)
        for rule in settings.errors:
            if rule.matches(call.rpc):
                self._counts[rule] += 1
                if faults.falls_due(self._counts[rule], rule.share):
                    raise _Injected(rule, call.rpc)

    async def delay(self) -> None:
        """Waits as long as the way to a server far away would take."""
        latency_s = self.settings.latency_s
        if latency_s:
            await asyncio.sleep(latency_s)

    async def follow(self, watcher: Watcher, delay: TunnelDelay) -> None:
        """Keeps the delay of tunnels to what is set, and notes when it is. Runs until it is cancelled."""
        with watcher.changes(self._home.folder("faults")) as changed:
            while True:
                changed.clear()
                path = faults.settings_file(self._home)
                text = path.read_bytes() if path.exists() else b""
                try:
                    await delay.set(self.settings.latency_s)
                except (OSError, msgspec.MsgspecError):
                    log.exception("the faults can not be taken over")
                else:
                    taken = faults.taken_file(self._home)
                    if text != (taken.read_bytes() if taken.exists() else b""):
                        taken.write_bytes(text)
                await changed.wait()

    def _limit(self, limit: RateLimit, rpc: str) -> None:
        now = time.monotonic()
        calls = self._calls.setdefault(limit, collections.deque())
        while calls and calls[0] <= now - limit.per_s:
            calls.popleft()
        if len(calls) >= limit.calls:
            raise ResourceExhausted(f"{rpc}: rate limit of {limit.calls} per {limit.per_s:g} s exceeded")
        calls.append(now)

    def listing_time(self) -> float | None:
        """The moment, in seconds since 1970, whose state lists of sandboxes show; None for now."""
        stale_s = self.settings.stale_listings_s
        return time.time() - stale_s if stale_s else None


class _Injected(LocalModalError):
    """An error that was asked for, and no other."""

    def __init__(self, rule: ErrorRule, rpc: str) -> None:
        super().__init__(f"{rpc}: {rule.status}, as localmodal was told to answer (localmodal faults)")
        # Each instance has the status of its rule, where other errors have one for all.
        vars(self)["status"] = rule.status
