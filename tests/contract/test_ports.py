"""A port that a rule of the kernel leads elsewhere is never given to a sandbox."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import modal
import pytest

from localmodal.engine import network as network_module
from localmodal.engine.forwards import forwards, parse, remove_stale
from localmodal.engine.network import Network
from localmodal.engine.podman import Podman
from localmodal.home import Home
from tests.conftest import LocalModalServer
from tests.contract.test_endings import kill, until
from tests.contract.test_restarts import kill_server, start_server

# The last of the ports that sandboxes get, which nobody's sandbox reaches.
PORTS = range(32760, 32765)
CONTAINER = "0" * 64


def iptables(*words: str, check: bool = True) -> None:
    subprocess.run(["iptables", "-w", "-t", "nat", *words], check=check, capture_output=True)


@pytest.fixture
def stale(localmodal_server: LocalModalServer) -> Iterator[str]:
    """Rules for two ports in the form that podman gives them, for a container that is gone; its network's name."""
    name = f"localmodal-{uuid.uuid4().hex[:8]}"
    chain = f"TEST-{name[-8:]}"
    first, second = PORTS[0], PORTS[1]
    iptables("-N", "NETAVARK-HOSTPORT-DNAT", check=False)
    iptables("-N", chain)
    ports = ["-p", "tcp", "--dport", f"{first}:{second}"]
    comment = ["-m", "comment", "--comment", f"dnat name: {name} id: {CONTAINER}"]
    rules = [
        ["NETAVARK-HOSTPORT-DNAT", *ports, *comment, "-j", chain],
        [chain, "-d", "127.0.0.1/32", *ports, "-j", "DNAT", "--to-destination", f"10.99.0.9:8000-8001/{first}"],
    ]
    for rule in rules:
        iptables("-A", *rule)
    yield name
    for rule in rules:
        iptables("-D", *rule, check=False)
    iptables("-X", chain)


def test_ports_with_rules(tmp_path: Path, stale: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network_module, "TUNNEL_PORTS", PORTS)
    network = Network(Podman(Home(tmp_path)), "none")

    async def look() -> None:
        assert await network.reserve_ports(2) == [PORTS[2], PORTS[3]]
        network.release_all()
        # Others' rules stay, and those of a container that is there.
        await remove_stale("localmodal-other", [])
        await remove_stale(stale, [CONTAINER])
        assert await network.reserve_ports(1) == [PORTS[2]]
        network.release_all()
        await remove_stale(stale, [])
        assert not [forward for forward in await forwards() if PORTS[0] in forward.ports]
        assert await network.reserve_ports(2) == [PORTS[0], PORTS[1]]
        network.release_all()

    asyncio.run(look())


def test_rules_of_newer_podman() -> None:
    lines = [
        "\t\tip daddr 127.0.0.1 tcp dport 20003-20004 dnat ip to 10.89.0.2:8000",
        "\t\ttcp dport 20009 jump x",
        "x",
    ]
    assert [forward.ports for forward in parse(lines)] == [range(20003, 20005), range(20009, 20010)]


def test_a_sandbox_whose_processes_were_all_killed(
    app: modal.App, image: modal.Image, localmodal_server: LocalModalServer
) -> None:
    """The server, the container's processes and podman's own beside them: nothing of it is in the way later."""
    sandbox = modal.Sandbox.create("sleep", "300", app=app, image=image, unencrypted_ports=[8000])
    sandbox.exec("true").wait()
    shown = ["podman", "inspect", "--format", "{{.State.Pid}} {{.State.ConmonPid}} {{.Id}}"]
    described = subprocess.run(
        [*shown, f"localmodal-{sandbox.object_id}"], check=True, capture_output=True, text=True
    ).stdout
    init, conmon, container = described.split()
    kill_server(localmodal_server)
    kill([int(conmon), int(init)])
    assert any(found.container == container for found in asyncio.run(forwards()))
    start_server(localmodal_server)
    sandbox.wait(raise_on_termination=False)
    listen = '$s=IO::Socket::INET->new(LocalPort=>8000,Listen=>5);while($c=$s->accept){print $c "hi\\n";close $c}'
    again = modal.Sandbox.create(
        *("perl", "-MIO::Socket", "-e", listen),
        app=app,
        image=image,
        unencrypted_ports=[8000],
        readiness_probe=modal.Probe.with_tcp(8000),
    )
    again.wait_until_ready(timeout=60)
    with socket.create_connection(again.tunnels()[8000].tcp_socket, timeout=10) as connection:
        assert connection.makefile().read() == "hi\n"
    again.terminate()
    until(lambda: not any(found.container == container for found in asyncio.run(forwards())))
