"""What mngr reads off the wire is what the SDK says."""

from __future__ import annotations

import os
from pathlib import Path

import modal
import pytest

from mngr.config import ModalSettings
from mngr.providers.modal import access
from mngr.providers.modal.client import Client
from mngr.providers.modal.storage import Storage
from mngr.providers.modal.wire import Gone, Wire


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
    bare = modal.Sandbox.create("sh", "-c", "exit 7", app=app, image=image, timeout=60)
    bare.wait(raise_on_termination=False)
    listed = wire.begin(wire.running()).result()
    assert set(listed) >= {one.object_id for one in made}
    assert bare.object_id not in listed
    for one in made:
        expected = client.endpoint(one.object_id)
        assert listed[one.object_id].endpoint == expected == wire.begin(wire.tunnel(one.object_id)).result()
        assert wire.begin(wire.ending(one.object_id)).result() is client.ending(one.object_id) is None
        one.terminate()
        one.wait(raise_on_termination=False)
    for ended in (*made, bare):
        assert wire.begin(wire.ending(ended.object_id)).result() == client.ending(ended.object_id)
    with pytest.raises(Gone):
        wire.begin(wire.ending("sb-0000000000000000000000")).result()


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
