"""What can go wrong, and the words for it: what happened, why, what to do next.

MngrError                  1   it failed
├── UsageError             2   the command line or the configuration is wrong; nothing was made
├── NotFound               3   no such agent, host or snapshot
├── HostBusy               1   another mngr is about to change it
├── ProviderUnavailable    4   the provider can not be reached
│   └── NotAuthorised      4   it does not know us
├── PartialFailure         5   some of several failed
├── NameTaken              2   an agent of that name is there
├── ProviderRefused        1   the provider said no, in its own words
├── ImageBuildFailed       1   a build step failed
├── AgentBlocked           1   it asks for a permission
├── AgentEnded             1   it has ended, and something else was waited for
├── NotReady, TimedOut     1   something did not happen in time
├── HostUnreachable        1   SSH to a host failed
├── HostCommandFailed      1   a command of ours failed on a host
├── GitFailed              1   git failed here
└── RsyncFailed            1   rsync failed
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar


class MngrError(Exception):
    """Something that the user is told in one line. `exit_code` is what the command ends with."""

    exit_code: ClassVar[int] = 1


class UsageError(MngrError):
    exit_code = 2


class NameTaken(UsageError):
    def __init__(self, name: str) -> None:
        super().__init__(f"an agent named {name!r} exists already; choose another name, or: mngr destroy {name}")


class InvalidName(UsageError):
    def __init__(self, name: str) -> None:
        super().__init__(
            f"{name!r} is not a name for an agent: letters, digits and hyphens, at most 40, beginning with a letter "
            "or digit"
        )


class NotFound(MngrError):
    exit_code = 3


class AgentNotFound(NotFound):
    def __init__(self, name: str, known: Sequence[str]) -> None:
        import difflib

        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else "see: mngr list"
        super().__init__(f"there is no agent named {name!r}; {hint}")


class SnapshotNotFound(NotFound):
    def __init__(self, wanted: str, host: str, known: Sequence[str]) -> None:
        there = f"there are: {', '.join(known)}" if known else "it has none"
        super().__init__(f"host {host} has no snapshot {wanted!r}; {there}")


class HostBusy(MngrError):
    def __init__(self, host: str, doing: str, since_s: float) -> None:
        super().__init__(
            f"host {host} is {doing} since {since_s:.0f} s, by mngr on another machine; try again when it is done"
        )


class ProviderUnavailable(MngrError):
    exit_code = 4


class NotAuthorised(ProviderUnavailable):
    pass


class PartialFailure(MngrError):
    exit_code = 5


class ProviderRefused(MngrError):
    pass


class ProviderNotFound(ProviderRefused):
    """The provider does not have the thing any more."""


class ProviderConflict(ProviderRefused):
    """The provider has another thing in the way, such as a running sandbox of the same name."""


class NoExitSnapshot(ProviderRefused):
    """There is no exit snapshot of a sandbox and there will be none."""


class ExitSnapshotsRefused(ProviderRefused):
    """The provider makes no exit snapshots."""


class NothingToStartFrom(MngrError):
    def __init__(self, host: str) -> None:
        super().__init__(f"host {host} has neither a snapshot nor an image; its work is gone: mngr destroy it")


class ImageBuildFailed(MngrError):
    def __init__(self, reason: str) -> None:
        super().__init__(f"the image could not be built: {reason.strip()}")


class NotRunning(MngrError):
    def __init__(self, agent: str, state: str) -> None:
        super().__init__(f"agent {agent!r} is {state}; start it with: mngr start {agent}")


class AgentBlocked(MngrError):
    def __init__(self, agent: str) -> None:
        super().__init__(
            f"agent {agent!r} is BLOCKED: it asks for a permission; look at it (mngr capture {agent}) and answer: "
            f"mngr connect {agent}, or mngr message --answer {agent} KEYS"
        )


class AgentEnded(MngrError):
    def __init__(self, agent: str, state: str, wanted: str) -> None:
        super().__init__(f"agent {agent!r} is {state} and will not be {wanted}")


class NotReady(MngrError):
    def __init__(self, agent: str, after_s: float) -> None:
        super().__init__(
            f"agent {agent!r} runs, but was not ready for its message within {after_s:g} s; look at it: "
            f"mngr capture {agent}"
        )


class TimedOut(MngrError):
    def __init__(self, agent: str, wanted: str, after_s: float, state: str) -> None:
        super().__init__(f"agent {agent!r} was not {wanted} within {after_s:g} s; it is {state}")


class HostUnreachable(MngrError):
    def __init__(self, host: str, reason: str) -> None:
        self.reason = reason.strip() or "no reason given"
        super().__init__(f"host {host} can not be reached over SSH: {self.reason}")


class HostKeyChanged(HostUnreachable):
    """Somebody else answers at the address."""


class HostCommandFailed(MngrError):
    def __init__(self, what: str, exit_code: int, stderr: str) -> None:
        tail = stderr.strip()[-600:]
        super().__init__(f"{what} failed on the host with exit code {exit_code}{': ' + tail if tail else ''}")


class GitFailed(MngrError):
    def __init__(self, verb: str, exit_code: int, stderr: str) -> None:
        super().__init__(f"git {verb} failed with exit code {exit_code}: {stderr.strip()[-600:] or 'no reason given'}")


class RsyncFailed(MngrError):
    def __init__(self, exit_code: int, stderr: str) -> None:
        super().__init__(f"rsync failed with exit code {exit_code}: {stderr.strip()[-600:] or 'no reason given'}")
