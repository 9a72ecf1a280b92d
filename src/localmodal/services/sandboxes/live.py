"""What a running server holds of a sandbox, and the parts of the machine that sandboxes are made of."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

from localmodal.engine.containers import Containers
from localmodal.engine.image_layers import ImageLayers
from localmodal.engine.layers import Layers
from localmodal.engine.network import Network
from localmodal.engine.programs import RunningProgram
from localmodal.engine.spawner import Spawner
from localmodal.engine.watch import Watcher


@dataclass
class Live:
    """What the server holds in memory of a sandbox that has not been cleaned up after."""

    started: asyncio.Event = field(default_factory=asyncio.Event)
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    snapshot: asyncio.Event = field(default_factory=asyncio.Event)
    gone: asyncio.Event = field(default_factory=asyncio.Event)
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
