"""The only module that runs podman."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import resource
import shutil
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from localmodal.errors import Internal
from localmodal.home import Home

LABEL = "localmodal.home"
IMAGES = "localhost/localmodal"
_STORE_LOCK = Path("/run/localmodal-images.lock")
_DIES_WITH_US = ("setpriv", "--pdeathsig", "KILL")


@dataclass(frozen=True, slots=True)
class Output:
    """What one run of podman printed and how it ended."""

    code: int
    stdout: bytes
    stderr: bytes

    @property
    def text(self) -> str:
        return self.stdout.decode(errors="replace").strip()


@contextlib.asynccontextmanager
async def image_store(*, removing: bool = False) -> AsyncIterator[None]:
    """Held by whoever makes or lists images, by many at a time, and by whoever removes some, alone.

    podman does not keep these apart itself: an image that goes while another process lists or builds makes that one
    fail with ``image not known`` or ``layer not known`` (seen: podman 4.3). All homes of a machine share one store.
    """
    descriptor = os.open(_STORE_LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        await asyncio.to_thread(fcntl.flock, descriptor, fcntl.LOCK_EX if removing else fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)


class PodmanFailed(Internal):
    """podman ended with an error; the message carries its last lines."""

    def __init__(self, args: tuple[str, ...], output: Output) -> None:
        self.output = output
        tail = output.stderr.decode(errors="replace").strip()[-2000:]
        super().__init__(f"podman {args[0]} ended with {output.code}: {tail}")


class Podman:
    """Runs podman for one home. The containers and networks that it makes carry the label ``localmodal.home=<tag>``,
    its images are named `images`; an image of the same steps is one image, whatever home it was built in."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._config = home.path / "containers.conf"

    @property
    def tag(self) -> str:
        """What tells the home's things from those of others."""
        return self._home.tag

    @property
    def label(self) -> str:
        return f"{LABEL}={self.tag}"

    @property
    def images(self) -> str:
        """The repository of the home's images in podman's store."""
        return f"{IMAGES}/{self.tag}"

    def environment(self) -> dict[str, str]:
        """The environment that podman and buildah must run with."""
        if not self._config.exists():
            self._config.write_text(_containers_conf())
        return os.environ | {"CONTAINERS_CONF": str(self._config)}

    async def spawn(
        self, *args: str, program: str = "podman", env: Mapping[str, str] | None = None, **streams: Any
    ) -> asyncio.subprocess.Process:
        """Starts podman (or another program that needs its configuration) and returns at once.

        It is killed when this process is: a container that came to life later would be nobody's.
        """
        return await asyncio.create_subprocess_exec(
            *(*_DIES_WITH_US, program, *args), env=self.environment() | dict(env or {}), **streams
        )

    async def run(
        self, *args: str, stdin: bytes | None = None, env: Mapping[str, str] | None = None, check: bool = True
    ) -> Output:
        """Runs podman to its end. Raises `PodmanFailed` when it ends with an error and `check` is set."""
        pipe = asyncio.subprocess.PIPE
        process = await self.spawn(
            *args,
            env=env,
            stdin=pipe if stdin is not None else asyncio.subprocess.DEVNULL,
            stdout=pipe,
            stderr=pipe,
        )
        try:
            stdout, stderr = await process.communicate(stdin)
        except asyncio.CancelledError:
            if process.returncode is None:
                process.kill()
                await process.wait()
            raise
        output = Output(process.returncode or 0, stdout, stderr)
        if check and output.code:
            raise PodmanFailed(args, output)
        return output

    async def json(self, *args: str) -> Any:
        """Runs podman and reads what it prints as JSON."""
        return json.loads((await self.run(*args)).stdout or b"null")


def _containers_conf() -> str:
    """crun refuses to work without CAP_SYS_RESOURCE on hybrid cgroups, and podman's default limits are above the hard
    ones there, so both are set by what this machine allows. podman lowers its own process limit to the kernel's
    ``pid_max`` first (measured: podman 4.3, Debian 12 in a VM)."""
    pid_max = int(Path("/proc/sys/kernel/pid_max").read_text())
    nofile = _hard_limit(resource.RLIMIT_NOFILE, 1048576)
    nproc = _hard_limit(resource.RLIMIT_NPROC, pid_max)
    runtime = "runc" if shutil.which("runc") else "crun"
    return (
        f'[engine]\nruntime = "{runtime}"\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n'
        '[network]\nnetwork_backend = "netavark"\n'
        f'[containers]\ndefault_ulimits = ["nofile={nofile}:{nofile}", "nproc={nproc}:{nproc}"]\n'
    )


def _hard_limit(number: int, at_most: int) -> int:
    hard = resource.getrlimit(number)[1]
    return at_most if hard == resource.RLIM_INFINITY else min(hard, at_most)


def installed() -> Path | None:
    """Where podman is, or None."""
    found = shutil.which("podman")
    return Path(found) if found else None
