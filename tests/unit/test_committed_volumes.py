"""What is committed of a view is what the view shows, whatever was done in it; snapshots follow by the changes."""

from __future__ import annotations

import random
import shutil
import stat
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from localmodal.engine.layers import Layers
from localmodal.home import Home
from localmodal.services.volumes.committed import Committed
from localmodal.services.volumes.written import apply, below, look
from localmodal.store import Store

VOLUME = "vo-1"
NAMES = ("a", "b", "c")


def _shown(root: Path) -> dict[str, tuple[object, ...]]:
    """Everything in a tree: its kind, permissions and content."""
    shown: dict[str, tuple[object, ...]] = {}
    for path in root.rglob("*"):
        status = path.lstat()
        if path.is_symlink():
            value: object = str(path.readlink())
        else:
            value = path.read_bytes() if path.is_file() else ""
        shown[str(path.relative_to(root))] = (stat.filemode(status.st_mode), value)
    return shown


class _Volume:
    """A volume and one view of it, without a server."""

    def __init__(self, home: Home) -> None:
        home.make()
        self.store = Store(home.path / "state.sqlite")
        self.layers = Layers(home)
        self.committed = Committed(self.store, home.folder("volumes"))
        self.committed.make(VOLUME)
        self.head = self.committed.head(VOLUME)
        self.marks: dict[str, str] = {}
        self.snapshot = 0
        self.key = ""

    async def mount(self, key: str) -> Path:
        """A view of the state as it is now, in the place of the one before."""
        if self.key:
            await self.layers.discard(self.key)
        self.snapshot = await self.committed.take(VOLUME, set())
        self.key, self.marks = key, {}
        return await self.layers.mount(key, [f"../volumes/{VOLUME}/{self.snapshot}"])

    def commit(self) -> None:
        snapshot = self.committed.snapshot(VOLUME, self.snapshot)
        upper = self.layers.upper(self.key)
        found = look(upper, snapshot, self.marks)
        paths = found.paths()
        self.committed.note(VOLUME, [*paths, *found.folders, *below(self.head, paths)])
        apply(found, upper, self.head, self.committed.spare(VOLUME))
        for path, mark in found.marks.items():
            if mark is None:
                del self.marks[path]
            else:
                self.marks[path] = mark


@pytest.fixture
async def volume(tmp_path: Path) -> AsyncIterator[_Volume]:
    made = _Volume(Home(tmp_path / "home"))
    yield made
    await made.layers.discard(made.key)
    made.store.close()


def _write(path: Path, chance: random.Random) -> None:
    if not path.is_dir() or path.is_symlink():
        path.unlink(missing_ok=True)
        path.write_bytes(chance.randbytes(chance.choice((0, 10, 2_000_000))))


def _append(path: Path, chance: random.Random) -> None:
    if path.is_file() and not path.is_symlink():
        with path.open("ab") as file:
            file.write(chance.randbytes(100))


def _patch(path: Path, chance: random.Random) -> None:
    if path.is_file() and not path.is_symlink() and path.stat().st_size > 5:
        with path.open("r+b") as file:
            file.write(chance.randbytes(5))


def _remove(path: Path, chance: random.Random) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _folder(path: Path, chance: random.Random) -> None:
    _remove(path, chance)
    path.mkdir(mode=chance.choice((0o755, 0o700)))


def _link(path: Path, chance: random.Random) -> None:
    _remove(path, chance)
    path.symlink_to(chance.choice(("a", "/etc", "../b", "nowhere")))


def _move(path: Path, chance: random.Random) -> None:
    target = path.parent / chance.choice(NAMES)
    if (path.exists() or path.is_symlink()) and target != path:
        _remove(target, chance)
        shutil.move(path, target)


def _permit(path: Path, chance: random.Random) -> None:
    if path.exists() and not path.is_symlink():
        path.chmod(chance.choice((0o700, 0o755)))


ACTIONS: tuple[Callable[[Path, random.Random], None], ...] = (
    *(_write, _write, _append, _append, _patch, _remove, _folder, _folder, _link, _move, _move, _permit),
)


def _act(root: Path, chance: random.Random) -> None:
    folder = root
    while chance.random() < 0.6:
        inner = folder / chance.choice(NAMES)
        if inner.is_symlink() or not inner.is_dir():
            break
        folder = inner
    chance.choice(ACTIONS)(folder / chance.choice(NAMES), chance)


@pytest.mark.parametrize("seed", range(6))
async def test_a_commit_is_what_the_view_shows(volume: _Volume, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 (the same each time)
    for start in range(5):
        root = await volume.mount(f"view-{start}")
        assert _shown(root) == _shown(volume.head)
        for _commit in range(6):
            for _action in range(chance.randint(1, 8)):
                _act(root, chance)
            volume.commit()
            assert _shown(volume.head) == _shown(root)
    # The snapshot that was brought up to date time and again is what a fresh one would be.
    assert await volume.committed.take(VOLUME, set()) == 1
    assert _shown(volume.committed.snapshot(VOLUME, 1)) == _shown(volume.head)


async def test_nothing_is_reached_through_a_link(volume: _Volume, tmp_path: Path) -> None:
    """One sandbox has a folder where another puts a link out of the volume."""
    outside = tmp_path / "outside"
    (outside / "inner").mkdir(parents=True)
    (outside / "precious").write_text("mine")
    root = await volume.mount("view")
    (root / "folder" / "inner").mkdir(parents=True)
    (root / "folder" / "precious").write_text("of the volume")
    volume.commit()
    shutil.rmtree(volume.head / "folder")
    (volume.head / "folder").symlink_to(outside)
    (root / "folder" / "precious").write_text("changed")
    shutil.rmtree(root / "folder" / "inner")
    volume.commit()
    assert (outside / "precious").read_text() == "mine"
    assert (outside / "inner").is_dir()
    assert (volume.head / "folder" / "precious").read_text() == "changed"
    assert not (volume.head / "folder").is_symlink()
