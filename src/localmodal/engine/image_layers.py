"""Where podman keeps the layers of an image, so that sandboxes can be mounted on them directly."""

from __future__ import annotations

from pathlib import Path

from localmodal.engine.podman import Podman
from localmodal.errors import Internal


class ImageLayers:
    """Looks up the folders of images in podman's store; an image's never change, so each is asked for once."""

    def __init__(self, podman: Podman) -> None:
        self._podman = podman
        self._known: dict[str, tuple[str, ...]] = {}

    async def folders(self, ref: str) -> tuple[str, ...]:
        """The folders of all layers of the image `ref`, topmost first. Raises `PodmanFailed` for an unknown image."""
        if ref not in self._known:
            self._known[ref] = await self._look_up(ref)
        return self._known[ref]

    async def _look_up(self, ref: str) -> tuple[str, ...]:
        described = await self._podman.json("image", "inspect", ref)
        driver = described[0]["GraphDriver"]
        if driver["Name"] != "overlay":
            raise Internal(f"podman stores images with the {driver['Name']} driver; localmodal needs overlay")
        data = driver["Data"]
        # podman's names for layers are long, and a mount takes one page of them: it keeps a short link to each.
        lower = data.get("LowerDir", "")
        return tuple(_short(path) for path in [data["UpperDir"], *filter(None, lower.split(":"))])


def _short(path: str) -> str:
    """The short link that podman keeps beside a layer, when there is one."""
    folder = Path(path)
    link = folder.parent / "link"
    if not link.exists():
        return path
    short = folder.parent.parent / "l" / link.read_text().strip()
    return str(short) if short.exists() else path
