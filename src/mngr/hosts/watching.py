"""Follows what agents of many hosts do: one SSH session a host that says something only when something has changed.

A look at a hundred hosts by a program each would take a second of this machine; these sessions cost nothing while
nothing happens.
"""

from __future__ import annotations

import os
import selectors
import shlex
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from mngr import resources
from mngr.errors import HostUnreachable
from mngr.hosts import ssh
from mngr.hosts.agents import AgentProbe, parse_probe
from mngr.hosts.ssh import Target

_SCRIPT = "follow-agents.sh"
_CHUNK = 65_536
# What happens at many hosts at about the same time is one change.
_GATHER_S = 0.2


@dataclass
class _Followed:
    """One host's session. `said` is what it has reported of each agent and when; None before the first report."""

    target: Target
    process: subprocess.Popen[bytes]
    rest: bytes = b""
    said: tuple[float, dict[str, AgentProbe]] | None = None
    since: float = field(default_factory=time.monotonic)

    @property
    def states(self) -> dict[str, AgentProbe] | None:
        """What was reported, without the times that only pass."""
        return None if self.said is None else {name: replace(one, idle_s=None) for name, one in self.said[1].items()}

    def take(self, data: bytes) -> None:
        """Reads what came; a report ends with a line with a dot."""
        *reports, self.rest = (self.rest + data).split(b".\n")
        if reports:
            lines = reports[-1].decode().splitlines()
            self.said = time.monotonic(), dict(parse_probe(line) for line in lines if line)


class Following:
    """Hosts by their ids. `every_s` is how often each host looks at its agents."""

    def __init__(self, every_s: int) -> None:
        self._words = [_SCRIPT, f"{every_s}"]
        self._selector = selectors.DefaultSelector()
        self._hosts: dict[str, _Followed] = {}
        self._errors: dict[str, str] = {}
        self.lost = False
        """Whether a session that had reported has ended since `keep` was called: its host may have."""

    def keep(self, targets: Mapping[str, Target]) -> None:
        """From now on it is these hosts; sessions that ended, or whose host is elsewhere now, are begun again."""
        self.lost = False
        for host_id, one in list(self._hosts.items()):
            if targets.get(host_id) != one.target:
                self._end(host_id)
        self._errors = {host_id: error for host_id, error in self._errors.items() if host_id in targets}
        for host_id, target in targets.items():
            if host_id not in self._hosts:
                self._begin(host_id, target)

    def _begin(self, host_id: str, target: Target) -> None:
        remote = shlex.join(["sh", "-c", resources.read(_SCRIPT).decode(), *self._words])
        process = subprocess.Popen(
            ssh.argv(target, remote=remote), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        self._hosts[host_id] = _Followed(target, process)
        assert process.stdout is not None  # noqa: S101 (a pipe)
        self._selector.register(process.stdout, selectors.EVENT_READ, host_id)

    def await_first(self, timeout_s: float) -> None:
        """Waits until every host has reported once, or has had so long since it was begun."""
        while waiting := [one.since + timeout_s for one in self._hosts.values() if one.said is None]:
            left = max(waiting) - time.monotonic()
            if left <= 0:
                return
            self._read(left)

    def changed(self, timeout_s: float) -> bool:
        """Waits at most so long; True as soon as an agent is in another state than before, or a session has ended."""
        deadline = time.monotonic() + timeout_s
        while (left := deadline - time.monotonic()) > 0:
            if self._read(left) or self.lost:
                gathered = time.monotonic() + _GATHER_S
                while (left := gathered - time.monotonic()) > 0:
                    self._read(left)
                return True
        return False

    def probes(self, host_id: str) -> dict[str, AgentProbe] | None:
        """How the agents of a host are, by their ids; None while that is not known."""
        one = self._hosts.get(host_id)
        if one is None or one.said is None:
            return None
        at, found = one.said
        passed = time.monotonic() - at
        return {
            agent_id: probe if probe.idle_s is None else replace(probe, idle_s=float(int(probe.idle_s + passed)))
            for agent_id, probe in found.items()
        }

    def errors(self, timeout_s: float) -> Iterator[str]:
        """Why hosts are not known that have been followed for longer than so long."""
        now = time.monotonic()
        for host_id, one in self._hosts.items():
            if one.said is None and host_id not in self._errors and now - one.since >= timeout_s:
                yield str(HostUnreachable(one.target.name, f"no answer within {timeout_s:g} s"))
        yield from self._errors.values()

    def close(self) -> None:
        """Ends all sessions. A second call does nothing."""
        for host_id in list(self._hosts):
            self._end(host_id)
        self._selector.close()

    def _read(self, timeout_s: float) -> bool:
        """Waits for what comes next; whether an agent is in another state than before."""
        changed = False
        for key, _events in self._selector.select(timeout_s):
            host_id = key.data
            one = self._hosts[host_id]
            data = os.read(key.fd, _CHUNK)
            if data:
                before = one.states
                one.take(data)
                if one.said is not None:
                    self._errors.pop(host_id, None)
                changed = changed or one.states != before
            else:
                self._lose(host_id, one)
        return changed

    def _lose(self, host_id: str, one: _Followed) -> None:
        self.lost = self.lost or one.said is not None
        code = one.process.wait()
        assert one.process.stderr is not None  # noqa: S101 (a pipe)
        stderr = one.process.stderr.read().decode(errors="replace")
        if code == ssh.SSH_FAILED:
            self._errors[host_id] = str(ssh.unreachable(one.target, stderr))
        self._end(host_id)

    def _end(self, host_id: str) -> None:
        process = self._hosts.pop(host_id).process
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None  # noqa: S101
        self._selector.unregister(process.stdout)
        # The end of its input ends the script on the host.
        for stream in (process.stdin, process.stdout, process.stderr):
            stream.close()
        process.terminate()
        process.wait()
