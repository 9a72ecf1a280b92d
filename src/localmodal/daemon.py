"""The server as a background process: started, found, stopped, and all its traces removed."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import logging
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from typing import Any

from localmodal.engine.containers import Process
from localmodal.engine.image_layers import VIEW
from localmodal.engine.images import BASE_LABEL
from localmodal.engine.podman import IMAGES, LABEL, Podman, image_store
from localmodal.engine.tunnel_delay import TunnelDelay
from localmodal.home import Home

_START_S = 60.0
_STOP_S = 120.0
_LOOK_S = 0.05
_END_ALL = signal.SIGUSR1


class DaemonFailed(Exception):
    """The server could not be started or stopped; the message says why and where its log is."""


def serve(home: Home, port: int | None) -> int:
    """Serves until SIGINT or SIGTERM; the exit status. SIGUSR1 ends the sandboxes too."""
    home.make()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    with (home.path / "server.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("localmodal: it is running already; see: localmodal status", file=sys.stderr)
            return 1
        try:
            asyncio.run(_serve(home, port))
        except OSError as error:
            print(f"localmodal: {error}", file=sys.stderr)
            return 1
    return 0


async def _serve(home: Home, port: int | None) -> None:
    from localmodal.server import LocalModal

    stop = asyncio.Event()
    end_sandboxes = False

    def end_all() -> None:
        nonlocal end_sandboxes
        end_sandboxes = True
        stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(_END_ALL, end_all)
    server = LocalModal(home, port=_port(home) if port is None else port)
    await server.start()
    _write(home, server.url)
    logging.getLogger("localmodal").info("serving %s", server.url)
    try:
        await stop.wait()
    finally:
        (home.path / "server.json").unlink(missing_ok=True)
        await server.stop(end_sandboxes=end_sandboxes)


def _port(home: Home) -> int:
    """The port of the last time, so that a restart keeps the address; 0 (any) when it is taken by another."""
    try:
        port = int((home.path / "port").read_text())
    except (FileNotFoundError, ValueError):
        return 0
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return 0
    return port


def _write(home: Home, url: str) -> None:
    process = Process.of(os.getpid())
    (home.path / "port").write_text(url.rsplit(":", 1)[1])
    partial = home.path / "server.json.partial"
    partial.write_text(json.dumps({"url": url, "pid": os.getpid(), "started": process.started if process else 0}))
    partial.rename(home.path / "server.json")


def _running(home: Home) -> tuple[str, Process] | None:
    """The address and process of the server, when it runs."""
    try:
        state = json.loads((home.path / "server.json").read_text())
    except (FileNotFoundError, ValueError):
        return None
    process = Process(state["pid"], state["started"])
    return (state["url"], process) if process.alive() else None


def status(home: Home) -> dict[str, Any]:
    """What is known of the server without asking it."""
    running = _running(home)
    return {
        "running": running is not None,
        "url": running[0] if running else None,
        "pid": running[1].pid if running else None,
        "home": str(home.path),
    }


def up(home: Home, port: int | None) -> bool:
    """Starts the server unless it runs; whether it was started. Two at once start one. Raises `DaemonFailed`."""
    home.make()
    log_path = home.path / "server.log"
    with (home.path / "up.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _running(home):
            return False
        descriptor = os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        command = [sys.executable, "-m", "localmodal", "serve"]
        if port is not None:
            command += ["--port", str(port)]
        with os.fdopen(descriptor, "ab") as log:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd="/"
            )
        deadline = time.monotonic() + _START_S
        while not _running(home):
            if process.poll() is not None:
                last = log_path.read_text(errors="replace").strip().splitlines()[-1:] or ["it said nothing"]
                raise DaemonFailed(f"the server ended with {process.returncode}: {last[0]} (log: {log_path})")
            if time.monotonic() > deadline:
                process.terminate()
                raise DaemonFailed(f"the server did not answer within {_START_S:g} s (log: {log_path})")
            time.sleep(_LOOK_S)
    return True


def down(home: Home, *, end_sandboxes: bool) -> bool:
    """Stops the server; whether it ran. Raises `DaemonFailed` when it does not stop."""
    running = _running(home)
    if running is None and end_sandboxes and home.path.exists() and (home.path / "state.sqlite").exists():
        up(home, None)
        running = _running(home)
    if running is None:
        return False
    process = running[1]
    descriptor = os.pidfd_open(process.pid)
    try:
        signal.pidfd_send_signal(descriptor, _END_ALL if end_sandboxes else signal.SIGTERM)
        if not select.select([descriptor], [], [], _STOP_S)[0]:
            raise DaemonFailed(f"process {process.pid} has not stopped within {_STOP_S:g} s")
    finally:
        os.close(descriptor)
    return True


def purge(home: Home) -> None:
    """Removes everything that this home ever made; bases too when no other home is left. A second call does nothing."""
    if not home.path.exists():
        return
    down(home, end_sandboxes=False)
    asyncio.run(_purge_podman(home))
    for instance in home.path.glob(f"mounts/tracing/root/instances/localmodal-{home.tag}"):
        with contextlib.suppress(OSError):
            instance.rmdir()  # left by a server that was killed; the kernel's own, and no folder to empty
    for mount in [home.path / VIEW, *sorted((home.path / "mounts").glob("*/root"))]:
        subprocess.run(["umount", str(mount)], capture_output=True)  # most are not mounted any more
    shutil.rmtree(home.path)


async def _purge_podman(home: Home) -> None:
    await TunnelDelay(home.tag, lambda _port: False).drop_rules()
    podman = Podman(home)
    mine = f"label={podman.label}"
    containers = (await podman.run("ps", "--all", "--quiet", "--filter", mine)).text.split()
    if containers:
        await podman.run("rm", "--force", "--time", "0", *containers)
    async with image_store(removing=True):
        # By their names: an image may be another home's too.
        named = (await podman.run("images", "--format", "{{.Repository}}:{{.Tag}}")).text.split()
        await _remove_images(podman, [name for name in named if name.startswith(f"{podman.images}:")])
    network = f"localmodal-{home.tag}"
    if not (await podman.run("network", "exists", network, check=False)).code:
        await podman.run("network", "rm", network)
    async with image_store(removing=True):
        others = (await podman.run("images", "--quiet", "--filter", f"reference={IMAGES}/*")).text
        others += (await podman.run("ps", "--all", "--quiet", "--filter", f"label={LABEL}")).text
        if not others:
            bases = ("images", "--all", "--quiet", "--no-trunc", "--filter", f"label={BASE_LABEL}")
            await _remove_images(podman, (await podman.run(*bases)).text.split())


async def _remove_images(podman: Podman, images: list[str]) -> None:
    if images:
        await podman.run("rmi", "--force", "--ignore", *dict.fromkeys(images))
