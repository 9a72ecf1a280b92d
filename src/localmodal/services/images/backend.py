"""Images: built ones, and the snapshots of sandboxes, which are layers on top of a built one."""

from __future__ import annotations

import asyncio
import hashlib
import json
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from localmodal import ids
from localmodal.engine.builds import Build, Builder
from localmodal.engine.podman import Podman
from localmodal.errors import LocalModalError, NotFound
from localmodal.services.mounts.backend import MountsBackend
from localmodal.services.secrets.backend import SecretsBackend
from localmodal.store import Row, Store

_SCHEMA = """
CREATE TABLE IF NOT EXISTS images (
    id TEXT PRIMARY KEY, key TEXT NOT NULL, record BLOB NOT NULL, expires_at REAL
);
CREATE INDEX IF NOT EXISTS images_key ON images (key) WHERE key != '';
CREATE TABLE IF NOT EXISTS image_tags (
    environment TEXT NOT NULL, tag TEXT NOT NULL, image_id TEXT NOT NULL, PRIMARY KEY (environment, tag)
);
CREATE TABLE IF NOT EXISTS image_logs (image_id TEXT PRIMARY KEY, log TEXT NOT NULL);
"""


class Image(msgspec.Struct, frozen=True, kw_only=True):
    """An image that sandboxes can run. `podman_ref` is in podman's store; `layers` lie on top of it, oldest first.

    `size` is the bytes of the topmost of `layers`; times are seconds since 1970.
    """

    id: str
    podman_ref: str
    layers: tuple[str, ...] = ()
    env: dict[str, str] = {}
    workdir: str = ""
    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    created_at: float = 0.0
    expires_at: float | None = None
    size: int = 0


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
        tag: str,
        secrets: SecretsBackend,
        mounts: MountsBackend,
        layer_path: Callable[[str], Path],
    ) -> None:
        self._store = store
        self._podman = podman
        self._builder = builder
        self._tag = tag
        self._secrets = secrets
        self._mounts = mounts
        self._layer_path = layer_path
        self._builds: dict[str, RunningBuild] = {}
        self._building: dict[str, str] = {}
        self.in_use: Callable[[], list[Image]] = list
        store.ensure(_SCHEMA)

    def get(self, image_id: str) -> Image:
        """Raises `NotFound`, also for one that has expired."""
        row = self._store.one(
            "SELECT record FROM images WHERE id = ? AND (expires_at IS NULL OR expires_at > ?)",
            (image_id, time.time()),
        )
        if row is None:
            raise NotFound(f"Image with ID '{image_id}' not found.")
        return _image(row)

    def get_or_build(self, definition: Definition, *, force: bool) -> tuple[str, bool]:
        """The id of the image, and whether it is there already. Otherwise it is being built: see `join`.

        The same definition gives the same image; secrets count by their names.
        """
        key = self._key(definition)
        if not force:
            row = self._store.one("SELECT id FROM images WHERE key = ? AND expires_at IS NULL", (key,))
            if row is not None:
                return str(row["id"]), True
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
            row = self._store.one("SELECT log FROM image_logs WHERE image_id = ?", (image_id,))
            if row is not None and start == 0:
                yield 1, row["log"]
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

    def add_snapshot(self, base: Image, layers: tuple[str, ...], *, ttl_s: float | None, size: int) -> Image:
        """A new image: `base` with other `layers` on it, kept for `ttl_s` seconds or for ever."""
        now = time.time()
        image = msgspec.structs.replace(
            base,
            id=ids.new_id("im"),
            layers=layers,
            created_at=now,
            expires_at=None if ttl_s is None else now + ttl_s,
            size=size,
        )
        self._save(image, "")
        return image

    async def delete(self, image_id: str) -> list[str]:
        """Removes an image; the layers that no other image needs any more. Raises `NotFound`."""
        row = self._store.one("SELECT record FROM images WHERE id = ?", (image_id,))
        if row is None:
            raise NotFound(f"Image with ID '{image_id}' not found.")
        image = _image(row)
        self._store.execute("DELETE FROM images WHERE id = ?", (image_id,))
        self._store.execute("DELETE FROM image_tags WHERE image_id = ?", (image_id,))
        self._store.execute("DELETE FROM image_logs WHERE image_id = ?", (image_id,))
        rest = self._kept()
        if image.podman_ref not in {other.podman_ref for other in rest}:
            await self._podman.run("untag", image.podman_ref, check=False)
        needed = self.layers()
        return [layer for layer in image.layers if layer not in needed]

    def layers(self) -> set[str]:
        """The layers that some image or sandbox needs."""
        return {layer for image in self._kept() for layer in image.layers}

    def _kept(self) -> list[Image]:
        """All images, and those that were deleted but that a sandbox stands on."""
        return [*(_image(row) for row in self._store.all("SELECT record FROM images")), *self.in_use()]

    def publish(self, image_id: str, environment: str, tag: str) -> None:
        """Gives an image a name in an environment; the name leaves the image that had it."""
        self.get(image_id)
        self._store.execute("INSERT OR REPLACE INTO image_tags VALUES (?, ?, ?)", (environment, tag, image_id))

    def by_tag(self, environment: str, tag: str) -> str:
        """Raises `NotFound`."""
        row = self._store.one("SELECT image_id FROM image_tags WHERE environment = ? AND tag = ?", (environment, tag))
        if row is None:
            raise NotFound(f"Image '{tag}' not found.")
        return str(row["image_id"])

    async def stop(self) -> None:
        """Ends the builds that run; they have failed."""
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
        ref = f"localhost/localmodal/{self._tag}:{build.image_id}"
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
        with self._store.transaction():
            self._save(image, key)
            self._store.execute("INSERT OR REPLACE INTO image_logs VALUES (?, ?)", (build.image_id, "".join(build.log)))

    async def _podman_base(self, image: Image) -> str:
        """What podman calls `image`. One with layers of its own is made known to podman first, once."""
        if not image.layers:
            return image.podman_ref
        ref = f"localhost/localmodal/{self._tag}:flat-{image.id}"
        if not (await self._podman.run("image", "exists", ref, check=False)).code:
            container = (await self._podman.run("create", "--label", self._podman.label, image.podman_ref, "true")).text
            try:
                mounted = (
                    await self._podman.run("inspect", "--format", "{{.GraphDriver.Data.UpperDir}}", container)
                ).text
                for layer in image.layers:
                    await asyncio.to_thread(_copy_layer, self._layer_path(layer), Path(mounted))
                await self._podman.run("commit", "--quiet", container, ref)
            finally:
                await self._podman.run("rm", "--force", container, check=False)
        return ref

    def _save(self, image: Image, key: str) -> None:
        self._store.execute(
            "INSERT INTO images VALUES (?, ?, ?, ?)", (image.id, key, msgspec.json.encode(image), image.expires_at)
        )


def _copy_layer(layer: Path, target: Path) -> None:
    """Puts an overlay layer over another: files replace, whiteouts stay whiteouts, as the kernel made them."""
    subprocess.run(["cp", "-a", f"{layer}/.", str(target)], check=True)


def _image(row: Row) -> Image:
    return msgspec.json.decode(row["record"], type=Image)
