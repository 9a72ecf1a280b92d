"""What happens inside running sandboxes: programs, their streams, snapshots of the file system."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping

from localmodal.engine.containers import Process
from localmodal.engine.freezer import frozen
from localmodal.engine.network import Egress
from localmodal.engine.programs import Ending, RunningProgram, Stream
from localmodal.engine.spawner import Program
from localmodal.errors import FailedPrecondition, NotFound
from localmodal.services.images.backend import ImagesBackend
from localmodal.services.sandboxes.backend import SandboxesBackend
from localmodal.services.sandboxes.lifecycle import MAIN, Lifecycle
from localmodal.services.sandboxes.live import Live
from localmodal.services.sandboxes.spec import Sandbox
from localmodal.services.volumes.backend import VolumesBackend


class CommandRouterBackend:
    """The part of Modal that runs beside the sandboxes."""

    def __init__(
        self, sandboxes: SandboxesBackend, lifecycle: Lifecycle, images: ImagesBackend, volumes: VolumesBackend
    ) -> None:
        self._sandboxes = sandboxes
        self._lifecycle = lifecycle
        self._images = images
        self._volumes = volumes
        self._snapshots: dict[tuple[str, str], asyncio.Task[str]] = {}

    async def start(
        self,
        task_id: str,
        exec_id: str,
        argv: tuple[str, ...],
        *,
        env: Mapping[str, str],
        workdir: str,
        timeout_s: float | None,
        terminal: tuple[int, int] | None,
    ) -> None:
        """Starts a program. A second call with the same id does nothing."""
        sandbox, live = await self._running(task_id)
        if exec_id in live.programs:
            return
        program = live.programs[exec_id] = RunningProgram(
            self._lifecycle.folder(sandbox.id) / exec_id, self._lifecycle.engine.watcher
        )
        values = self._lifecycle.environment(sandbox.id) | dict(env)
        if terminal:
            values.setdefault("TERM", "xterm-256color")
        live.touch()
        try:
            await program.start(
                self._lifecycle.engine.spawner,
                sandbox.init_pid,
                Program(
                    argv, values, workdir or sandbox.spec.workdir or sandbox.image.workdir or "/", timeout_s, terminal
                ),
            )
        except BaseException:
            del live.programs[exec_id]
            raise

    def program(self, task_id: str, exec_id: str) -> RunningProgram:
        """A program of a task, running or ended. Raises `NotFound`."""
        sandbox = self._sandboxes.by_task(task_id)
        name = exec_id or MAIN
        if "/" in name or not (self._lifecycle.folder(sandbox.id) / name).is_dir():
            raise NotFound(f"Exec {exec_id} not found in task {task_id}")
        return self._lifecycle.program(sandbox.id, name)

    async def main(self, task_id: str) -> RunningProgram:
        """The sandbox's own program, once it has started. Raises `NotFound` when it never did."""
        await self._sandboxes.wait_started(self._sandboxes.by_task(task_id).id)
        return self.program(task_id, MAIN)

    def read(self, program: RunningProgram, stream: Stream, offset: int) -> AsyncIterator[bytes]:
        return program.read(stream, offset)

    async def write_stdin(self, task_id: str, program: RunningProgram, offset: int, data: bytes, *, eof: bool) -> None:
        """Writes to a program's standard input and counts as activity."""
        live = self._lifecycle.live(self._sandboxes.by_task(task_id).id)
        if live is not None:
            live.touch()
        await program.write_stdin(offset, data, eof=eof)

    async def wait(self, task_id: str, exec_id: str) -> Ending:
        return await self.program(task_id, exec_id).wait()

    async def wait_ready(self, task_id: str, timeout_s: float) -> float:
        return await self._sandboxes.wait_ready(self._sandboxes.by_task(task_id).id, timeout_s)

    async def snapshot(self, task_id: str, snapshot_id: str, *, ttl_s: float | None) -> str:
        """An image of the sandbox's file system as it is now. Calls with one `snapshot_id` make one image, also when
        the server was restarted or the sandbox has ended in between."""
        if not snapshot_id:
            return await self._snapshot(*await self._running(task_id), "", ttl_s)
        key = (task_id, snapshot_id)
        image_id = self._images.snapshot(*key)
        if image_id is not None:
            return image_id
        if key not in self._snapshots:
            sandbox, live = await self._running(task_id)
            if key not in self._snapshots:
                task = asyncio.create_task(self._snapshot(sandbox, live, snapshot_id, ttl_s))
                task.add_done_callback(lambda _task: self._snapshots.pop(key, None))
                self._snapshots[key] = task
        return await asyncio.shield(self._snapshots[key])

    async def _snapshot(self, sandbox: Sandbox, live: Live, snapshot_id: str, ttl_s: float | None) -> str:
        # Until the image is on record the sandbox must not end: what it stands on is kept for its sake.
        async with live.writing:
            if live.ended.is_set() or not Process(sandbox.init_pid, sandbox.init_started).alive():
                raise FailedPrecondition(f"Sandbox {sandbox.id} has ended")
            async with frozen(sandbox.init_pid):
                layer = await self._lifecycle.engine.layers.copy(sandbox.id)
            image = self._images.add_snapshot(
                sandbox.image, layer, ttl_s=ttl_s, task_id=sandbox.task_id, snapshot_id=snapshot_id
            )
        return image.id

    async def set_egress(self, task_id: str, egress: Egress) -> None:
        """Changes what a running sandbox may reach."""
        sandbox, _live = await self._running(task_id)
        await self._lifecycle.engine.network.apply(sandbox.init_pid, egress)

    async def reload_volumes(self, task_id: str) -> None:
        """Shows the sandbox the committed state of its volumes. Raises `FailedPrecondition` while it has files open."""
        sandbox, live = await self._running(task_id)
        async with live.writing, frozen(sandbox.init_pid):
            await self._volumes.views.reload(sandbox.id, sandbox.init_pid)

    async def _running(self, task_id: str) -> tuple[Sandbox, Live]:
        sandbox = await self._sandboxes.wait_started(self._sandboxes.by_task(task_id).id)
        live = self._lifecycle.live(sandbox.id)
        if live is None or not sandbox.running or live.ended.is_set():
            raise NotFound(f"Task {task_id} has ended: {sandbox.message or 'finished'}")
        return sandbox, live
