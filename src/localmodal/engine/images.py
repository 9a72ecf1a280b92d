"""Base images by name: the local store, then a registry, then, for Debian's and Python's, one made from Debian's
packages."""

from __future__ import annotations

import asyncio
import fcntl
import os
import re
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from localmodal.engine.podman import Podman
from localmodal.errors import NotFound

BASE_LABEL = "localmodal.base=1"
_DEBIAN = re.compile(r"(?:docker\.io/)?(?:library/)?debian:([a-z]+|1[0-9])(?:-slim)?")
_PYTHON = re.compile(r"(?:docker\.io/)?(?:library/)?python:(3\.\d+)(?:-slim)?(?:-(bookworm|trixie))?")
_PYTHON_OF = {"bookworm": "3.11", "trixie": "3.13"}
_SUITES = {"12": "bookworm", "13": "trixie", "latest": "stable"}
_PULL_S = 60.0
_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_BASES = "localhost/localmodal-base"

# Where Python's own images have it, and with a pip that installs without asking, as theirs does.
_PYTHON_HOOK = """chroot "$1" sh -eu -c '
for name in python python3; do ln -s /usr/bin/python3 /usr/local/bin/$name; done
ln -s /usr/bin/pip3 /usr/local/bin/pip
rm -f /usr/lib/python3*/EXTERNALLY-MANAGED'"""

Log = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class _Recipe:
    """An image that Debian's packages make: what it is called here, its suite, and mmdebstrap's options beside that."""

    ref: str
    suite: str
    options: tuple[str, ...] = ()


def _recipe(name: str) -> _Recipe | None:
    """How to make the image `name` without a registry, None for one that only a registry has."""
    debian = _DEBIAN.fullmatch(name)
    if debian:
        return _Recipe(f"{_BASES}/debian:{debian[1]}", _SUITES.get(debian[1], debian[1]))
    python = _PYTHON.fullmatch(name)
    suites = [suite for suite, version in _PYTHON_OF.items() if python and version == python[1]]
    if python is None or not suites or python[2] not in (None, *suites):
        return None
    options = ("--include=python3,python3-pip,ca-certificates", f"--customize-hook={_PYTHON_HOOK}")
    return _Recipe(f"{_BASES}/python:{python[1]}", suites[0], options)


class BaseImages:
    """Finds or makes the images that builds start from. Bases made here are shared by all homes of the machine."""

    def __init__(self, podman: Podman) -> None:
        self._podman = podman
        self._unreachable = False

    async def resolve(self, name: str, log: Log) -> str:
        """What podman calls the image `name`; what is tried goes to `log`. Raises `NotFound` when all fails."""
        if name == "scratch":
            return name
        recipe = _recipe(name)
        for ref in (name, recipe.ref) if recipe else (name,):
            if not (await self._podman.run("image", "exists", ref, check=False)).code:
                return ref
        tried = ["not in the local store"]
        reason = await self._pull(name, log)
        if reason is None:
            return name
        tried.append(f"no registry gave it ({reason})")
        if recipe:
            if shutil.which("mmdebstrap"):
                await self._bootstrap(recipe, log)
                return recipe.ref
            tried.append("mmdebstrap, which could make it from Debian's packages, is not installed")
        raise NotFound(f"image {name}: {'; '.join(tried)}")

    async def _pull(self, name: str, log: Log) -> str | None:
        """Why the image could not be pulled, or None when it was."""
        if self._unreachable:
            return "none could be reached before"
        log(f"looking for {name} in a registry\n")
        qualified = name if "." in name.split("/")[0] else f"docker.io/{'' if '/' in name else 'library/'}{name}"
        try:
            async with asyncio.timeout(_PULL_S):
                output = await self._podman.run("pull", "--quiet", qualified, check=False)
        except TimeoutError:
            return f"no answer within {_PULL_S:g} s"
        if not output.code:
            return None
        reason = output.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["no reason given"]
        self._unreachable = any(word in reason[0] for word in ("no such host", "connection refused", "timeout"))
        return reason[0][-300:]

    async def _bootstrap(self, recipe: _Recipe, log: Log) -> None:
        ref, suite = recipe.ref, recipe.suite
        async with _only_one(ref):
            if not (await self._podman.run("image", "exists", ref, check=False)).code:
                return
            log(f"making {ref} from Debian's packages ({suite}); this takes about half a minute, once a machine\n")
            archive = Path(os.environ.get("TMPDIR", "/var/tmp")) / f"localmodal-{suite}-{os.getpid()}.tar"  # noqa: S108
            try:
                process = await asyncio.create_subprocess_exec(
                    *("mmdebstrap", "--quiet", "--variant=minbase", *recipe.options, suite, str(archive)),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=asyncio.subprocess.DEVNULL,
                    stderr=asyncio.subprocess.PIPE,
                )
                _stdout, stderr = await process.communicate()
                if process.returncode:
                    tail = stderr.decode(errors="replace").strip()[-500:]
                    raise NotFound(f"Debian {suite} could not be made with mmdebstrap: {tail}")
                changes = [f"LABEL {BASE_LABEL}", f"ENV {_PATH}", 'CMD ["bash"]']
                options = [word for change in changes for word in ("--change", change)]
                await self._podman.run("import", "--quiet", *options, str(archive), ref)
            finally:
                archive.unlink(missing_ok=True)


@asynccontextmanager
async def _only_one(name: str) -> AsyncIterator[None]:
    """Lets one process of this machine at a time make the thing called `name`."""
    path = Path("/run") / f"localmodal-{re.sub(r'[^a-z0-9]', '-', name)}.lock"
    with path.open("w") as file:
        await asyncio.to_thread(fcntl.flock, file, fcntl.LOCK_EX)
        yield
