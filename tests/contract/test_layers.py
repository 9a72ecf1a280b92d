"""Long chains of layers, on real overlay mounts but without containers: what is merged says the same as before."""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from localmodal.engine.layers import Layers
from localmodal.engine.podman import Podman
from localmodal.home import Home
from localmodal.services.images.disk import MERGE_AT_LAYERS, ImageDisk
from localmodal.services.images.table import Image, ImageTable
from localmodal.store import Store

CHAIN = 300
ATTRIBUTE = "trusted.test"


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """A home in memory: the kernel writes the whole disk behind a mount before it lets go of one."""
    folder = tmp_path / "home"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(folder)], check=True)
    yield Home(folder)
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def listing(root: Path) -> dict[str, tuple[object, ...]]:
    """Everything that a program could see of a tree."""
    found: dict[str, tuple[object, ...]] = {}
    links: dict[int, str] = {}
    for path in sorted(root.rglob("*")):
        status = path.lstat()
        name = str(path.relative_to(root))
        content: object = None
        if path.is_symlink():
            content = str(path.readlink())
        elif path.is_file():
            content = hashlib.sha256(path.read_bytes()).hexdigest()
        attributes = {
            attribute: os.getxattr(path, attribute, follow_symlinks=False)
            for attribute in os.listxattr(path, follow_symlinks=False)
        }
        linked = "" if path.is_dir() else links.setdefault(status.st_ino, name)
        owner = (status.st_uid, status.st_gid)
        found[name] = (status.st_mode, owner, status.st_mtime_ns, content, attributes, linked)
    return found


def change(root: Path, choice: random.Random, step: int) -> None:
    """What people do to trees, at random: a few of each, over names that come again."""
    for _ in range(6):
        path = root / choice.choice("abcdef") / choice.choice("ghij") / choice.choice("klm")
        for parent in (root / path.parts[len(root.parts)], path.parent):
            if parent.is_symlink() or (parent.exists() and not parent.is_dir()):
                parent.unlink()
            parent.mkdir(exist_ok=True)
        if choice.random() < 0.5:
            path = choice.choice([path, path.parent, path.parent.parent])
        _remove(path) if choice.random() < 0.7 else None
        if path.exists() or path.is_symlink():
            path.chmod(choice.choice([0o700, 0o755])) if not path.is_symlink() else None
            continue
        kind = choice.choice(["file", "folder", "link", "hard", "none", "holes"])
        if kind in ("file", "hard", "holes"):
            path.write_text(f"{step} {choice.random()}")
            os.setxattr(path, ATTRIBUTE, str(step).encode())
            os.chown(path, step, choice.randrange(9))
        if kind == "hard":
            other = root / f"linked-{choice.randrange(4)}"
            _remove(other)
            other.hardlink_to(path)
        elif kind == "holes":
            os.truncate(path, 100_000)
        elif kind == "folder":
            path.mkdir()
            os.setxattr(path, ATTRIBUTE, b"folder")
            (path / f"in-{step}").write_text("inside")
        elif kind == "link":
            path.symlink_to(f"../{step}")


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def test_a_chain_of_300(home: Home) -> None:
    asyncio.run(_chain(home))


async def _chain(home: Home) -> None:
    choice = random.Random(4)  # noqa: S311 (the same changes in each run)
    layers = Layers(home)
    base = home.folder("base")
    for _ in range(4):
        change(base, choice, 0)
    table = ImageTable(Store(home.path / "state.sqlite"))
    disk = ImageDisk(table, Podman(home), layers)
    image = Image(id="im-0", podman_ref="localhost/localmodal/none")
    table.add_built(image, "", "")
    shown = {image.id: listing(base)}
    longest = merges = 0
    for step in range(1, CHAIN + 1):
        root = await layers.mount("sandbox", [*reversed(image.layers), str(base)])
        assert listing(root) == shown[image.id], f"step {step}"
        change(root, choice, step)
        following = Image(id=f"im-{step}", podman_ref=image.podman_ref, layers=(*image.layers, f"layer{step}"))
        shown[following.id] = listing(root)
        layers.keep("sandbox", f"layer{step}")
        await layers.discard("sandbox")
        table.add_snapshot(following)
        longest = max(longest, len(following.layers))
        if len(following.layers) >= MERGE_AT_LAYERS:
            merges += 1
            await disk.merge(following.id, MERGE_AT_LAYERS)
        if step % 10 == 0:
            await disk.delete(image.id)
        image = table.get(following.id)
    assert longest == MERGE_AT_LAYERS
    assert merges > CHAIN // MERGE_AT_LAYERS
    # Older ones show what they showed, whatever was merged or deleted since, and nothing is kept for nobody.
    for known in choice.sample(table.all(), 20):
        root = await layers.mount("sandbox", [*reversed(known.layers), str(base)])
        assert listing(root) == shown[known.id]
        await layers.discard("sandbox")
    needed = {layer for known in table.all() for layer in known.layers}
    assert {path.name for path in home.folder("layers").iterdir()} == needed
