"""Runs a program of the system to its end."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from localmodal.errors import Internal

# util-linux 2.39 hands each option of a mount to the kernel by itself, and then no more than 256 bytes of it.
_ENVIRONMENT = {"LIBMOUNT_FORCE_MOUNT2": "always"}


async def run(*argv: str, cwd: Path | None = None, check: bool = True) -> str:
    """What the program prints. Raises `Internal` when it ends with an error and `check` is set; ends it when
    cancelled."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *argv, cwd=cwd, stdout=pipe, stderr=pipe, env=os.environ | _ENVIRONMENT
    )
    try:
        stdout, stderr = await process.communicate()
    except asyncio.CancelledError:
        if process.returncode is None:
            process.kill()
            await process.wait()
        raise
    if check and process.returncode:
        raise Internal(f"{argv[0]} ended with {process.returncode}: {stderr.decode(errors='replace').strip()[-500:]}")
    return stdout.decode(errors="replace")
