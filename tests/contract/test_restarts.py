"""The server is killed at any moment and started again: nothing that a sandbox wrote is lost."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import time
from pathlib import Path
from types import SimpleNamespace

import modal
import pytest

from localmodal.engine.freezer import control
from localmodal.engine.layers import Layers
from localmodal.home import Home
from localmodal.services.sandboxes.spec import Status
from localmodal.services.sandboxes.table import SandboxTable
from localmodal.store import Store
from tests.conftest import LocalModalServer
from tests.contract.test_endings import OPTIONS, init_of, kill, members, until


def kill_server(server: LocalModalServer) -> None:
    """As a machine that runs out of memory does it, and waits until it is gone."""
    pid = json.loads((server.home / "server.json").read_text())["pid"]
    descriptor = os.pidfd_open(pid)
    signal.pidfd_send_signal(descriptor, signal.SIGKILL)
    assert select.select([descriptor], [], [], 60)[0]
    os.close(descriptor)


def start_server(server: LocalModalServer) -> None:
    done = server.run("up")
    assert done.returncode == 0, done.stderr


def working(app: modal.App, image: modal.Image) -> modal.Sandbox:
    sandbox = modal.Sandbox.create("sleep", "300", app=app, image=image, experimental_options=OPTIONS)
    assert sandbox.exec("sh", "-c", "echo work >/work").wait() == 0
    return sandbox


def exit_files(app: modal.App, sandbox: modal.Sandbox) -> str:
    snapshot = sandbox._experimental_get_exit_snapshot()
    again = modal.Sandbox.create("cat", "/work", app=app, image=snapshot)
    text: str = again.stdout.read()
    return text


def test_a_killed_server(app: modal.App, image: modal.Image, localmodal_server: LocalModalServer) -> None:
    """One sandbox goes on, one ended meanwhile, and the others' ends were cut short after each step."""
    server = localmodal_server
    steps = ["ended", "named", "renamed", "unmounted"]
    goes_on, ended, *cut = [working(app, image) for _ in ("goes on", "ended", *steps)]
    program = goes_on.exec("sh", "-c", "until test -e /go; do sleep 0.1; done; echo done")
    inits = {sandbox.object_id: init_of(sandbox) for sandbox in (ended, *cut)}
    held = init_of(goes_on)
    kill_server(server)
    for init in inits.values():
        kill(members(init))
    # As a server leaves a sandbox that was killed while it took a snapshot.
    path, freeze, *_rest = control(held)
    path.write_text(freeze)
    home = Home(server.home)
    store = Store(server.home / "state.sqlite")
    table = SandboxTable(store)
    layers = Layers(home)
    for step, sandbox in zip(steps, cut, strict=True):
        table.update(sandbox.object_id, ended_at=time.time(), status=Status.TERMINATED, exit_code=137, message="cut")
        if step == "ended":
            continue
        name = f"cut-{step}"
        table.update(sandbox.object_id, exit_layer=name)
        if step != "named":
            layers.keep(sandbox.object_id, name)
        if step == "unmounted":
            subprocess.run(["umount", str(layers.mount_point(sandbox.object_id))], check=True)
    store.close()
    start_server(server)
    assert goes_on.poll() is None
    assert goes_on.exec("touch", "/go").wait() == 0
    assert program.stdout.read() == "done\n"
    assert ended.poll() == 137
    for sandbox in (ended, *cut):
        assert exit_files(app, sandbox) == "work\n"
    goes_on.terminate()
    assert exit_files(app, goes_on) == "work\n"


def test_a_server_killed_while_a_sandbox_boots(
    app: modal.App, image: modal.Image, localmodal_server: LocalModalServer
) -> None:
    sandbox = modal.Sandbox.create("sleep", "300", app=app, image=image, experimental_options=OPTIONS)
    kill_server(localmodal_server)
    start_server(localmodal_server)
    sandbox.terminate()
    sandbox.wait(raise_on_termination=False)
    assert sandbox.returncode in (1, 137)
    name = f"localmodal-{sandbox.object_id}"
    until(lambda: bool(subprocess.run(["podman", "container", "exists", name]).returncode))
    until(lambda: not (localmodal_server.home / "mounts" / sandbox.object_id).exists())


def test_one_snapshot_for_one_id(
    app: modal.App, image: modal.Image, localmodal_server: LocalModalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An SDK that tries again after an answer was lost makes no second image, whatever became of the server."""
    monkeypatch.setattr("modal.sandbox._common.uuid", SimpleNamespace(uuid4=lambda: "the-same"))
    sandbox = working(app, image)
    first = sandbox.snapshot_filesystem().object_id
    assert sandbox.snapshot_filesystem().object_id == first
    kill_server(localmodal_server)
    start_server(localmodal_server)
    assert sandbox.snapshot_filesystem().object_id == first
    other = working(app, image)
    assert other.snapshot_filesystem().object_id != first
    for running in (sandbox, other):
        running.terminate()


def test_podman_may_let_go_of_its_store(
    app: modal.App, image: modal.Image, localmodal_server: LocalModalServer
) -> None:
    """podman binds its storage over itself while it runs; a mount whose layers were found through that bind fails
    when podman ends meanwhile."""
    sandbox = modal.Sandbox.create("sleep", "300", app=app, image=image, experimental_options=OPTIONS)
    assert sandbox.exec("true").wait() == 0
    home = localmodal_server.home
    root = f" {home}/mounts/{sandbox.object_id}/root "
    mount = next(line for line in Path("/proc/self/mountinfo").read_text().splitlines() if root in line)
    lowers = mount.split("lowerdir=")[1].split(",")[0].split(":")
    assert len(lowers) >= 1
    for lower in lowers:
        assert mount_id(home / "layers" / lower) == mount_id(home / "store"), lower
    assert not os.access(home / "store", os.W_OK)
    sandbox.terminate()


def mount_id(path: Path) -> str:
    """The kernel's number of the mount through which `path` is reached."""
    descriptor = os.open(path, os.O_PATH)
    try:
        return Path(f"/proc/self/fdinfo/{descriptor}").read_text().split("mnt_id:")[1].split()[0]
    finally:
        os.close(descriptor)
