"""How a sandbox lives: boots, is watched, ends, and leaves its snapshot."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import time
from collections.abc import Coroutine, Mapping
from pathlib import Path

from localmodal.engine.containers import ContainerSpec, Process, open_connections
from localmodal.engine.freezer import thaw
from localmodal.engine.programs import EXIT_KILLED, Ending, RunningProgram
from localmodal.engine.spawner import Program
from localmodal.errors import LocalModalError
from localmodal.home import Home
from localmodal.services.images.backend import ImagesBackend
from localmodal.services.mounts.backend import MountsBackend
from localmodal.services.sandboxes.departure import Departure, container_name
from localmodal.services.sandboxes.files import add_files
from localmodal.services.sandboxes.live import Engine, Live
from localmodal.services.sandboxes.readiness import until_ready
from localmodal.services.sandboxes.spec import Sandbox, Status
from localmodal.services.sandboxes.table import SandboxTable
from localmodal.services.volumes.backend import VolumesBackend

log = logging.getLogger("localmodal.sandboxes")

MAIN = "main"
DEFAULT_COMMAND = ("sleep", "172800")
_IDLE_LOOK_S = 1.0
_MILLI = 1000
_SIGNALLED = 128
EXIT_TIMEOUT = 124
# Why a sandbox ended, its exit code (137 and 124 are what SDKs show themselves), and a sentence for people.
Ended = tuple[Status, int, str]


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
        self._departure = Departure(table, engine, images, volumes, self._run)

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
        live = Live()
        self._go(sandbox, live, self._live_through(sandbox, live, secrets))

    def resume(self, sandbox: Sandbox) -> None:
        """Takes over a sandbox of an earlier server, or cleans up after one that ended meanwhile."""
        live = Live()
        for port in sandbox.host_ports.values():
            self.engine.network.adopt_port(port)
        if sandbox.running and sandbox.init_pid:
            if Process(sandbox.init_pid, sandbox.init_started).alive():
                thaw(sandbox.init_pid)
            for folder in self.folder(sandbox.id).glob("*/"):
                live.programs[folder.name] = RunningProgram(folder, self.engine.watcher)
        self._go(sandbox, live, self._live_on(sandbox, live))

    def _go(self, sandbox: Sandbox, live: Live, course: Coroutine[None, None, None]) -> None:
        self._live[sandbox.id] = live
        live.task = asyncio.create_task(course, name=sandbox.id)
        live.task.add_done_callback(lambda _task: self._live.pop(sandbox.id, None))

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
            await self._departure.end(sandbox, live, Status.INIT_FAILURE, 1, str(error))
            return
        await self._live_on(sandbox, live)

    async def _live_on(self, sandbox: Sandbox, live: Live) -> None:
        if not sandbox.running:
            await self._departure.clean_up(sandbox, live)
            return
        if sandbox.started_at is None:
            if not self.program(sandbox.id, MAIN).begun:
                message = "localmodal was restarted while the sandbox booted"
                await self._departure.end(sandbox, live, Status.INIT_FAILURE, 1, message)
                return
            sandbox = self._table.update(sandbox.id, started_at=time.time())
        live.started.set()
        probe = asyncio.create_task(self._probe(sandbox, live))
        try:
            ended = await self._watch(sandbox, live)
        finally:
            probe.cancel()
        if ended is None:
            ended = _ended_by_itself(self.program(sandbox.id, MAIN).ending())
        status, code, message = ended
        await self._departure.end(sandbox, live, status, code, message)

    async def _boot(self, sandbox: Sandbox, live: Live, secrets: Mapping[str, str]) -> Sandbox:
        spec = sandbox.spec
        image = sandbox.image
        lower = [*reversed(image.layers), *await self.engine.image_layers.folders(image.podman_ref)]
        root = await self.engine.layers.mount(sandbox.id, lower)
        await asyncio.to_thread(add_files, root, self._mounts, spec.mount_ids)
        binds = await self._volumes.views.open(sandbox.id, spec.volumes)
        init_pid = await self.engine.containers.start(
            ContainerSpec(
                name=container_name(sandbox.id),
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
        # On record before the first instruction runs: what it writes is never taken for that of a failed start.
        sandbox = self._table.update(sandbox.id, init_pid=init.pid, init_started=init.started)
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
        return self._table.update(sandbox.id, started_at=time.time())

    async def _probe(self, sandbox: Sandbox, live: Live) -> None:
        if sandbox.ready_at is None:
            if sandbox.spec.probe is not None:
                await until_ready(sandbox, sandbox.spec.probe, self)
            self._table.update(sandbox.id, ready_at=time.time())
        live.ready.set()

    async def _watch(self, sandbox: Sandbox, live: Live) -> Ended | None:
        """Waits for the end; how it is to be ended from here, or None when it ended by itself."""
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
                    return None
                if terminated in done:
                    return Status.TERMINATED, EXIT_KILLED, "terminated by a client"
                if time.time() >= deadline:
                    message = f"the lifetime (timeout) of {sandbox.spec.timeout_s} s is over"
                    return Status.TIMEOUT, EXIT_TIMEOUT, message
                if idle and self._idle_for(sandbox, live) >= idle:
                    return Status.IDLE_TIMEOUT, EXIT_KILLED, f"idle for {idle} s (idle_timeout)"
        finally:
            ended.cancel()
            terminated.cancel()

    def _idle_for(self, sandbox: Sandbox, live: Live) -> float:
        running = any(name != MAIN and program.ending() is None for name, program in live.programs.items())
        if running or open_connections(sandbox.init_pid, list(sandbox.host_ports)):
            live.touch()
        return time.monotonic() - live.active_at


def _ended_by_itself(ending: Ending | None) -> Ended:
    if ending is None:
        return Status.FAILURE, EXIT_KILLED, "the container was killed from outside"
    if ending.out_of_memory:
        return Status.OUT_OF_MEMORY, ending.code, "the command was killed by the kernel: out of memory"
    if ending.code == EXIT_KILLED:
        return Status.FAILURE, ending.code, "the command or its whole container was killed (signal 9)"
    if ending.code > _SIGNALLED:
        return Status.FAILURE, ending.code, f"the command was ended by signal {ending.code - _SIGNALLED}"
    if ending.code:
        return Status.FAILURE, ending.code, f"the command ended with {ending.code}"
    return Status.SUCCESS, 0, ""


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
