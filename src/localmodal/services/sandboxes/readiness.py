"""When a sandbox is ready, by its probe."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING

from localmodal.engine.containers import listens
from localmodal.engine.programs import RunningProgram
from localmodal.engine.spawner import Program
from localmodal.services.sandboxes.spec import Probe, Sandbox

if TYPE_CHECKING:
    from localmodal.services.sandboxes.lifecycle import Lifecycle


async def until_ready(sandbox: Sandbox, probe: Probe, lifecycle: Lifecycle) -> None:
    """Asks again every `probe.interval_s` until the sandbox says yes."""
    while not await _ask(sandbox, probe, lifecycle):  # noqa: ASYNC110 (asking at an interval is what a probe is)
        await asyncio.sleep(probe.interval_s)


async def _ask(sandbox: Sandbox, probe: Probe, lifecycle: Lifecycle) -> bool:
    if probe.tcp_port is not None:
        return listens(sandbox.init_pid, probe.tcp_port)
    name = f"probe-{uuid.uuid4().hex}"
    program = RunningProgram(lifecycle.folder(sandbox.id) / name, lifecycle.engine.watcher)
    await program.start(
        lifecycle.engine.spawner,
        sandbox.init_pid,
        Program(argv=probe.command, env=lifecycle.environment(sandbox.id), workdir="/"),
    )
    program.close_stdin()
    return (await program.wait()).code == 0
