"""Stopped hosts by the hundred: records as mngr writes them, without machines, which a stopped host does not have."""

from __future__ import annotations

import contextlib
import hashlib
import json
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.world import World

_PUT = """
import sys, pathlib, modal
volume = modal.Volume.from_name("mngr-state")
folder = pathlib.Path(sys.argv[1])
if sys.argv[2] == "put":
    with volume.batch_upload(force=True) as batch:
        batch.put_directory(folder, "/hosts")
else:
    for path in folder.iterdir():
        volume.remove_file(f"hosts/{path.name}", recursive=True)
"""


@contextlib.contextmanager
def stopped(world: World, like: str, count: int) -> Iterator[None]:
    """Records of `count` stopped hosts, each of one agent, made after that of a host that is there."""
    host_id = world.hosts()[like]["id"]
    newest = sorted((world.home / "cache" / "records-modal").glob(f"{host_id}.*"))[-1]
    record: dict[str, Any] = json.loads(newest.read_text())
    folder = world.folder / f"made-{count}-{secrets.token_hex(4)}"
    for number in range(count):
        _write(folder, record, f"past-{number}")
    _volume(world, folder, "put")
    world.mngr("list")
    try:
        yield
    finally:
        _volume(world, folder, "remove")


def _write(folder: Path, like: dict[str, Any], name: str) -> None:
    host_id = "host-" + "".join(secrets.choice("abcdefghijklmnopqrstuvwxyz234567") for _ in range(20))
    agents = [agent | {"id": host_id.replace("host", "agent"), "name": name} for agent in like["agents"]]
    image = {"id": f"im-{secrets.token_hex(11)}", "kind": "exit", "created_at": like["created_at"]}
    record = like | {"id": host_id, "name": name, "state": "STOPPED", "agents": agents, "snapshots": [image]}
    record |= {"reason": "stopped by user", "revision": 7}
    data = json.dumps(record, separators=(",", ":")).encode()
    path = folder / host_id / f"{7:06d}-{hashlib.sha256(data).hexdigest()[:12]}.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(data)


def _volume(world: World, folder: Path, what: str) -> None:
    shown = json.loads(world.run("localmodal", "env", "--format", "json").stdout)
    subprocess.run([sys.executable, "-c", _PUT, str(folder), what], env=world.env | shown, check=True)


def forget(world: World) -> None:
    """Makes it a machine that has never seen these hosts; their keys stay, or nothing could be looked at."""
    for folder in ("records-modal", "accounts", "endpoints", "ends"):
        for path in (world.home / "cache" / folder).glob("*"):
            path.unlink()
