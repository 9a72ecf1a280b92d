"""Every way in which a sandbox can end: what is told of it, and that its files come back."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import modal
import modal.exception
import pytest
from google.protobuf.message import Message
from modal_proto import api_pb2

from tests.conftest import LocalModalServer, until

OPTIONS = {"enable_exit_snapshot": True}
WRITE = "echo work >/work; sync; "
EAT = WRITE + "perl -e '$x .= \"x\" x 1000000 while 1'"


def init_of(sandbox: modal.Sandbox) -> int:
    """The host's process id of a container's first process."""
    shown = subprocess.run(
        ["podman", "inspect", "--format", "{{.State.Pid}}", f"localmodal-{sandbox.object_id}"],
        check=True,
        capture_output=True,
    )
    return int(shown.stdout)


def members(pid: int) -> list[int]:
    """All processes in the PID namespace of `pid`, itself last."""
    space = Path(f"/proc/{pid}/ns/pid_for_children").readlink()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if (folder / "ns/pid").readlink() == space and int(folder.name) != pid:
                found.append(int(folder.name))
        except OSError:
            continue
    return [*found, pid]


def result_of(sandbox: modal.Sandbox) -> api_pb2.GenericResult:
    """What the server says of the end; SDKs keep most of it to themselves."""
    request = api_pb2.SandboxWaitRequest(sandbox_id=sandbox.object_id, timeout=60)
    reply = call("SandboxWait", request)
    assert isinstance(reply, api_pb2.SandboxWaitResponse)
    return reply.result


def call(name: str, request: Message) -> Message:
    """One RPC of the control plane, with the SDK's own channel."""
    from modal._utils.async_utils import synchronizer

    client = synchronizer._translate_in(modal.Client.from_env())

    async def send() -> Message:
        reply: Message = await getattr(client._stub, name)(request)
        return reply

    reply: Message = synchronizer.create_blocking(send)()
    return reply


def kill(process_ids: list[int]) -> None:
    """Kills processes of sandboxes; the end of one may be that of the next."""
    for pid in process_ids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


WAYS: dict[str, tuple[str, dict[str, int], Callable[[modal.Sandbox], None] | None, str, int, str]] = {
    "entrypoint": (WRITE, {}, None, "SUCCESS", 0, ""),
    "failure": (WRITE + "exit 3", {}, None, "FAILURE", 3, "ended with 3"),
    "terminate": (WRITE + "sleep 300", {}, lambda sandbox: sandbox.terminate(), "TERMINATED", 137, "terminated"),
    "idle": (WRITE + "sleep 300", {"idle_timeout": 2}, None, "IDLE_TIMEOUT", 137, "idle for 2 s"),
    "memory": (EAT, {"memory": (64, 64)}, None, "KERNEL_OOM_KILL", 137, "out of memory"),  # type: ignore[dict-item]
    "init": (WRITE + "sleep 300", {}, lambda sandbox: kill([init_of(sandbox)]), "FAILURE", 137, "killed"),
    "all": (WRITE + "sleep 300", {}, lambda sandbox: kill(members(init_of(sandbox))), "FAILURE", 137, "killed"),
    "lifetime": (WRITE + "sleep 300", {"timeout": 10}, None, "TIMEOUT", 124, "lifetime"),
}


def test_each_way_to_end(app: modal.App, image: modal.Image) -> None:
    sandboxes = {}
    for name, (command, limits, *_rest) in reversed(WAYS.items()):
        sandboxes[name] = modal.Sandbox.create(
            *("sh", "-c", command), app=app, image=image, experimental_options=OPTIONS, **limits
        )
    for name, (_command, _limits, end, status, code, reason) in WAYS.items():
        sandbox = sandboxes[name]
        if end is not None:
            assert sandbox.exec("sh", "-c", "until test -s /work; do :; done").wait() == 0
            end(sandbox)
        result = result_of(sandbox)
        told = (api_pb2.GenericResult.GenericStatus.Name(result.status), result.exitcode)
        assert told == (f"GENERIC_STATUS_{status}", code), name
        assert reason in result.exception, name
        if name == "lifetime":
            with pytest.raises(modal.exception.SandboxTimeoutError):
                sandbox.wait()
        else:
            sandbox.wait(raise_on_termination=False)
        assert (sandbox.returncode, sandbox.poll()) == (code, code), name
        again = modal.Sandbox.create("cat", "/work", app=app, image=sandbox._experimental_get_exit_snapshot())
        assert again.stdout.read() == "work\n", name


def test_memory_of_another_program(app: modal.App, image: modal.Image) -> None:
    """What memory ran out of before is not why a sandbox was killed later."""
    sandbox = modal.Sandbox.create("sleep", "300", app=app, image=image, memory=(64, 64))
    assert sandbox.exec("sh", "-c", EAT).wait() == 137
    assert sandbox.poll() is None
    kill([init_of(sandbox)])
    assert "memory" not in result_of(sandbox).exception


def test_an_exit_snapshot_takes_no_time_by_size(app: modal.App, image: modal.Image) -> None:
    sandbox = modal.Sandbox.create("sleep", "300", app=app, image=image, experimental_options=OPTIONS)
    assert (
        sandbox.exec(
            "sh", "-c", "head -c 300000000 /dev/zero >/big; mkdir /many; cd /many; seq 20000 | xargs touch"
        ).wait()
        == 0
    )
    sandbox.terminate()
    started = time.monotonic()
    snapshot = sandbox._experimental_get_exit_snapshot()
    # What is promised is 0.3 s on a machine that does nothing else.
    assert time.monotonic() - started < 1.5
    again = modal.Sandbox.create("sh", "-c", "wc -c </big; ls /many | wc -l", app=app, image=snapshot)
    assert again.stdout.read().split() == ["300000000", "20000"]


def test_a_snapshot_that_expires(app: modal.App, image: modal.Image, localmodal_server: LocalModalServer) -> None:
    """Also one that a sandbox stands on: its files are freed when that has ended."""
    layers = localmodal_server.home / "layers"
    sandbox = modal.Sandbox.create("sleep", "300", app=app, image=image)
    assert sandbox.exec("sh", "-c", "echo kept >/kept").wait() == 0
    before = set(layers.iterdir())
    short = sandbox.snapshot_filesystem(ttl=3)
    gone = sandbox.snapshot_filesystem(ttl=3)
    assert len(set(layers.iterdir()) - before) == 2
    standing = modal.Sandbox.create("sleep", "300", app=app, image=short)
    assert standing.exec("true").wait() == 0
    until(lambda: len(set(layers.iterdir()) - before) == 1)
    for expired in (short, gone):
        with pytest.raises(modal.exception.NotFoundError):
            modal.Sandbox.create("true", app=app, image=modal.Image.from_id(expired.object_id))
    assert standing.exec("cat", "/kept").stdout.read() == "kept\n"
    later = standing.snapshot_filesystem(ttl=None)
    standing.terminate()
    again = modal.Sandbox.create("cat", "/kept", app=app, image=later)
    assert again.stdout.read() == "kept\n"
    again.wait()
    assert len(set(layers.iterdir()) - before) == 2
    modal.experimental.image_delete(later.object_id)
    until(lambda: set(layers.iterdir()) <= before)
    sandbox.terminate()
