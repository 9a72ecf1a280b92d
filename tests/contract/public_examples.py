"""Modal's public examples of sandboxes, in one run; ends with an error when one does not do what it says.

Run by itself, so that it can run with another version of the SDK than the one that is installed here.
"""

from __future__ import annotations

import atexit
import io
import socket
import uuid

import modal

# A run that failed must not be in the way of the next.
NAME = f"example-{uuid.uuid4().hex[:8]}"

app = modal.App.lookup("examples", create_if_missing=True)
image = modal.Image.from_registry("debian:bookworm-slim")
volume = modal.Volume.from_name(NAME, create_if_missing=True, version=2)
atexit.register(modal.Volume.objects.delete, NAME)

serve = '$s=IO::Socket::INET->new(LocalPort=>8000,Listen=>5);while($c=$s->accept){print $c "hi\\n";close $c}'
sandbox = modal.Sandbox.create(
    *("perl", "-MIO::Socket", "-e", serve),
    app=app,
    image=image,
    name=NAME,
    tags={"kind": "example"},
    unencrypted_ports=[8000],
    volumes={"/vol": volume},
    readiness_probe=modal.Probe.with_tcp(8000),
    experimental_options={"enable_exit_snapshot": True},
)
atexit.register(sandbox.terminate)
eat = '$x .= "x" x 1000000 while 1'
eaten = modal.Sandbox.create("perl", "-e", eat, app=app, image=image, memory=(64, 64))
idle = modal.Sandbox.create("sleep", "300", app=app, image=image, idle_timeout=1)
late = modal.Sandbox.create("sleep", "300", app=app, image=image, timeout=1)
sandbox.wait_until_ready(timeout=60)

process = sandbox.exec("sh", "-c", "cat; exit 4")
process.stdin.write("hello\n")
process.stdin.write_eof()
process.stdin.drain()
assert process.stdout.read() == "hello\n"
assert process.wait() == 4

with socket.create_connection(sandbox.tunnels()[8000].tcp_socket, timeout=10) as connection:
    assert connection.makefile().read() == "hi\n"

assert sandbox.object_id in [found.object_id for found in modal.Sandbox.list(app_id=app.app_id)]
assert modal.Sandbox.from_name("examples", NAME).object_id == sandbox.object_id
assert sandbox.get_tags() == {"kind": "example"}

assert sandbox.exec("sh", "-c", "echo work >/root/work; echo inside >/vol/inside; sync /vol").wait() == 0
restored = modal.Sandbox.create("cat", "/root/work", app=app, image=sandbox.snapshot_filesystem())
assert restored.stdout.read() == "work\n"

assert b"".join(volume.read_file("inside")) == b"inside\n"
with volume.batch_upload(force=True) as batch:
    batch.put_file(io.BytesIO(b"from outside"), "outside")
sandbox.reload_volumes()
assert sandbox.exec("cat", "/vol/outside").stdout.read() == "from outside"

sandbox.terminate()
sandbox.wait(raise_on_termination=False)
assert sandbox.returncode == 137
for ended in (eaten, idle):
    ended.wait()
    assert ended.returncode == 137
try:
    late.wait()
except modal.exception.SandboxTimeoutError:
    assert late.returncode == 124
else:
    raise AssertionError("it outlived its time")
print("ok", modal.__version__, sandbox.object_id)
