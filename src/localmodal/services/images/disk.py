"""What images take of the disk: freed when nobody needs it, and long stacks of layers made short."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator
from contextlib import contextmanager

from localmodal.engine.layers import Layers
from localmodal.engine.podman import Podman, image_store
from localmodal.errors import LocalModalError, NotFound
from localmodal.services.images.table import Image, ImageTable

log = logging.getLogger("localmodal.images")

# Each lookup of a name walks the stack, the kernel takes 500 folders and one page of names; podman's come on top.
MERGE_AT_LAYERS = 48
# Merging costs a copy of what the layers hold, so the newest, which most often differ, stay as they are.
UNMERGED_LAYERS = 16
# A stack that got this far before the merge in the background was done waits for it.
MOST_LAYERS = 160
_LOOK_S = 60.0


class ImageDisk:
    """Frees and merges the layers of one home."""

    def __init__(self, table: ImageTable, podman: Podman, layers: Layers) -> None:
        self._table = table
        self._podman = podman
        self._layers = layers
        self._held: list[Image] = []
        self._merging = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._woken = asyncio.Event()
        self.in_use: Callable[[], list[Image]] = list
        """What sandboxes stand on, and what they are about to leave."""

    def start(self) -> None:
        """Begins to watch for images that expire."""
        self._do(self._expire())

    async def stop(self) -> None:
        """Stops what runs; the next server goes on with it."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _do(self, coroutine: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def sweep(self) -> None:
        """Removes the layers that an earlier server left and nobody needs. Only before anything is made."""
        await self._layers.sweep({layer for image in self._needed() for layer in image.layers})

    async def delete(self, image_id: str) -> None:
        """Forgets an image and frees what only it needed; what a sandbox stands on, once that has ended.

        Raises `NotFound`.
        """
        await self.free([self._table.delete(image_id)])

    async def free(self, images: Iterable[Image]) -> None:
        """Frees what of these images nothing needs any more. Not to be called with one that is still being made."""
        for image in images:
            needed = self._needed()
            kept = {layer for other in needed for layer in other.layers}
            await self._layers.remove([layer for layer in image.layers if layer not in kept])
            refs = {other.podman_ref for other in needed}
            if image.id not in {other.id for other in needed}:
                for ref in {image.podman_ref, flat_ref(self._podman, image.id)} - refs:
                    await self._remove(ref)

    async def _remove(self, ref: str) -> None:
        """Takes a name from an image of podman's; what others were built from stays, without one."""
        # Most have no image of podman's own, and then nobody's build need be waited for.
        if not (await self._podman.run("image", "exists", ref, check=False)).code:
            async with image_store(removing=True):
                await self._podman.run("rmi", "--ignore", ref, check=False)

    def added(self, image: Image) -> None:
        """To be told of each new snapshot."""
        self._woken.set()
        if len(image.layers) >= MERGE_AT_LAYERS:
            self._do(self.merge(image.id, MERGE_AT_LAYERS))

    async def ready(self, image: Image) -> Image:
        """The image with no more layers than can be mounted."""
        if len(image.layers) <= MOST_LAYERS:
            return image
        await self.merge(image.id, MOST_LAYERS)
        return self._table.get(image.id)

    async def merge(self, image_id: str, at_least: int) -> None:
        """Puts one layer in the place of an image's oldest ones, if it has `at_least` so many.

        Other images and sandboxes keep theirs. A second call does nothing, nor one for an image that is gone.
        """
        async with self._merging:
            try:
                image = self._table.get(image_id)
            except NotFound:
                return
            if len(image.layers) < at_least:
                return
            old, new = image.layers[:-UNMERGED_LAYERS], image.layers[-UNMERGED_LAYERS:]
            with self._hold(image):
                started = time.monotonic()
                merged = await self._layers.merge(old)
                log.info("%s: %d layers merged in %.1f s", image_id, len(old), time.monotonic() - started)
                try:
                    self._table.set_layers(image_id, (merged, *new))
                except NotFound:
                    await self._layers.remove([merged])
            await self.free([image])

    @contextmanager
    def _hold(self, image: Image) -> Iterator[None]:
        """Keeps an image's layers, whatever becomes of the image."""
        self._held.append(image)
        try:
            yield
        finally:
            self._held.remove(image)

    def _needed(self) -> list[Image]:
        return [*self._table.all(), *self.in_use(), *self._held]

    async def _expire(self) -> None:
        """Removes images when their time is over."""
        while True:
            self._woken.clear()
            for image_id in self._table.expired():
                log.info("%s has expired", image_id)
                try:
                    await self.delete(image_id)
                except (LocalModalError, OSError):
                    log.exception("%s could not be removed", image_id)
            following = self._table.next_expiry()
            wait_s = _LOOK_S if following is None else min(_LOOK_S, max(0.0, following - time.time()))
            try:
                await asyncio.wait_for(self._woken.wait(), wait_s)
            except TimeoutError:
                continue


def flat_ref(podman: Podman, image_id: str) -> str:
    """What podman calls an image whose layers were made known to it, so that others can be built on it."""
    return f"{podman.images}:flat-{image_id}"
