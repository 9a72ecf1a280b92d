"""What mngr reads off the wire is what the SDK says."""

from __future__ import annotations

import io
import os
from pathlib import Path

import modal
import pytest

from mngr.config import ModalSettings
from mngr.errors import MngrError
from mngr.providers.modal import access, sandbox_wire, volume_wire
from mngr.providers.modal.client import Client
from mngr.providers.modal.storage import Storage
from mngr.providers.modal.wire import Gone, Wire, WireFailed

TAGS = {"of": "the-wire"}
MIB = 1 << 20


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModalSettings:
    """An app and a state volume of the test's own, and a state folder that remembers nothing."""
    monkeypatch.setenv("MNGR_HOME", str(tmp_path))
    name = f"wire-{tmp_path.name}"[:40]
    return ModalSettings(app=name, state_volume=name)


def _wire(settings: ModalSettings) -> tuple[Client, Wire]:
    client = Client(settings)
    client.remember()
    found = access.access(settings)
    assert found is not None
    return client, Wire(found)


def test_sandboxes_are_listed_and_end_as_the_sdk_says(
    settings: ModalSettings, image: modal.Image, version: str
) -> None:
    client, wire = _wire(settings)
    app = modal.App.lookup(settings.app)
    made = [
        modal.Sandbox.create("sleep", "60", app=app, image=image, unencrypted_ports=[22], timeout=60) for _ in range(2)
    ]
    bare = modal.Sandbox.create("sh", "-c", "exit 7", app=app, image=image, timeout=60, tags=TAGS)
    bare.wait(raise_on_termination=False)
    listed = wire.begin(sandbox_wire.running(wire)).result()
    assert set(listed) >= {one.object_id for one in made}
    assert bare.object_id not in listed
    for one in made:
        expected = client.endpoint(one.object_id)
        assert (
            listed[one.object_id].endpoint == expected == wire.begin(sandbox_wire.tunnel(wire, one.object_id)).result()
        )
        assert wire.begin(sandbox_wire.ending(wire, one.object_id)).result() is client.ending(one.object_id) is None
        one.terminate()
        one.wait(raise_on_termination=False)
    for ended in (*made, bare):
        assert wire.begin(sandbox_wire.ending(wire, ended.object_id)).result() == client.ending(ended.object_id)
    moment = wire.begin(sandbox_wire.ended_at(wire, bare.object_id, TAGS)).result()
    assert moment is not None
    assert moment == client.ended_at(bare.object_id, TAGS)
    with pytest.raises(Gone):
        wire.begin(sandbox_wire.ending(wire, "sb-0000000000000000000000")).result()


def test_what_sandboxes_leave_is_the_same_both_ways(settings: ModalSettings, image: modal.Image, version: str) -> None:
    client, wire = _wire(settings)
    app = modal.App.lookup(settings.app)
    keeping, bare = (
        modal.Sandbox.create("sleep", "60", app=app, image=image, timeout=60, experimental_options=options)
        for options in ({"enable_exit_snapshot": True}, {})
    )
    assert sandbox_wire.is_v1(keeping.object_id) == (version == "0")

    # A snapshot of one that runs, by the SDK: with what the wire has asked for it, and without.
    access_given = wire.begin(sandbox_wire.router_access(wire, keeping.object_id)).result()
    assert (access_given is None) == (version == "0")
    taken = [client.snapshot(keeping.object_id, None, given) for given in (access_given, None)]
    assert len(set(taken)) == 2

    for one in (keeping, bare):
        for _ in range(2):
            wire.begin(sandbox_wire.terminate(wire, one.object_id)).result()
        wire.begin(sandbox_wire.wait_ended(wire, one.object_id)).result()
        assert wire.begin(sandbox_wire.ending(wire, one.object_id)).result() == client.ending(one.object_id)
    left = wire.begin(sandbox_wire.exit_snapshot(wire, keeping.object_id)).result()
    assert left == client.exit_snapshot(keeping.object_id)
    with pytest.raises(WireFailed):
        wire.begin(sandbox_wire.exit_snapshot(wire, bare.object_id)).result()
    with pytest.raises(MngrError):
        client.exit_snapshot(bare.object_id)

    name = f"{settings.app}:left"
    wire.begin(sandbox_wire.name_image(wire, left, name)).result()
    assert modal.Image.from_name(name).build(app).object_id == left
    for image_id in (left, *taken):
        for _ in range(2):
            wire.begin(sandbox_wire.delete_image(wire, image_id)).result()
        with pytest.raises(modal.exception.NotFoundError):
            modal.Sandbox.create("true", app=app, image=modal.Image.from_id(image_id))
    gone = "sb-0000000000000000000000" if version == "0" else "sb-00000000000000000000000"
    wire.begin(sandbox_wire.terminate(wire, gone)).result()
    for asked in (sandbox_wire.exit_snapshot, sandbox_wire.wait_ended):
        with pytest.raises(Gone):
            wire.begin(asked(wire, gone)).result()


def test_files_that_one_writes_the_other_reads(settings: ModalSettings) -> None:
    client, wire = _wire(settings)
    assert wire.begin(wire.list_files("hosts")).result() == client.list_files("hosts") == []
    commit = wire.begin(wire.stage("hosts/a/1.json", b"by wire\0")).result()
    assert client.list_files("hosts") == []
    wire.begin(commit()).result()
    client.write_file("hosts/b/1.json", b"by the SDK")
    assert sorted(wire.begin(wire.list_files("hosts")).result()) == sorted(client.list_files("hosts"))
    assert client.read_file("hosts/a/1.json") == b"by wire\0"
    assert wire.begin(wire.read_file("hosts/b/1.json")).result() == b"by the SDK"
    for _ in range(2):
        wire.begin(wire.remove("hosts/a", recursive=True)).result()
    assert client.list_files("hosts") == ["hosts/b/1.json"]
    with pytest.raises(Gone):
        wire.begin(wire.read_file("hosts/a/1.json")).result()


@pytest.mark.parametrize("fs_version", [1, 2])
def test_a_volume_reads_the_same_both_ways(settings: ModalSettings, fs_version: int) -> None:
    client, wire = _wire(settings)
    name = f"{settings.app}-{fs_version}"
    large = b"".join(number.to_bytes(4, "big") for number in range(4 * MIB)) + bytes(3 * MIB)
    volume = modal.Volume.from_name(name, create_if_missing=True, version=fs_version)
    with volume.batch_upload() as batch:
        batch.put_file(io.BytesIO(b"some words"), "logs/small")
        batch.put_file(io.BytesIO(b""), "logs/empty")
        batch.put_file(io.BytesIO(large), "agents/one/large")
    for folder in ("", "logs", "agents", "agents/one", "logs/small", "nowhere"):
        for recursive in (False, True):
            expected = client.volume_files(name, folder, recursive=recursive)
            found = wire.begin(volume_wire.files(wire, name, folder, recursive=recursive)).result()
            assert sorted(found, key=str) == sorted(expected, key=str)
    assert {one.path for one in client.volume_files(name, "logs", recursive=False)} == {"logs/small", "logs/empty"}
    for start, length in ((0, 0), (0, 10), (8 * MIB - 5, 10), (8 * MIB, 8 * MIB), (19 * MIB - 10, 100), (5, 12 * MIB)):
        expected = large[start : start + length if length else None]
        assert client.read_volume(name, "agents/one/large", start, length) == expected
        assert wire.begin(volume_wire.read(wire, name, "agents/one/large", start, length)).result() == expected
    for of, path, content in (
        (name, "logs/small", b"some words"),
        (name, "logs/empty", b""),
        (name, "logs/nothing", None),
        (f"{name}-none", "logs/small", None),
    ):
        assert client.read_volume(of, path, 0, 0) == content
        assert wire.begin(volume_wire.read(wire, of, path, 0, 0)).result() == content
    assert wire.begin(volume_wire.files(wire, f"{name}-none", "", recursive=True)).result() == []
    # One of the same name that took its place is the one that is read.
    for _ in range(2):
        wire.begin(volume_wire.delete(wire, name)).result()
    assert name not in [one.name for one in modal.Volume.objects.list()]
    assert wire.begin(volume_wire.read(wire, name, "logs/small", 0, 0)).result() is None
    with modal.Volume.from_name(name, create_if_missing=True, version=fs_version).batch_upload() as batch:
        batch.put_file(io.BytesIO(b"other words"), "logs/small")
    assert wire.begin(volume_wire.read(wire, name, "logs/small", 0, 0)).result() == b"other words"
    modal.Volume.objects.delete(name)


def test_what_was_remembered_of_things_that_are_gone_is_looked_up_anew(settings: ModalSettings) -> None:
    client, _wire_of_it = _wire(settings)
    first = Storage(settings, lambda: client)
    first.write_file("hosts/a/1.json", b"{}")
    modal.Volume.objects.delete(settings.state_volume)
    again = Storage(settings, lambda: Client(settings))
    again.write_file("hosts/a/2.json", b"{}")
    assert Client(settings).list_files("hosts") == ["hosts/a/2.json"]


def test_the_account_is_the_one_that_the_sdk_would_use(
    settings: ModalSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = access.account(settings)
    assert found is not None
    assert (found.server_url, found.token_id) == (os.environ["MODAL_SERVER_URL"], os.environ["MODAL_TOKEN_ID"])
    assert found.token_secret not in repr(found)
    monkeypatch.setenv("MODAL_OVERRIDE_HEADERS", "x=y")
    assert access.account(settings) is None
