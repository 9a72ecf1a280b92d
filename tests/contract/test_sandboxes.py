"""What Modal promises of sandboxes, through its own SDK."""

from __future__ import annotations

import socket
import uuid

import modal
import modal.exception
import pytest


def _run(sandbox: modal.Sandbox, *command: str) -> str:
    process = sandbox.exec(*command)
    text: str = process.stdout.read()
    assert process.wait() == 0, process.stderr.read()
    return text


def test_entrypoint_output_and_code(app: modal.App, image: modal.Image, version: str) -> None:
    sandbox = modal.Sandbox.create("sh", "-c", "echo out; echo err >&2; exit 3", app=app, image=image)
    sandbox.wait(raise_on_termination=False)
    assert (sandbox.stdout.read(), sandbox.stderr.read(), sandbox.returncode) == ("out\n", "err\n", 3)
    # The shape of the id is how SDKs tell the versions apart.
    assert (len(sandbox.object_id) == 25) is (version == "0")


def test_exec(app: modal.App, image: modal.Image, version: str) -> None:
    sandbox = modal.Sandbox.create("sleep", "300", app=app, image=image, secrets=[modal.Secret.from_dict({"S": "x y"})])
    data = bytes(range(256)) * 8192
    process = sandbox.exec("cat", text=False)
    process.stdin.write(data)
    process.stdin.write_eof()
    process.stdin.drain()
    assert process.stdout.read() == data
    assert process.wait() == 0
    both = sandbox.exec("sh", "-c", "echo o; echo e >&2; exit 9")
    assert (both.stdout.read(), both.stderr.read(), both.wait()) == ("o\n", "e\n", 9)
    assert sandbox.exec("sh", "-c", "kill -15 $$").wait() == 128 + 15
    assert sandbox.exec("no-such-program").wait() == 127
    assert _run(sandbox, "sh", "-c", 'echo "$S"') == "x y\n"
    assert _run(sandbox, "sh", "-c", "cat /built; hostname") == "built\nmodal\n"
    assert sandbox.exec("pwd", workdir="/tmp").stdout.read() == "/tmp\n"
    assert sandbox.exec("sh", "-c", "tty; stty size", pty=True).wait() == 0
    sandbox.terminate()


def test_exec_timeout_kills_the_program(app: modal.App, image: modal.Image, version: str) -> None:
    sandbox = modal.Sandbox.create("sleep", "300", app=app, image=image)
    process = sandbox.exec("sh", "-c", "sleep 100; echo late >/late", timeout=1)
    assert process.wait() in (-1, 137)
    assert _run(sandbox, "sh", "-c", "ls /late 2>/dev/null || echo none") == "none\n"
    sandbox.terminate()


def test_names_and_tags(app: modal.App, image: modal.Image, version: str) -> None:
    name = f"named-{uuid.uuid4().hex[:8]}"
    sandbox = modal.Sandbox.create("sleep", "300", app=app, image=image, name=name, tags={"team": name})
    with pytest.raises(modal.exception.AlreadyExistsError):
        modal.Sandbox.create("sleep", "300", app=app, image=image, name=name)
    assert modal.Sandbox.from_name("contract", name).object_id == sandbox.object_id
    assert [found.object_id for found in modal.Sandbox.list(app_id=app.app_id, tags={"team": name})] == [
        sandbox.object_id
    ]
    sandbox.set_tags({"team": name, "more": "1"})
    assert sandbox.get_tags() == {"team": name, "more": "1"}
    sandbox.terminate()
    sandbox.wait(raise_on_termination=False)
    assert sandbox.returncode == 137
    with pytest.raises(modal.exception.NotFoundError):
        modal.Sandbox.from_name("contract", name)
    # The name is free again.
    modal.Sandbox.create("true", app=app, image=image, name=name)


def test_tunnel_and_readiness(app: modal.App, image: modal.Image, version: str) -> None:
    listen = (
        "$s = IO::Socket::INET->new(LocalPort => 8000, Listen => 5, ReuseAddr => 1);"
        'while ($c = $s->accept) { print $c "hello\\n"; close $c }'
    )
    sandbox = modal.Sandbox.create(
        *("perl", "-MIO::Socket", "-e", listen),
        app=app,
        image=image,
        unencrypted_ports=[8000],
        readiness_probe=modal.Probe.with_tcp(8000),
    )
    sandbox.wait_until_ready(timeout=60)
    with socket.create_connection(sandbox.tunnels()[8000].tcp_socket, timeout=10) as connection:
        assert connection.makefile().read() == "hello\n"
    sandbox.terminate()


def test_readiness_by_command(app: modal.App, image: modal.Image, version: str) -> None:
    probe = modal.Probe.with_exec("test", "-e", "/ready")
    sandbox = modal.Sandbox.create("sleep", "300", app=app, image=image, readiness_probe=probe)
    with pytest.raises(modal.exception.TimeoutError):
        sandbox.wait_until_ready(timeout=1)
    _run(sandbox, "touch", "/ready")
    sandbox.wait_until_ready(timeout=60)
    sandbox.terminate()


def test_lifetime(app: modal.App, image: modal.Image, version: str) -> None:
    sandbox = modal.Sandbox.create("sleep", "300", app=app, image=image, timeout=2)
    with pytest.raises(modal.exception.SandboxTimeoutError):
        sandbox.wait()
    assert sandbox.returncode == 124


def test_snapshots(app: modal.App, image: modal.Image, version: str) -> None:
    options = {"enable_exit_snapshot": True}
    sandbox = modal.Sandbox.create("sleep", "300", app=app, image=image, experimental_options=options)
    _run(sandbox, "sh", "-c", "mkdir -p /d; echo one >/d/one; rm /built; ln -s one /d/link")
    first = sandbox.snapshot_filesystem(ttl=None)
    _run(sandbox, "sh", "-c", "rm -r /d; mkdir /d; echo two >/d/two")
    sandbox.terminate()
    sandbox.wait(raise_on_termination=False)
    last = sandbox._experimental_get_exit_snapshot()
    show = "ls /d /built 2>/dev/null; cat /d/*"
    seen = []
    for snapshot in (first, last):
        restored = modal.Sandbox.create("sh", "-c", show, app=app, image=snapshot)
        restored.wait(raise_on_termination=False)
        seen.append(restored.stdout.read())
    assert seen == ["/d:\nlink\none\none\none\n", "/d:\ntwo\ntwo\n"]
    modal.experimental.image_delete(first.object_id)
    with pytest.raises(modal.exception.NotFoundError):
        modal.Sandbox.create("true", app=app, image=modal.Image.from_id(first.object_id))


def test_network_rules(app: modal.App, image: modal.Image, version: str) -> None:
    other = modal.Sandbox.create(
        *("perl", "-MIO::Socket", "-e", "$s = IO::Socket::INET->new(LocalPort => 9, Listen => 5); sleep 300"),
        app=app,
        image=image,
        readiness_probe=modal.Probe.with_tcp(9),
    )
    other.wait_until_ready(timeout=60)
    address = _run(other, "sh", "-c", 'until test -n "$(hostname -I)"; do :; done; hostname -I').split()[0]
    try_it = (
        "perl -MIO::Socket -e 'print IO::Socket::INET->new(PeerAddr=>$ARGV[0],PeerPort=>9,Timeout=>2) ? 1 : 0' "
        f"{address}"
    )
    closed = modal.Sandbox.create("sleep", "300", app=app, image=image, outbound_cidr_allowlist=[])
    opened = modal.Sandbox.create("sleep", "300", app=app, image=image)
    listed = modal.Sandbox.create("sleep", "300", app=app, image=image, outbound_cidr_allowlist=[f"{address}/32"])
    # It does listen: this machine, which is on no sandbox's side, reaches it.
    socket.create_connection((address, 9), timeout=10).close()
    # One sandbox never reaches another, whatever it is allowed.
    assert [_run(sandbox, "sh", "-c", try_it) for sandbox in (closed, opened, listed)] == ["0", "0", "0"]
    for sandbox in (other, closed, opened, listed):
        sandbox.terminate()


def test_a_gpu_is_refused_by_name(app: modal.App, image: modal.Image) -> None:
    with pytest.raises(modal.exception.InvalidError, match="H100:2"):
        modal.Sandbox.create("true", app=app, image=image, gpu="h100:2")
