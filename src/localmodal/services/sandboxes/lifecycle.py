"""How a sandbox lives: boots, is watched, ends, and leaves its snapshot."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from localmodal.engine.containers import Containers, ContainerSpec, Process, open_connections
from localmodal.engine.image_layers import ImageLayers
from localmodal.engine.layers import Layers, remove_tree
from localmodal.engine.network import Network
from localmodal.engine.programs import EXIT_KILLED, Ending, RunningProgram
from localmodal.engine.spawner import Program, Spawner
from localmodal.engine.watch import Watcher
from localmodal.errors import LocalModalError
from localmodal.home import Home
from localmodal.services.images.backend import ImagesBackend
from localmodal.services.mounts.backend import MountsBackend
from localmodal.services.sandboxes.files import add_files
from localmodal.services.sandboxes.readiness import until_ready
from localmodal.services.sandboxes.spec import Sandbox, Status
from localmodal.services.sandboxes.table import SandboxTable
from localmodal.services.volumes.backend import VolumesBackend

log = logging.getLogger("localmodal.sandboxes")

MAIN = "main"
DEFAULT_COMMAND = ("sleep", "172800")
_IDLE_LOOK_S = 1.0
_MILLI = 1000


@dataclass
class Live:
    """What the server holds in memory of a sandbox that has not been cleaned up after."""

    started: asyncio.Event = field(default_factory=asyncio.Event)
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    snapshot: asyncio.Event = field(default_factory=asyncio.Event)
    terminate: asyncio.Event = field(default_factory=asyncio.Event)
    programs: dict[str, RunningProgram] = field(default_factory=dict)
    writing: asyncio.Lock = field(default_factory=asyncio.Lock)
    stdin_index: int = 0
    active_at: float = field(default_factory=time.monotonic)
    task: asyncio.Task[None] | None = None

    def touch(self) -> None:
        """Notes activity, which puts off the end for idleness."""
        self.active_at = time.monotonic()


@dataclass(frozen=True)
class Engine:
    """The parts of this machine that sandboxes are made of."""

    containers: Containers
    image_layers: ImageLayers
    layers: Layers
    network: Network
    spawner: Spawner
    watcher: Watcher


class Lifecycle:
    """Runs the sandboxes of one home. One task for each sandbox, from its start to the last of its cleaning up."""

    def __init__(
        self,
        home: Home,
        table: SandboxTable,
        engine: Engine,
        images: ImagesBackend,
        mounts: MountsBackend,
        volumes: VolumesBackend,
    ) -> None:
        self.engine = engine
        self._home = home
        self._table = table
        self._images = images
        self._mounts = mounts
        self._volumes = volumes
        self._run = home.folder("run")
        self._live: dict[str, Live] = {}

    def live(self, sandbox_id: str) -> Live | None:
        return self._live.get(sandbox_id)

    def folder(self, sandbox_id: str) -> Path:
        """Where the outputs of a sandbox's programs are."""
        return self._run / sandbox_id

    def program(self, sandbox_id: str, name: str) -> RunningProgram:
        """A program of a sandbox, running or ended."""
        live = self._live.get(sandbox_id)
        if live is not None and name in live.programs:
            return live.programs[name]
        return RunningProgram(self.folder(sandbox_id) / name, self.engine.watcher)

    def environment(self, sandbox_id: str) -> dict[str, str]:
        """The environment that every program of a running sandbox starts with."""
        values: dict[str, str] = json.loads((self.folder(sandbox_id) / "environment").read_text())
        return values

    def begin(self, sandbox: Sandbox, secrets: Mapping[str, str]) -> None:
        """Starts a new sandbox; returns at once."""
        live = self._live[sandbox.id] = Live()
        live.task = asyncio.create_task(self._live_through(sandbox, live, secrets), name=sandbox.id)

    def resume(self, sandbox: Sandbox) -> None:
        """Takes over a sandbox of an earlier server, or cleans up after one that ended meanwhile."""
        live = self._live[sandbox.id] = Live()
        for port in sandbox.host_ports.values():
            self.engine.network.adopt_port(port)
        live.task = asyncio.create_task(self._live_on(sandbox, live), name=sandbox.id)

    async def stop(self) -> None:
        """Lets go of all sandboxes; those that run go on."""
        tasks = [live.task for live in self._live.values() if live.task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._live.clear()

    async def _live_through(self, sandbox: Sandbox, live: Live, secrets: Mapping[str, str]) -> None:
        try:
            sandbox = await self._boot(sandbox, live, secrets)
        except (LocalModalError, OSError) as error:
            log.warning("%s did not start: %s", sandbox.id, error)
            await self._end(sandbox, live, Status.INIT_FAILURE, 1, str(error))
            return
        await self._live_on(sandbox, live)

    async def _live_on(self, sandbox: Sandbox, live: Live) -> None:
        if sandbox.running and not sandbox.init_pid:
            await self._end(sandbox, live, Status.INIT_FAILURE, 1, "localmodal was restarted while the sandbox booted")
            return
        live.started.set()
        if not sandbox.running:
            await self._clean_up(sandbox, live)
            return
        probe = asyncio.create_task(self._probe(sandbox, live))
        try:
            status, message = await self._watch(sandbox, live)
        finally:
            probe.cancel()
        if status is None:
            ending = self.program(sandbox.id, MAIN).ending() or Ending(137)
            status, message = _status_of(ending)
            await self._end(sandbox, live, status, ending.code, message)
        else:
            await self._end(sandbox, live, status, 0, message)

    async def _boot(self, sandbox: Sandbox, live: Live, secrets: Mapping[str, str]) -> Sandbox:
        spec = sandbox.spec
        image = sandbox.image
        lower = [*reversed(image.layers), *await self.engine.image_layers.folders(image.podman_ref)]
        root = await self.engine.layers.mount(sandbox.id, lower)
        await asyncio.to_thread(add_files, root, self._mounts, spec.mount_ids)
        binds = await self._volumes.views.open(sandbox.id, spec.volumes)
        init_pid = await self.engine.containers.start(
            ContainerSpec(
                name=_container_name(sandbox.id),
                hostname="modal",
                root=root,
                network=self.engine.network.name,
                ports=sandbox.host_ports,
                binds=binds,
                cpus=spec.milli_cpu_limit / _MILLI if spec.milli_cpu_limit else None,
                cpu_shares=spec.milli_cpu * 1024 // _MILLI or None,
                memory_mib=spec.memory_mib_limit or None,
            )
        )
        init = Process.of(init_pid)
        if init is None:
            raise OSError("the container ended while it started")
        await self.engine.network.apply(init_pid, spec.egress)
        environment = _environment(image.env, secrets, sandbox)
        _write_private(self.folder(sandbox.id) / "environment", json.dumps(environment))
        program = Program(
            argv=spec.args or (*image.entrypoint, *image.cmd) or DEFAULT_COMMAND,
            env=environment,
            workdir=spec.workdir or image.workdir or "/",
            terminal=spec.terminal,
            ends_container=True,
        )
        main = live.programs[MAIN] = RunningProgram(self.folder(sandbox.id) / MAIN, self.engine.watcher)
        await main.start(self.engine.spawner, init_pid, program)
        return self._table.update(sandbox.id, init_pid=init.pid, init_started=init.started, started_at=time.time())

    async def _probe(self, sandbox: Sandbox, live: Live) -> None:
        if sandbox.ready_at is None:
            if sandbox.spec.probe is not None:
                await until_ready(sandbox, sandbox.spec.probe, self)
            self._table.update(sandbox.id, ready_at=time.time())
        live.ready.set()

    async def _watch(self, sandbox: Sandbox, live: Live) -> tuple[Status | None, str]:
        """Waits for the end; why it must be ended from here, or (None, "") when it ended by itself."""
        ended = asyncio.create_task(Process(sandbox.init_pid, sandbox.init_started).ended())
        terminated = asyncio.create_task(live.terminate.wait())
        deadline = sandbox.created_at + sandbox.spec.timeout_s
        idle = sandbox.spec.idle_timeout_s
        try:
            while True:
                wait_s = max(0.0, deadline - time.time())
                done, _ = await asyncio.wait(
                    {ended, terminated},
                    timeout=min(wait_s, _IDLE_LOOK_S) if idle else wait_s,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                if ended in done:
                    return None, ""
                if terminated in done:
                    return Status.TERMINATED, "terminated"
                if time.time() >= deadline:
                    return Status.TIMEOUT, f"the lifetime of {sandbox.spec.timeout_s} s is over"
                if idle and self._idle_for(sandbox, live) >= idle:
                    return Status.IDLE_TIMEOUT, f"idle for {idle} s"
        finally:
            ended.cancel()
            terminated.cancel()

    def _idle_for(self, sandbox: Sandbox, live: Live) -> float:
        running = any(name != MAIN and program.ending() is None for name, program in live.programs.items())
        if running or open_connections(sandbox.init_pid, list(sandbox.host_ports)):
            live.touch()
        return time.monotonic() - live.active_at

    async def _end(self, sandbox: Sandbox, live: Live, status: Status, code: int, message: str) -> None:
        async with live.writing:
            await self.engine.containers.remove(_container_name(sandbox.id))
        # Killed for no reason that is known here: without warning, and so without a last commit.
        unwarned = status is Status.FAILURE and code == EXIT_KILLED
        await self._volumes.views.settle(sandbox.id, commit=not unwarned)
        sandbox = self._table.update(sandbox.id, ended_at=time.time(), status=status, exit_code=code, message=message)
        log.info("%s ended: %s %s", sandbox.id, status.name, message)
        live.started.set()
        live.ended.set()
        await self._clean_up(sandbox, live)

    async def _clean_up(self, sandbox: Sandbox, live: Live) -> None:
        """Keeps or removes what the sandbox wrote and gives back what it held. May be done again after a crash."""
        await self.engine.containers.remove(_container_name(sandbox.id))
        if sandbox.spec.exit_snapshot and not sandbox.exit_image_id and sandbox.status is not Status.INIT_FAILURE:
            await self._keep(sandbox)
        else:
            await self.engine.layers.discard(sandbox.id)
        await self._volumes.views.release(sandbox.id)
        for port in sandbox.host_ports.values():
            self.engine.network.release_port(port)
        (self.folder(sandbox.id) / "environment").unlink(missing_ok=True)
        for program in live.programs.values():
            program.close_stdin()
        self._table.finish(sandbox.id)
        live.ended.set()
        live.snapshot.set()
        self._live.pop(sandbox.id, None)

    async def _keep(self, sandbox: Sandbox) -> None:
        try:
            base = sandbox.image
            layer = await self.engine.layers.keep(sandbox.id)
            size = await self.engine.layers.size(layer)
            image = self._images.add_snapshot(base, (*base.layers, layer), ttl_s=None, size=size)
            self._table.update(sandbox.id, exit_image_id=image.id)
        except (LocalModalError, OSError) as error:
            log.exception("%s: no exit snapshot", sandbox.id)
            self._table.update(sandbox.id, exit_image_error=str(error))

    async def forget(self, sandbox: Sandbox) -> None:
        """Removes the outputs of an ended sandbox."""
        await remove_tree(self.folder(sandbox.id))


def _container_name(sandbox_id: str) -> str:
    return f"localmodal-{sandbox_id}"


def _status_of(ending: Ending) -> tuple[Status, str]:
    if ending.out_of_memory:
        return Status.OUT_OF_MEMORY, "killed by the kernel: out of memory"
    if ending.code:
        return Status.FAILURE, f"the command ended with {ending.code}"
    return Status.SUCCESS, ""


def _environment(image: Mapping[str, str], secrets: Mapping[str, str], sandbox: Sandbox) -> dict[str, str]:
    base = {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": "/root",
        **image,
        "MODAL_SANDBOX_ID": sandbox.id,
        "MODAL_TASK_ID": sandbox.task_id,
        "MODAL_ENVIRONMENT": sandbox.environment,
    }
    if sandbox.spec.terminal:
        base["TERM"] = "xterm-256color"
    return base | dict(secrets)


def _write_private(path: Path, text: str) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
