"""How a sandbox ends: its programs, its exit snapshot, and what it held of this machine.

The server may be killed after any step. What is to be done next is read off the record and the disk, never off
memory, and each step may be done again.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from pathlib import Path

from localmodal import ids
from localmodal.engine.containers import Process
from localmodal.engine.freezer import thaw
from localmodal.engine.programs import EXIT_KILLED
from localmodal.errors import LocalModalError
from localmodal.services.images.backend import ImagesBackend
from localmodal.services.sandboxes.live import Engine, Live
from localmodal.services.sandboxes.spec import Sandbox, Status
from localmodal.services.sandboxes.table import SandboxTable
from localmodal.services.volumes.backend import VolumesBackend

log = logging.getLogger("localmodal.sandboxes")


def container_name(sandbox_id: str) -> str:
    return f"localmodal-{sandbox_id}"


class Departure:
    """Ends the sandboxes of one home."""

    def __init__(
        self, table: SandboxTable, engine: Engine, images: ImagesBackend, volumes: VolumesBackend, run_folder: Path
    ) -> None:
        self._table = table
        self._engine = engine
        self._images = images
        self._volumes = volumes
        self._run = run_folder

    async def end(self, sandbox: Sandbox, live: Live, status: Status, code: int, message: str) -> None:
        """Ends a sandbox that runs or has just ended by itself, and does all that follows."""
        async with live.writing:
            await self._kill(sandbox)
        # Killed for no reason that is known here: without warning, and so without a last commit.
        unwarned = status is Status.FAILURE and code == EXIT_KILLED
        try:
            await self._volumes.views.settle(sandbox.id, commit=not unwarned)
        except (LocalModalError, OSError):
            log.exception("%s: the last commit of its volumes failed", sandbox.id)
        sandbox = self._table.update(sandbox.id, ended_at=time.time(), status=status, exit_code=code, message=message)
        log.info("%s ended: %s %s", sandbox.id, status.name, message)
        live.started.set()
        live.ended.set()
        await self.clean_up(sandbox, live)

    async def _kill(self, sandbox: Sandbox) -> None:
        """Ends all programs. Killing the first one of the container ends the others; podman takes half a second or
        more to forget one, and for that nobody waits."""
        if sandbox.init_pid:
            thaw(sandbox.init_pid)
            await Process(sandbox.init_pid, sandbox.init_started).kill()
        else:
            await self._engine.containers.remove(container_name(sandbox.id))

    async def clean_up(self, sandbox: Sandbox, live: Live) -> None:
        """Keeps or removes what an ended sandbox wrote and gives back what it held. What fails is tried again by the
        next server."""
        kept = self._try_to_keep(sandbox)
        for event in (live.started, live.ended, live.snapshot):
            event.set()
        for program in live.programs.values():
            program.close_stdin()
        try:
            await self._give_back(sandbox, kept=kept)
        except (LocalModalError, OSError):
            log.exception("%s could not be cleaned up after; the next start of localmodal tries again", sandbox.id)
        live.gone.set()

    def _try_to_keep(self, sandbox: Sandbox) -> bool:
        """Whether nothing is left on the mount that somebody may want."""
        if not sandbox.spec.exit_snapshot or sandbox.status is Status.INIT_FAILURE or sandbox.exit_image_id:
            return True
        try:
            self._keep(sandbox)
        except (LocalModalError, OSError, sqlite3.Error) as error:
            log.exception("%s: no exit snapshot", sandbox.id)
            self._table.update(sandbox.id, exit_image_error=str(error))
            return isinstance(error, LocalModalError)
        return True

    def _keep(self, sandbox: Sandbox) -> None:
        """Makes what the sandbox wrote its exit snapshot. The layer's name is on record before the layer is there, so
        that it is never taken for rubbish."""
        if not sandbox.exit_layer:
            sandbox = self._table.update(sandbox.id, exit_layer=ids.short_name())
        self._engine.layers.keep(sandbox.id, sandbox.exit_layer)
        with self._table.transaction():
            image = self._images.add_snapshot(sandbox.image, sandbox.exit_layer, ttl_s=None)
            self._table.update(sandbox.id, exit_image_id=image.id, exit_image_error="")

    async def _give_back(self, sandbox: Sandbox, *, kept: bool) -> None:
        await self._engine.containers.remove(container_name(sandbox.id))
        if not kept:
            return
        await self._volumes.views.release(sandbox.id)
        await self._engine.layers.discard(sandbox.id)
        for port in sandbox.host_ports.values():
            self._engine.network.release_port(port)
        (self._run / sandbox.id / "environment").unlink(missing_ok=True)
        self._table.finish(sandbox.id)
        await self._images.disk.free([sandbox.image])
