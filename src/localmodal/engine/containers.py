"""Sandboxes as podman containers: how one is started, seen and ended.

A container's first process is an init that does nothing but reap (catatonit's pause mode); the sandbox's own program
is started beside it by the spawner, like any other. So network rules stand before it runs, its output is kept in
files, and ``kill -9 1`` inside has no effect.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from localmodal.engine.network import LOOPBACK
from localmodal.engine.podman import Podman
from localmodal.errors import FailedPrecondition

_INIT = "/dev/localmodal-init"
# More at once are ready no sooner, and the first of them a good deal later (measured on two cores).
_STARTS_AT_ONCE = 4
_REMOVALS_AT_ONCE = 2
_ESTABLISHED = "01"
_LISTEN = "0A"


@dataclass(frozen=True, slots=True)
class Bind:
    """A folder of the host that a container sees."""

    source: Path
    target: str
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """What podman is asked for. `cpus` and `memory_mib` are hard limits; `ports` maps container to host ports."""

    name: str
    hostname: str
    root: Path
    network: str
    ports: dict[int, int] = field(default_factory=dict)
    binds: Sequence[Bind] = ()
    cpus: float | None = None
    cpu_shares: int | None = None
    memory_mib: int | None = None


class Containers:
    """Starts and ends the containers of one home."""

    def __init__(self, podman: Podman, run_folder: Path) -> None:
        self._podman = podman
        self._pids = run_folder
        # Nobody waits for what podman forgets; those who wait for a start shall have the processors.
        self._starting = asyncio.Semaphore(_STARTS_AT_ONCE)
        self._removing = asyncio.Semaphore(_REMOVALS_AT_ONCE)

    async def start(self, spec: ContainerSpec) -> int:
        """Starts a container; the host's process id of its init. Raises `PodmanFailed`."""
        init = shutil.which("catatonit")
        if init is None:
            raise FailedPrecondition("catatonit is not installed; it is the first process of every sandbox")
        pid_file = self._pids / f"{spec.name}.pid"
        args = ["run", "--detach", "--name", spec.name, "--label", self._podman.label]
        args += ["--hostname", spec.hostname, "--network", spec.network, "--pidfile", str(pid_file)]
        args += ["--log-driver", "none", "--systemd=false", "--pids-limit", "-1", "--shm-size", "2g"]
        args += ["--mount", f"type=bind,source={init},target={_INIT},ro"]
        if spec.cpus:
            args += ["--cpus", f"{spec.cpus:g}"]
        if spec.cpu_shares:
            args += ["--cpu-shares", str(max(2, spec.cpu_shares))]
        if spec.memory_mib:
            args += ["--memory", f"{spec.memory_mib}m", "--memory-swap", f"{spec.memory_mib}m"]
        for inside, outside in spec.ports.items():
            args += ["--publish", f"{LOOPBACK}:{outside}:{inside}"]
        for bind in spec.binds:
            option = f"type=bind,source={bind.source},target={bind.target},bind-propagation=rslave"
            args += ["--mount", option + (",ro" if bind.read_only else "")]
        args += ["--rootfs", str(spec.root), _INIT, "-P"]
        try:
            async with self._starting:
                await self._podman.run(*args)
            return int(pid_file.read_text())
        finally:
            pid_file.unlink(missing_ok=True)

    async def remove(self, name: str) -> None:
        """Ends a container at once and forgets it. A missing one is no error."""
        command = ("rm", "--force", "--ignore", "--time", "0", name)
        async with self._removing:
            # Of a container whose processes are gone while podman believes that it runs, the first call notes that
            # it has stopped and then fails ("container state improper: stopped", seen with podman 4.3).
            if (await self._podman.run(*command, check=False)).code:
                await self._podman.run(*command)

    async def names(self) -> set[str]:
        """The names of all containers of this home, running or not."""
        listed = await self._podman.run(
            "ps", "--all", "--filter", f"label={self._podman.label}", "--format", "{{.Names}}"
        )
        return set(listed.text.split())


@dataclass(frozen=True, slots=True)
class Process:
    """A process that cannot be mistaken for a later one with the same id: its start time is part of it."""

    pid: int
    started: int

    @classmethod
    def of(cls, pid: int) -> Process | None:
        """The process that has this id now, or None."""
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return None
        fields = stat.rsplit(")", 1)[1].split()
        return None if fields[0] == "Z" else cls(pid, int(fields[19]))

    def alive(self) -> bool:
        return Process.of(self.pid) == self

    async def kill(self) -> None:
        """Kills the process and waits until it is gone; the first one of a container takes all of them along. One that
        is gone is no error."""
        with contextlib.suppress(ProcessLookupError):
            descriptor = os.pidfd_open(self.pid)
            try:
                if self.alive():
                    signal.pidfd_send_signal(descriptor, signal.SIGKILL)
            finally:
                os.close(descriptor)
        await self.ended()

    async def ended(self) -> None:
        """Waits until the process is gone."""
        try:
            descriptor = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return
        loop = asyncio.get_running_loop()
        gone = asyncio.Event()
        try:
            if not self.alive():
                return
            loop.add_reader(descriptor, gone.set)
            await gone.wait()
        finally:
            loop.remove_reader(descriptor)
            os.close(descriptor)


def open_connections(pid: int, ports: Sequence[int]) -> int:
    """How many established TCP connections the network of `pid` has on the given ports."""
    return sum(port in ports for port in _sockets(pid, _ESTABLISHED))


def listens(pid: int, port: int) -> bool:
    """Whether a program in the network of `pid` listens on a TCP port, on whatever address. The kernel's table is read:
    a connection of our own would look like a client to the program."""
    return port in _sockets(pid, _LISTEN)


def _sockets(pid: int, state: str) -> Iterator[int]:
    """The local ports of all TCP sockets in a state, from the kernel's table of that network namespace."""
    for table in ("tcp", "tcp6"):
        try:
            lines = Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]
        except OSError:
            continue
        for words in map(str.split, lines):
            if words[3] == state:
                yield int(words[1].rsplit(":", 1)[1], 16)
