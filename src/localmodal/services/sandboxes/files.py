"""Puts local files that an image carries without a build step into a sandbox before it starts."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from localmodal.errors import InvalidArgument
from localmodal.services.mounts.backend import MountsBackend


def add_files(root: Path, mounts: MountsBackend, mount_ids: Sequence[str]) -> None:
    """Writes the files of the mounts below `root`. Raises `InvalidArgument` for a path that would leave it."""
    for mount_id in mount_ids:
        for file in mounts.files(mount_id):
            target = inside(root, file.path)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(mounts.content_path(file.sha256), target)
            target.chmod(file.mode or 0o644)


def inside(root: Path, path: str) -> Path:
    """Where `path` of a container is below `root`, links followed as the container would see them."""
    current = root
    parts = list(reversed(PurePosixPath("/", path).parts[1:]))
    links = 0
    while parts:
        part = parts.pop()
        if part == "..":
            current = current if current == root else current.parent
            continue
        following = current / part
        if following.is_symlink():
            links += 1
            if links > 40:
                raise InvalidArgument(f"too many links in the path {path}")
            target = PurePosixPath(following.readlink())
            if target.is_absolute():
                current = root
            parts.extend(reversed([word for word in target.parts if word != "/"]))
            continue
        current = following
    return current
