"""What Modal promises of images, volumes, secrets, apps and environments, through its own SDK and command."""

from __future__ import annotations

import io
import json
import os
import subprocess
from pathlib import Path

import modal
import modal.exception
import pytest

from tests.conftest import BIN, LocalModalServer, clean_env


@pytest.mark.parametrize("number", [1, 2])
def test_volume(app: modal.App, image: modal.Image, number: int) -> None:
    volume = modal.Volume.from_name(f"vol-{number}", create_if_missing=True, version=number)
    # SDKs do not send the zeros at the end of a block.
    big = os.urandom(8_000_000) + bytes(2_000_000) + os.urandom(100) + bytes(8_000_000)
    with volume.batch_upload() as batch:
        batch.put_file(io.BytesIO(b"small"), "/deep/small")
        batch.put_file(io.BytesIO(big), "/big")
        batch.put_file(io.BytesIO(b""), "/empty")
    assert sorted(entry.path for entry in volume.listdir("/", recursive=True)) == ["big", "deep", "deep/small", "empty"]
    assert b"".join(volume.read_file("big")) == big
    assert b"".join(volume.read_file("empty")) == b""
    with pytest.raises(FileExistsError), volume.batch_upload() as batch:
        batch.put_file(io.BytesIO(b"other"), "/deep/small")
    volume.copy_files(["deep/small"], "copy")
    sandbox = modal.Sandbox.create("sleep", "300", app=app, image=image, volumes={"/vol": volume})
    assert sandbox.exec("cat", "/vol/copy").stdout.read() == "small"
    assert sandbox.exec("sh", "-c", "echo inside >/vol/inside; sync /vol").wait() == 0
    sandbox.terminate()
    sandbox.wait(raise_on_termination=False)
    assert b"".join(volume.read_file("inside")) == b"inside\n"
    volume.remove_file("deep", recursive=True)
    with pytest.raises((FileNotFoundError, modal.exception.NotFoundError)):
        list(volume.read_file("deep/small"))
    modal.Volume.objects.delete(f"vol-{number}")
    with pytest.raises(modal.exception.NotFoundError):
        modal.Volume.from_name(f"vol-{number}").listdir("/")


def test_image_builds(app: modal.App, tmp_path: Path) -> None:
    (tmp_path / "local.txt").write_text("from here\n")
    image = (
        modal.Image.from_registry("debian:bookworm-slim")
        .env({"COLOUR": "blue"})
        .workdir("/srv")
        .add_local_file(tmp_path / "local.txt", "/srv/copied.txt", copy=True)
        .run_commands("echo $COLOUR >colour.txt")
        .add_local_file(tmp_path / "local.txt", "/srv/mounted.txt")
    )
    sandbox = modal.Sandbox.create("sh", "-c", "pwd; cat *.txt; echo $COLOUR", app=app, image=image)
    sandbox.wait()
    assert sandbox.stdout.read() == "/srv\nblue\nfrom here\nfrom here\nblue\n"
    again = modal.Image.from_registry("debian:bookworm-slim").env({"COLOUR": "blue"}).build(app)
    cached = modal.Image.from_registry("debian:bookworm-slim").env({"COLOUR": "blue"}).build(app)
    assert again.object_id == cached.object_id


def test_a_failed_step_is_named(app: modal.App) -> None:
    image = modal.Image.from_registry("debian:bookworm-slim").run_commands("echo before; echo reason >&2; exit 5")
    with pytest.raises(modal.exception.Error, match=r"(?s)step .*exit 5.*reason"):
        image.build(app)


def test_build_secrets_leave_no_trace(app: modal.App, localmodal_server: LocalModalServer) -> None:
    value = "sesame-" + os.urandom(8).hex()
    image = modal.Image.from_registry("debian:bookworm-slim").dockerfile_commands(
        'RUN --mount=type=secret,id=TOKEN test -n "$(cat /run/secrets/TOKEN)" && test -n "$TOKEN" && echo ok >/ok',
        secrets=[modal.Secret.from_dict({"TOKEN": value})],
    )
    search = "cat /ok; env; grep -rs sesame- / --exclude-dir=proc --exclude-dir=sys"
    sandbox = modal.Sandbox.create("sh", "-c", search, app=app, image=image)
    sandbox.wait(raise_on_termination=False)
    output = sandbox.stdout.read()
    assert output.startswith("ok\n")
    assert value not in output
    database = (localmodal_server.home / "state.sqlite").read_bytes()
    log = (localmodal_server.home / "server.log").read_bytes()
    assert value.encode() not in database + log
    shown = "{{.Repository}}:{{.Tag}}"
    listed = subprocess.run(["podman", "images", "--format", shown], capture_output=True, text=True, check=True)
    refs = [ref for ref in listed.stdout.split() if ref.endswith(image.object_id)]
    assert len(refs) == 1
    history = subprocess.run(["podman", "history", "--no-trunc", *refs], capture_output=True, text=True, check=True)
    assert "/bin/sh" in history.stdout
    assert value not in history.stdout


def test_secrets() -> None:
    modal.Secret.objects.create("stored", {"A": "1"}, allow_existing=True)
    assert "stored" in [secret.name for secret in modal.Secret.objects.list()]
    modal.Secret.objects.delete("stored")
    with pytest.raises(modal.exception.NotFoundError):
        modal.Secret.from_name("stored").hydrate()


def test_a_wrong_token_is_refused(localmodal_server: LocalModalServer) -> None:
    code = "import modal; modal.App.lookup('x', create_if_missing=True)"
    env = clean_env(localmodal_server.env | {"MODAL_TOKEN_SECRET": "as-wrong"})
    done = subprocess.run([str(BIN / "python"), "-c", code], env=env, capture_output=True, text=True)
    assert done.returncode != 0
    assert "AuthError" in done.stderr


def test_what_is_not_served_is_refused_by_name(sdk: None) -> None:
    client = modal.Client.from_env()
    with pytest.raises(modal.exception.Error, match="ProxyList"):
        _call(client, "ProxyList")


def _call(client: modal.Client, name: str) -> None:
    from google.protobuf.empty_pb2 import Empty
    from modal._utils.async_utils import synchronizer

    async def call() -> None:
        inner = synchronizer._translate_in(client)
        await getattr(inner._stub, name)(Empty())

    synchronizer.create_blocking(call)()


@pytest.mark.parametrize(
    "command", [["app", "list"], ["volume", "list"], ["secret", "list"], ["environment", "list"]], ids=" ".join
)
def test_the_modal_command(localmodal_server: LocalModalServer, command: list[str]) -> None:
    done = subprocess.run(
        [str(BIN / "modal"), *command, "--json"], env=clean_env(localmodal_server.env), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert isinstance(json.loads(done.stdout), list)


def test_sandboxes_outlive_the_server(app: modal.App, image: modal.Image, localmodal_server: LocalModalServer) -> None:
    options = {"enable_exit_snapshot": True}
    command = ("sh", "-c", "echo begun; sleep 300")
    sandbox = modal.Sandbox.create(*command, app=app, image=image, experimental_options=options)
    assert sandbox.exec("sh", "-c", "echo kept >/kept").wait() == 0
    assert localmodal_server.run("down").returncode == 0
    assert localmodal_server.run("up").returncode == 0
    again = modal.Sandbox.from_id(sandbox.object_id)
    assert again.poll() is None
    assert again.exec("cat", "/kept").stdout.read() == "kept\n"
    again.terminate()
    again.wait(raise_on_termination=False)
    assert again.returncode == 137
    image_id = again._experimental_get_exit_snapshot().object_id
    restored = modal.Sandbox.create("cat", "/kept", app=app, image=modal.Image.from_id(image_id))
    assert restored.stdout.read() == "kept\n"
