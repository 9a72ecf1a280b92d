"""Why a sandbox ended, and what that makes of its host."""

from __future__ import annotations

from mngr import durations
from mngr.models import LIFETIME_OVER, HostRecord, HostState
from mngr.providers.modal.requests import Ending

# What the supervisor in the sandbox ends with (see supervisor.sh).
_STOPPED, _IDLE, _LIFETIME, _AGENTS_GONE = 0, 20, 21, 22


def verdict(record: HostRecord, ending: Ending) -> tuple[HostState, str]:
    """The state of a host whose sandbox has ended and the reason, for people."""
    lifetime = f"{LIFETIME_OVER}{durations.show(record.options.get('timeout', 0))} reached"
    if ending.status == "timeout" or (ending.status, ending.code) == ("failure", _LIFETIME):
        return HostState.STOPPED, lifetime
    if ending.status == "idle_timeout" or ending.code == _IDLE:
        return HostState.PAUSED, f"idle for {durations.show(record.policy.idle_timeout_s)}"
    if ending.code == _AGENTS_GONE:
        return HostState.STOPPED, "all of its agents have ended"
    if ending.code == _STOPPED:
        return HostState.STOPPED, "it was told to stop"
    if "oom" in ending.status or "memory" in ending.status:
        return HostState.CRASHED, "out of memory"
    if ending.status == "terminated":
        return HostState.STOPPED, "terminated from outside of mngr"
    said = f" ({ending.message})" if ending.message else f" with code {ending.code}"
    return HostState.CRASHED, f"sandbox ended unexpectedly{said}"
