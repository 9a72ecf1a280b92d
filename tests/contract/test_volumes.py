"""What Modal promises of volumes in sandboxes: who sees what is written, and when."""

from __future__ import annotations

import io
import os
import subprocess
import time
import uuid

import modal
import modal.exception
import pytest

from tests.conftest import LocalModalServer

# More than a volume's background commit may take on a busy machine; what is waited for comes within seconds.
WITHIN_S = 60


def _volume(version: int) -> modal.Volume:
    return modal.Volume.from_name(f"seen-{uuid.uuid4().hex[:8]}", create_if_missing=True, version=version)


def _sandbox(app: modal.App, image: modal.Image, volumes: dict[str, modal.Volume], *command: str) -> modal.Sandbox:
    return modal.Sandbox.create(*(command or ("sleep", "300")), app=app, image=image, volumes=dict(volumes))


def _run(sandbox: modal.Sandbox, script: str) -> str:
    process = sandbox.exec("sh", "-c", script)
    text: str = process.stdout.read()
    assert process.wait() == 0, process.stderr.read()
    return text


def _end(sandbox: modal.Sandbox) -> None:
    sandbox.terminate()
    sandbox.wait(raise_on_termination=False)


def _names(volume: modal.Volume) -> list[str]:
    return sorted(entry.path for entry in volume.listdir("/", recursive=True))


def _read(volume: modal.Volume, path: str) -> bytes:
    return b"".join(volume.read_file(path))


def _until_committed(volume: modal.Volume, *names: str) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not set(names) <= set(_names(volume)):
        assert time.monotonic() < deadline, _names(volume)


@pytest.mark.parametrize("number", [1, 2])
def test_writes_are_seen_after_a_commit_and_a_reload(app: modal.App, image: modal.Image, number: int) -> None:
    volume = _volume(number)
    with volume.batch_upload() as batch:
        batch.put_file(io.BytesIO(b"first"), "/kept")
        batch.put_file(io.BytesIO(b"first"), "/dropped/deep")
        batch.put_file(io.BytesIO(b"first"), "/same")
    writer, reader = (_sandbox(app, image, {"/vol": volume}) for _ in range(2))
    _run(writer, "cd /vol; mkdir d; echo one >d/one; ln -s one d/link; rm -r dropped; echo second >kept; echo w >same")
    _run(reader, "echo two >/vol/two; >>/vol/kept")
    _until_committed(volume, "d/one", "two")
    assert _names(volume) == ["d", "d/link", "d/one", "kept", "same", "two"]
    # Opening a file for writing is no write, so the other's stands.
    assert _read(volume, "kept") == b"second\n"
    with volume.batch_upload() as batch:
        batch.put_file(io.BytesIO(b"outside"), "/outside")
    show = "cd /vol; find . -type f | sort | xargs grep -H ."
    assert _run(reader, show) == "./dropped/deep:first\n./kept:first\n./same:first\n./two:two\n"
    reader.reload_volumes()
    seen = "./d/one:one\n./kept:second\n./outside:outside\n./same:w\n./two:two\n"
    assert _run(reader, show) == seen
    # The last write wins, and a view goes on after its reload.
    _run(reader, "echo r >/vol/same; mv /vol/d /vol/e")
    reader.reload_volumes()
    assert _names(volume) == ["e", "e/link", "e/one", "kept", "outside", "same", "two"]
    writer.reload_volumes()
    assert _run(writer, "cat /vol/same /vol/e/link") == "r\none\n"
    for sandbox in (writer, reader):
        _end(sandbox)


def test_sync_commits_at_once(app: modal.App, image: modal.Image) -> None:
    first, second = _volume(2), _volume(2)
    sandbox = _sandbox(app, image, {"/one": first, "/two": second})
    for number in range(20):
        _run(sandbox, f"echo {number} >/one/file; echo {number} >/two/file-{number}; sync /one")
        assert _read(first, "file") == f"{number}\n".encode()
    _run(sandbox, "sync /two")
    assert len(_names(second)) == 20
    # Those who start afterwards see it too.
    other = _sandbox(app, image, {"/vol": first}, "cat", "/vol/file")
    assert other.stdout.read() == "19\n"
    _end(sandbox)


def test_how_a_sandbox_ends(app: modal.App, image: modal.Image) -> None:
    volume = _volume(2)
    by_itself = _sandbox(app, image, {"/vol": volume}, "sh", "-c", "echo a >/vol/by-itself; exit 3")
    by_itself.wait(raise_on_termination=False)
    assert _names(volume) == ["by-itself"]
    terminated = _sandbox(app, image, {"/vol": volume})
    _run(terminated, "echo b >/vol/terminated")
    _end(terminated)
    assert _names(volume) == ["by-itself", "terminated"]
    late = modal.Sandbox.create(
        *("sh", "-c", "echo c >/vol/timed-out; sleep 300"), app=app, image=image, volumes={"/vol": volume}, timeout=2
    )
    with pytest.raises(modal.exception.SandboxTimeoutError):
        late.wait()
    assert _names(volume) == ["by-itself", "terminated", "timed-out"]


def test_a_sandbox_killed_without_warning_keeps_what_was_committed(
    app: modal.App, image: modal.Image, localmodal_server: LocalModalServer
) -> None:
    volume = _volume(2)
    sandbox = _sandbox(app, image, {"/vol": volume})
    _run(sandbox, "echo one >/vol/file; sync /vol")
    # While there is no server nothing is committed, so what comes next is lost for certain.
    assert localmodal_server.run("down").returncode == 0
    _run_inside(sandbox.object_id, "echo two >/vol/file; echo more >/vol/lost")
    _kill(sandbox.object_id)
    assert localmodal_server.run("up").returncode == 0
    sandbox = modal.Sandbox.from_id(sandbox.object_id)
    sandbox.wait(raise_on_termination=False)
    assert sandbox.returncode == 137
    assert _names(volume) == ["file"]
    assert _read(volume, "file") == b"one\n"
    # With a server there, the last sync counts even when nobody has looked since.
    sandbox = _sandbox(app, image, {"/vol": volume})
    _run(sandbox, "echo three >/vol/file; sync /vol")
    _kill(sandbox.object_id)
    sandbox.wait(raise_on_termination=False)
    assert _read(volume, "file") == b"three\n"


def _kill(sandbox_id: str) -> None:
    """Ends a container as a machine that fails would."""
    name = f"localmodal-{sandbox_id}"
    subprocess.run(["podman", "kill", "--signal", "KILL", name], check=True, capture_output=True)


def test_read_only_and_parts(app: modal.App, image: modal.Image) -> None:
    volume = _volume(2)
    with volume.batch_upload() as batch:
        batch.put_file(io.BytesIO(b"in"), "/part/in")
        batch.put_file(io.BytesIO(b"out"), "/out")
    reader = _sandbox(app, image, {"/vol": volume.read_only()})
    assert reader.exec("sh", "-c", "echo no >/vol/out").wait() != 0
    assert reader.exec("rm", "/vol/out").wait() != 0
    assert _run(reader, "cat /vol/out /vol/part/in") == "outin"
    with volume.batch_upload(force=True) as batch:
        batch.put_file(io.BytesIO(b"new"), "/out")
    assert _run(reader, "cat /vol/out") == "out"
    reader.reload_volumes()
    assert _run(reader, "cat /vol/out") == "new"
    assert reader.exec("sh", "-c", "echo no >/vol/out").wait() != 0
    _end(reader)


def test_reload_needs_closed_files(app: modal.App, image: modal.Image) -> None:
    volume = _volume(2)
    sandbox = _sandbox(app, image, {"/vol": volume})
    _run(sandbox, "echo held >/vol/held")
    holder = sandbox.exec("sh", "-c", "exec 3</vol/held; echo ready; cat")
    assert next(iter(holder.stdout)) == "ready\n"
    with pytest.raises(modal.exception.ConflictError, match="open files"):
        sandbox.reload_volumes()
    holder.stdin.write_eof()
    holder.stdin.drain()
    assert holder.wait() == 0
    sandbox.reload_volumes()
    assert _run(sandbox, "cat /vol/held") == "held\n"
    _end(sandbox)


def test_pipes_and_sockets_work_and_are_not_committed(app: modal.App, image: modal.Image) -> None:
    volume = _volume(2)
    sandbox = _sandbox(app, image, {"/vol": volume})
    socket = "use IO::Socket::UNIX; IO::Socket::UNIX->new(Local => '/vol/socket', Listen => 1) or die; print 'bound'"
    assert _run(sandbox, f'mkfifo /vol/pipe; (echo through >/vol/pipe &) ; cat /vol/pipe; perl -e "{socket}"') == (
        "through\nbound"
    )
    _run(sandbox, "echo after >/vol/after; sync /vol")
    assert _names(volume) == ["after"]
    assert _run(sandbox, "test -p /vol/pipe && test -S /vol/socket && echo both") == "both\n"
    _end(sandbox)


def test_a_large_log(app: modal.App, image: modal.Image, localmodal_server: LocalModalServer) -> None:
    """It grows, is rotated and is read at its end, and none of that moves it whole."""
    volume = _volume(2)
    sandbox = _sandbox(app, image, {"/vol": volume})
    _run(sandbox, "yes 0123456789abcde | head -c 200M >/vol/log; sync /vol")
    head = localmodal_server.home / "volumes" / volume.object_id / "files"
    assert [(entry.path, entry.size) for entry in volume.listdir("/")] == [("log", 200 << 20)]
    inode = (head / "log").stat().st_ino
    _run(sandbox, "echo grown >>/vol/log; sync /vol")
    assert _tail(volume, "log", 6) == b"grown\n"
    # Only the end was written: the file is the one that it was.
    assert (head / "log").stat().st_ino == inode
    _run(sandbox, "mv /vol/log /vol/log.1; echo fresh >/vol/log; sync /vol")
    assert _read(volume, "log") == b"fresh\n"
    assert (head / "log.1").stat().st_ino == inode
    # A change in the middle is one too.
    _run(sandbox, "printf XXXX | dd of=/vol/log.1 bs=1 seek=1000 conv=notrunc 2>/dev/null; echo end >>/vol/log.1; sync")
    assert _tail(volume, "log.1", 4) == b"end\n"
    assert (head / "log.1").read_bytes()[1000:1004] == b"XXXX"
    # Who stands on an earlier state sees that, whatever is appended.
    reader = _sandbox(app, image, {"/vol": volume})
    _run(sandbox, "echo later >>/vol/log.1; sync /vol")
    assert _tail(volume, "log.1", 6) == b"later\n"
    assert _run(reader, "tail -c 4 /vol/log.1") == "end\n"
    for one in (sandbox, reader):
        _end(one)


def _tail(volume: modal.Volume, path: str, count: int) -> bytes:
    """The last bytes of a file, by its range: what the SDK's own reading does for the whole of it."""
    import urllib.request

    from modal._utils.async_utils import synchronizer
    from modal_proto import api_pb2

    async def ask() -> tuple[int, list[str]]:
        stub = synchronizer._translate_in(volume.client)._stub
        whole = await stub.VolumeGetFile2(api_pb2.VolumeGetFile2Request(volume_id=volume.object_id, path=path, len=1))
        request = api_pb2.VolumeGetFile2Request(
            volume_id=volume.object_id, path=path, start=whole.size - count, len=count
        )
        return whole.size, list((await stub.VolumeGetFile2(request)).get_urls)

    _size, urls = synchronizer.create_blocking(ask)()
    data = b""
    for url in urls:
        with urllib.request.urlopen(url) as answer:  # noqa: S310 (the server's own)
            data += answer.read()
    assert len(data) == count
    return data


def test_a_volume_is_deleted_and_the_server_restarted_while_in_use(
    app: modal.App, image: modal.Image, localmodal_server: LocalModalServer
) -> None:
    kept, deleted = _volume(2), _volume(2)
    sandbox = _sandbox(app, image, {"/kept": kept, "/deleted": deleted})
    _run(sandbox, "echo one | tee /kept/one >/deleted/one; sync /kept")
    modal.Volume.objects.delete(deleted.name or "")
    assert localmodal_server.run("down").returncode == 0
    _run_inside(sandbox.object_id, "echo two >/kept/two")
    assert localmodal_server.run("up").returncode == 0
    with kept.batch_upload(force=True) as batch:
        batch.put_file(io.BytesIO(b"newer"), "/one")
    _until_committed(kept, "two")
    # What was committed before the restart is not committed again over what is newer.
    assert _read(kept, "one") == b"newer"
    assert _run(sandbox, "cat /deleted/one; echo three >/deleted/three") == "one\n"
    _end(sandbox)
    folders = os.listdir(localmodal_server.home / "volumes")
    assert kept.object_id in folders
    deadline = time.monotonic() + WITHIN_S
    while deleted.object_id in os.listdir(localmodal_server.home / "volumes"):
        assert time.monotonic() < deadline


def _run_inside(sandbox_id: str, script: str) -> None:
    """Runs something in a sandbox while there is no server."""
    name = f"localmodal-{sandbox_id}"
    inspect = ["podman", "inspect", "--format", "{{.State.Pid}}", name]
    pid = subprocess.run(inspect, capture_output=True, text=True, check=True).stdout.strip()
    subprocess.run(["nsenter", "-t", pid, "-m", "sh", "-c", script], check=True)
