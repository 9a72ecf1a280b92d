"""`localmodal faults`: what is set happens at once to a running server, and only that."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import modal
import modal.exception
import pytest

from tests.conftest import LocalModalServer, serving


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalModalServer]:
    """A server of these tests' own: nobody else wants its faults."""
    yield from serving(tmp_path_factory.mktemp("faults") / "home")


@pytest.fixture
def client(server: LocalModalServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[modal.Client]:
    """The SDK's client of that server, which has no faults before and after."""
    for name, value in server.env.items():
        monkeypatch.setenv(name, value)
    yield modal.Client.from_credentials(server.env["MODAL_TOKEN_ID"], server.env["MODAL_TOKEN_SECRET"])
    assert server.run("faults", "clear").stdout == "no faults are set\n"


def _set(server: LocalModalServer, *options: str) -> None:
    done = server.run("faults", "set", *options)
    assert done.returncode == 0, done.stderr


def _outcomes(volume: modal.Volume, calls: int) -> list[str]:
    outcomes = []
    for _ in range(calls):
        try:
            volume.listdir("/")
        except modal.exception.Error as error:
            outcomes.append(type(error).__name__)
        else:
            outcomes.append("ok")
    return outcomes


def test_errors_come_at_their_rate(server: LocalModalServer, client: modal.Client) -> None:
    volume = modal.Volume.from_name("faulty", create_if_missing=True, version=2, client=client).hydrate()
    _set(server, "--error", "VolumeListFiles*=RESOURCE_EXHAUSTED:1/3")
    refused = "ResourceExhaustedError"
    assert _outcomes(volume, 6) == ["ok", "ok", refused, "ok", "ok", refused]
    # Another kind of call is left alone, and each setting counts anew.
    _set(server, "--error", "VolumeListFiles*=PERMISSION_DENIED:0.5", "--error", "AppList=NOT_FOUND")
    assert _outcomes(volume, 4) == ["ok", "PermissionDeniedError", "ok", "PermissionDeniedError"]
    with pytest.raises(modal.exception.ResourceExhaustedError, match="as localmodal was told to answer"):
        _set(server, "--error", "Volume*=RESOURCE_EXHAUSTED", "--error", "VolumeListFiles*=NOT_FOUND:0")
        volume.listdir("/")
    modal.App.lookup("untouched", create_if_missing=True, client=client)


def test_a_rate_limit_counts_all_versions_of_a_call(server: LocalModalServer, client: modal.Client) -> None:
    volumes = [
        modal.Volume.from_name(f"limited-{number}", create_if_missing=True, version=number, client=client).hydrate()
        for number in (1, 2)
    ]
    _set(server, "--rate-limit", "VolumeListFiles=2/h")
    assert [_outcomes(volume, 1)[0] for volume in (*volumes, *volumes)] == ["ok", "ok", *["ResourceExhaustedError"] * 2]


def test_settings_are_shown_merged_and_outlive_the_server(server: LocalModalServer, client: modal.Client) -> None:
    assert server.run("faults", "show").stdout == "no faults are set\n"
    _set(server, "--latency", "50ms", "--error", "Volume*=UNAVAILABLE:0.25", "--stale-listings", "1m")
    _set(server, "--latency", "1s", "--no-exit-snapshots")
    assert server.run("down").returncode == 0
    assert server.run("up").returncode == 0
    assert json.loads(server.run("faults", "show", "--format", "json").stdout) == {
        "latency_s": 1.0,
        "errors": [{"rpc": "Volume*", "status": "UNAVAILABLE", "rate": "0.25"}],
        "rate_limits": [],
        "stale_listings_s": 60.0,
        "no_exit_snapshots": True,
    }
    began = time.monotonic()
    modal.App.lookup("distant", create_if_missing=True, client=client)
    assert time.monotonic() - began >= 1


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ([], "say which fault to set"),
        (["--latency", "soon"], "'soon' is no duration"),
        (["--error", "VolumeListFiles2"], "'VolumeListFiles2' is no error"),
        (["--error", "VolumeListFiles2=BAD"], "'BAD' is no status"),
        (["--error", "VolumeListFiles2=NOT_FOUND:2"], "'2' is no rate"),
        (["--error", "VolumeListFiles2=NOT_FOUND:1/0"], "'1/0' is no rate"),
        (["--error", "NoSuchCall=NOT_FOUND"], "'NoSuchCall' is the name of no RPC"),
        (["--rate-limit", "VolumeListFiles=often"], "'VolumeListFiles=often' is no limit"),
        (["--stale-listings", "-1s"], "'-1s' is no duration"),
    ],
)
def test_what_can_not_be_set_is_refused(server: LocalModalServer, options: list[str], says: str) -> None:
    done = server.run("faults", "set", *options)
    assert done.returncode == 2
    assert done.stderr.startswith("localmodal: ")
    assert says in done.stderr
    assert done.stderr.count("\n") == 1
    assert server.run("faults", "show").stdout == "no faults are set\n"


def test_sandboxes_at_a_distance(server: LocalModalServer, client: modal.Client, tmp_path: Path) -> None:
    app = modal.App.lookup("distant", create_if_missing=True, client=client)
    image = modal.Image.from_registry("debian:bookworm-slim")
    _set(server, "--no-exit-snapshots")
    options = {"enable_exit_snapshot": True}
    with pytest.raises(modal.exception.ConflictError, match="Exit snapshots are not enabled"):
        modal.Sandbox.create("true", app=app, image=image, experimental_options=options, client=client)
    listen = '$s=IO::Socket::INET->new(LocalPort=>8000,Listen=>5);while($c=$s->accept){print $c "hi\\n";close $c}'
    sandbox = modal.Sandbox.create(
        *("perl", "-MIO::Socket", "-e", listen),
        app=app,
        image=image,
        unencrypted_ports=[8000],
        readiness_probe=modal.Probe.with_tcp(8000),
        client=client,
    )
    sandbox.wait_until_ready(timeout=60)
    address = sandbox.tunnels()[8000].tcp_socket
    _set(server, "--latency", "400ms")
    began = time.monotonic()
    with socket.create_connection(address, timeout=10) as connection:
        assert time.monotonic() - began >= 0.4
        assert connection.makefile().read() == "hi\n"
    began = time.monotonic()
    assert sandbox.exec("true").wait() == 0
    assert time.monotonic() - began >= 0.4
    assert server.run("faults", "clear").returncode == 0

    def listed() -> list[str]:
        return [found.object_id for found in modal.Sandbox.list(app_id=app.app_id, client=client)]

    assert listed() == [sandbox.object_id]
    _set(server, "--stale-listings", "1h")
    assert listed() == []
    assert server.run("faults", "clear").returncode == 0
    sandbox.terminate()
    sandbox.wait(raise_on_termination=False)
    assert listed() == []
