"""The file systems of sandboxes: overlay mounts, whose upper folders become the layers of snapshots.

`podman commit` is slow (18 s for 500 MB, measured); keeping or copying the upper folder of an overlay is as fast as
the disk. A layer is a folder ``layers/<name>``; its name is short because the kernel takes a mount's list of lower
folders in one page (4,096 bytes).
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from localmodal import ids
from localmodal.engine import merge
from localmodal.engine.run import run
from localmodal.errors import Internal, ResourceExhausted
from localmodal.home import Home

PAGE_BYTES = 4096
# Without these a layer could hold references to the stack that it was made in, and would be worth nothing elsewhere.
_OPTIONS = "redirect_dir=nofollow,metacopy=off,index=off,xino=off"


class Layers:
    """The layers of one home, and the mounts made of them."""

    def __init__(self, home: Home) -> None:
        self._layers = home.folder("layers")
        self._mounts = home.folder("mounts")
        # The kernel writes the whole disk behind a mount before it lets go of it; after the first of several little
        # is left to write, whereas several at once hold up everybody.
        self._unmounting = asyncio.Lock()

    def path(self, name: str) -> Path:
        """The folder that holds what layer `name` changes, in overlay's own form."""
        return self._layers / name

    def mount_point(self, key: str) -> Path:
        """Where the file system of `key` (a sandbox) is mounted."""
        return self._mounts / key / "root"

    def upper(self, key: str) -> Path:
        """The folder that holds what was written in the mount of `key`, in overlay's own form."""
        return self._mounts / key / "upper"

    async def mount(self, key: str, lower: Sequence[str]) -> Path:
        """Mounts a writable file system for `key`. `lower` names folders, topmost first; relative ones are layers.

        Raises `ResourceExhausted` when there are more layers than the kernel takes.
        """
        folder = self._mounts / key
        folder.mkdir(mode=0o700, parents=True)
        for name, mode in (("upper", 0o755), ("work", 0o700), ("root", 0o755)):
            (folder / name).mkdir(mode=mode)
            (folder / name).chmod(mode)
        options = f"lowerdir={':'.join(lower)},upperdir=../mounts/{key}/upper,workdir=../mounts/{key}/work,{_OPTIONS}"
        if len(options) >= PAGE_BYTES:
            raise ResourceExhausted(f"the image has {len(lower)} layers, more than one mount can hold")
        await run("mount", "-t", "overlay", "overlay", "-o", options, str(folder / "root"), cwd=self._layers)
        return folder / "root"

    def keep(self, key: str, name: str) -> None:
        """Makes what was written in the mount of `key`, in which no program runs any more, the layer `name`.

        Takes no time by size: the mount stays until `discard`, since the kernel writes everything to disk before it
        lets go of one. A second call does nothing. Raises `Internal` when there is nothing to keep.
        """
        upper, layer = self._mounts / key / "upper", self._layers / name
        try:
            upper.rename(layer)
        except FileNotFoundError as error:
            if not layer.is_dir():
                raise Internal(f"what {key} wrote is gone from {upper}") from error

    async def copy(self, key: str) -> str:
        """Copies what was written in the mount of `key`, which goes on, into a new layer; its name.

        The caller keeps programs from writing meanwhile.
        """
        async with self._new() as (name, folder):
            await run("cp", "-a", "--reflink=auto", f"{self._mounts / key / 'upper'}/.", str(folder))
        return name

    async def merge(self, names: Sequence[str]) -> str:
        """A new layer that says what the layers `names`, oldest first, say together; its name. They stay."""
        async with self._new() as (name, folder):
            await self.put(names, folder)
        return name

    @asynccontextmanager
    async def _new(self) -> AsyncIterator[tuple[str, Path]]:
        """A name and an empty folder, which becomes the layer of that name unless an error comes."""
        name = ids.short_name()
        partial = self._layers / f"{name}.partial"
        partial.mkdir(mode=0o755)
        try:
            yield name, partial
            partial.rename(self._layers / name)
        except BaseException:
            await remove_tree(partial)
            raise

    async def put(self, names: Sequence[str], target: Path) -> None:
        """Puts the layers `names`, oldest first, on a folder that is a layer itself, such as podman's."""
        folders = [str(self._layers / name) for name in names]
        await run(sys.executable, "-I", "-S", merge.__file__, str(target), *folders)

    async def discard(self, key: str) -> None:
        """Ends the mount of `key` and removes what was written and not kept. A missing one is no error."""
        folder = self._mounts / key
        if not folder.exists():
            return
        async with self._unmounting:
            if (folder / "root").is_mount():
                await run("umount", str(folder / "root"))
        await remove_tree(folder)

    async def remove(self, names: Sequence[str]) -> None:
        """Removes layers. A missing one is no error."""
        for name in names:
            await remove_tree(self._layers / name)

    async def sweep(self, needed: set[str]) -> None:
        """Removes the layers that nobody needs any more, and what a crash left half copied. Only before anything is
        made: a layer that is not recorded yet would be taken for one of those."""
        await self.remove([path.name for path in list(self._layers.iterdir()) if path.name not in needed])


async def remove_tree(path: Path) -> None:
    """Removes a folder and all in it, off the event loop, but nothing that is mounted there. A missing one is no
    error."""
    if path.exists():
        await run("rm", "-rf", "--one-file-system", str(path))
