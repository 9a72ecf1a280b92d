"""Images: built ones, and the snapshots of sandboxes, which are layers on top of a built one."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from localmodal import ids
from localmodal.engine.builds import Build, Builder
from localmodal.engine.layers import Layers
from localmodal.engine.podman import Podman, image_store
from localmodal.errors import LocalModalError
from localmodal.services.images.disk import ImageDisk, flat_ref
from localmodal.services.images.table import Image, ImageTable
from localmodal.services.mounts.backend import MountsBackend
from localmodal.services.secrets.backend import SecretsBackend
from localmodal.store import Store


@dataclass(frozen=True, slots=True)
class Definition:
    """What an image is built from. `bases` maps the names that FROM uses to image ids."""

    commands: tuple[str, ...]
    bases: Mapping[str, str]
    context_mount_id: str
    files: Mapping[str, bytes]
    build_args: Mapping[str, str]
    secret_ids: tuple[str, ...]


@dataclass
class RunningBuild:
    """A build, its log so far, and in the end its result. `failure` is empty for one that went well."""

    image_id: str
    log: list[str] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    done: bool = False
    failure: str = ""
    task: asyncio.Task[None] | None = None

    def write(self, text: str) -> None:
        self.log.append(text)
        self.wake()

    def wake(self) -> None:
        """Lets everyone look who waits, and those who come later wait anew."""
        self.changed.set()
        self.changed = asyncio.Event()


class ImagesBackend:
    """The images of one home."""

    def __init__(
        self,
        store: Store,
        podman: Podman,
        builder: Builder,
        secrets: SecretsBackend,
        mounts: MountsBackend,
        layers: Layers,
    ) -> None:
        self._table = ImageTable(store)
        self.disk = ImageDisk(self._table, podman, layers)
        self._podman = podman
        self._builder = builder
        self._secrets = secrets
        self._mounts = mounts
        self._layers = layers
        self._builds: dict[str, RunningBuild] = {}
        self._building: dict[str, str] = {}

    def get(self, image_id: str) -> Image:
        """Raises `NotFound`, also for one that has expired."""
        return self._table.get(image_id)

    def get_or_build(self, definition: Definition, *, force: bool) -> tuple[str, bool]:
        """The id of the image, and whether it is there already. Otherwise it is being built: see `join`.

        The same definition gives the same image; secrets count by their names.
        """
        key = self._key(definition)
        if not force:
            found = self._table.built(key)
            if found is not None:
                return found, True
            if key in self._building:
                return self._building[key], False
        image_id = ids.new_id("im")
        build = self._builds[image_id] = RunningBuild(image_id)
        self._building[key] = image_id
        build.task = asyncio.create_task(self._build(build, definition, key))
        return image_id, False

    async def join(self, image_id: str, start: int, timeout_s: float) -> AsyncIterator[tuple[int, str]]:
        """Pieces of a build's log from number `start` on, with the number of the next, until it ends or time is up."""
        build = self._builds.get(image_id)
        if build is None:
            text = self._table.log(image_id)
            if text is not None and start == 0:
                yield 1, text
            return
        deadline = time.monotonic() + timeout_s
        while True:
            changed = build.changed
            while start < len(build.log):
                start += 1
                yield start, build.log[start - 1]
            if build.done or time.monotonic() >= deadline:
                return
            try:
                await asyncio.wait_for(changed.wait(), deadline - time.monotonic())
            except TimeoutError:
                return

    def result(self, image_id: str) -> str | None:
        """Why a build failed, empty when it went well, None while it runs. Raises `NotFound`."""
        build = self._builds.get(image_id)
        if build is None:
            self.get(image_id)
            return ""
        return build.failure if build.done else None

    def add_snapshot(
        self, base: Image, layer: str, *, ttl_s: float | None, task_id: str = "", snapshot_id: str = ""
    ) -> Image:
        """A new image: `base` with another layer on it, kept for `ttl_s` seconds or for ever.

        With ids, `snapshot` finds it again.
        """
        now = time.time()
        image = msgspec.structs.replace(
            base,
            id=ids.new_id("im"),
            layers=(*base.layers, layer),
            created_at=now,
            expires_at=None if ttl_s is None else now + ttl_s,
        )
        self._table.add_snapshot(image, task_id, snapshot_id)
        self.disk.added(image)
        return image

    def snapshot(self, task_id: str, snapshot_id: str) -> str | None:
        """The image that a snapshot of this id became."""
        return self._table.snapshot(task_id, snapshot_id)

    async def delete(self, image_id: str) -> None:
        """Removes an image and frees what only it needed. Raises `NotFound`."""
        await self.disk.delete(image_id)

    def publish(self, image_id: str, environment: str, tag: str) -> None:
        """Gives an image a name in an environment; the name leaves the image that had it. Raises `NotFound`."""
        self._table.publish(image_id, environment, tag)

    def by_tag(self, environment: str, tag: str) -> str:
        """Raises `NotFound`."""
        return self._table.by_tag(environment, tag)

    async def stop(self) -> None:
        """Ends the builds that run; they have failed."""
        await self.disk.stop()
        tasks = [build.task for build in self._builds.values() if build.task and not build.done]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _key(self, definition: Definition) -> str:
        parts = {
            "commands": definition.commands,
            "bases": dict(definition.bases),
            "context": self._mounts.digest(definition.context_mount_id) if definition.context_mount_id else "",
            "files": {name: hashlib.sha256(data).hexdigest() for name, data in definition.files.items()},
            "args": dict(definition.build_args),
            "secrets": sorted(key for secret in definition.secret_ids for key in self._secrets.values(secret)),
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    async def _build(self, build: RunningBuild, definition: Definition, key: str) -> None:
        try:
            await self._run(build, definition, key)
        except LocalModalError as error:
            build.failure = str(error) or "the build failed without a word"
            build.write(f"{build.failure}\n")
        except asyncio.CancelledError:
            build.failure = "localmodal was stopped while the image was built"
            raise
        except Exception as error:
            build.failure = repr(error)
            raise
        finally:
            self._building.pop(key, None)
            build.done = True
            build.wake()

    async def _run(self, build: RunningBuild, definition: Definition, key: str) -> None:
        ref = f"{self._podman.images}:{build.image_id}"
        bases = {name: await self._podman_base(self.get(base)) for name, base in definition.bases.items()}
        files = self._mounts.files(definition.context_mount_id) if definition.context_mount_id else []
        secrets: dict[str, str] = {}
        for secret_id in definition.secret_ids:
            secrets |= self._secrets.values(secret_id)
        await self._builder.build(
            Build(
                commands=definition.commands,
                tag=ref,
                bases=bases,
                context={file.path: (self._mounts.content_path(file.sha256), file.mode) for file in files},
                files=definition.files,
                build_args=definition.build_args,
                secrets=secrets,
            ),
            build.write,
        )
        config = (await self._podman.json("image", "inspect", ref))[0]["Config"] or {}
        image = Image(
            id=build.image_id,
            podman_ref=ref,
            env=dict(pair.split("=", 1) for pair in config.get("Env") or []),
            workdir=config.get("WorkingDir") or "",
            entrypoint=tuple(config.get("Entrypoint") or ()),
            cmd=tuple(config.get("Cmd") or ()),
            created_at=time.time(),
        )
        self._table.add_built(image, key, "".join(build.log))

    async def _podman_base(self, image: Image) -> str:
        """What podman calls `image`. One with layers of its own is made known to podman first, once."""
        if not image.layers:
            return image.podman_ref
        ref = flat_ref(self._podman, image.id)
        if not (await self._podman.run("image", "exists", ref, check=False)).code:
            return ref
        async with image_store():
            container = (await self._podman.run("create", "--label", self._podman.label, image.podman_ref, "true")).text
            try:
                mounted = (
                    await self._podman.run("inspect", "--format", "{{.GraphDriver.Data.UpperDir}}", container)
                ).text
                await self._layers.put(image.layers, Path(mounted))
                await self._podman.run("commit", "--quiet", container, ref)
            finally:
                await self._podman.run("rm", "--force", container, check=False)
        return ref
