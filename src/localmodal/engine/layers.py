"""The file systems of sandboxes: overlay mounts, whose upper folders become the layers of snapshots.

`podman commit` is slow (18 s for 500 MB, measured); keeping or copying the upper folder of an overlay is as fast as
the disk. A layer is a folder ``layers/<name>``; its name is short because the kernel takes a mount's list of lower
folders in one page (4,096 bytes).
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Sequence
from pathlib import Path

from localmodal import ids
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
        await _run("mount", "-t", "overlay", "overlay", "-o", options, str(folder / "root"), cwd=self._layers)
        return folder / "root"

    async def keep(self, key: str) -> str:
        """Ends the mount of `key` and keeps what was written as a new layer; its name. Takes no time by size."""
        await self._unmount(key)
        name = ids.short_name()
        (self._mounts / key / "upper").rename(self._layers / name)
        await self.discard(key)
        return name

    async def copy(self, key: str) -> str:
        """Copies what was written in the mount of `key`, which goes on, into a new layer; its name.

        The caller keeps programs from writing meanwhile.
        """
        name = ids.short_name()
        partial = self._layers / f"{name}.partial"
        try:
            await _run("cp", "-a", "--reflink=auto", str(self._mounts / key / "upper"), str(partial))
            partial.rename(self._layers / name)
        except BaseException:
            await remove_tree(partial)
            raise
        return name

    async def discard(self, key: str) -> None:
        """Ends the mount of `key` and removes what was written. A missing one is no error."""
        folder = self._mounts / key
        if folder.exists():
            await self._unmount(key)
            await remove_tree(folder)

    async def remove(self, names: Sequence[str]) -> None:
        """Removes layers. A missing one is no error."""
        for name in names:
            await remove_tree(self._layers / name)

    async def sweep(self, needed: set[str]) -> None:
        """Removes the layers that nobody needs any more, and what a crash left half copied."""
        await self.remove([path.name for path in list(self._layers.iterdir()) if path.name not in needed])

    async def size(self, name: str) -> int:
        """Bytes that a layer takes on disk."""
        return int((await _run("du", "-s", "-B1", str(self._layers / name))).split()[0])

    async def _unmount(self, key: str) -> None:
        root = self._mounts / key / "root"
        if root.is_mount():
            await _run("umount", str(root))


async def remove_tree(path: Path) -> None:
    """Removes a folder and all in it, off the event loop. A missing one is no error."""
    if path.exists():
        await asyncio.to_thread(shutil.rmtree, path)


async def _run(*argv: str, cwd: Path | None = None) -> str:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*argv, cwd=cwd, stdout=pipe, stderr=pipe)
    try:
        stdout, stderr = await process.communicate()
    except asyncio.CancelledError:
        if process.returncode is None:
            process.kill()
            await process.wait()
        raise
    if process.returncode:
        raise Internal(f"{argv[0]} ended with {process.returncode}: {stderr.decode(errors='replace').strip()[-500:]}")
    return stdout.decode(errors="replace")
