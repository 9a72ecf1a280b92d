"""What a sandbox can reach: listeners outside, in a network namespace that the test makes, tell."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.conftest import User

NAMESPACE = "mngr-test"
LINK = "mngrtest"
ADDRESSES = ("198.51.100.2", "198.51.100.3", "2001:db8:51::2", "2001:db8:51::3")
PORT = 7007
SERVE = """
import socket, threading
def serve(family):
    tcp = socket.socket(family, socket.SOCK_STREAM)
    tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    udp = socket.socket(family, socket.SOCK_DGRAM)
    for one in (tcp, udp):
        if family == socket.AF_INET6:
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        one.bind(("", 7007))
    tcp.listen()
    def accept():
        while True:
            connection, _ = tcp.accept()
            connection.sendall(b"tcp")
            connection.close()
    def answer():
        while True:
            _, address = udp.recvfrom(100)
            udp.sendto(b"udp", address)
    threading.Thread(target=accept).start()
    threading.Thread(target=answer).start()
serve(socket.AF_INET)
serve(socket.AF_INET6)
print("ready", flush=True)
"""
# Tries every address by TCP and UDP and prints those that answered.
TRY = """
use IO::Socket::IP; use IO::Select;
for my $proto ("tcp", "udp") { for my $address (@ARGV) {
    my $s = IO::Socket::IP->new(PeerHost => $address, PeerPort => 7007, Proto => $proto, Timeout => 2) or next;
    if ($proto eq "udp") { send($s, "x", 0) or next; }
    next unless IO::Select->new($s)->can_read(2);
    recv($s, my $data, 10, 0);
    print "$proto $address\\n" if defined $data and $data eq $proto;
} }
"""


def _ip(*args: str) -> None:
    subprocess.run(["ip", *args], check=True, capture_output=True)


@dataclass(frozen=True)
class Outside:
    """Addresses that are neither this machine's nor a sandbox's, with listeners on them."""

    def reached_from(self, user: User, agent: str) -> set[str]:
        """What answers to a program of an agent's, as ``tcp 198.51.100.2``."""
        words = " ".join(ADDRESSES)
        return set(user.mngr("exec", agent, f"perl - {words}", stdin=TRY.encode()).stdout.decode().splitlines())


@pytest.fixture(scope="module")
def outside() -> Iterator[Outside]:
    subprocess.run(["ip", "netns", "delete", NAMESPACE], capture_output=True)
    _ip("netns", "add", NAMESPACE)
    server = None
    try:
        _ip("link", "add", LINK, "type", "veth", "peer", "name", "eth0", "netns", NAMESPACE)
        _ip("address", "add", "198.51.100.1/24", "dev", LINK)
        _ip("address", "add", "2001:db8:51::1/64", "dev", LINK, "nodad")
        _ip("link", "set", LINK, "up")
        inside = ("-n", NAMESPACE)
        for address in ADDRESSES:
            bits = "64" if ":" in address else "24"
            _ip(*inside, "address", "add", f"{address}/{bits}", "dev", "eth0", *(["nodad"] if ":" in address else []))
        _ip(*inside, "link", "set", "eth0", "up")
        _ip(*inside, "route", "add", "default", "via", "198.51.100.1")
        _ip(*inside, "-6", "route", "add", "default", "via", "2001:db8:51::1")
        command = ["ip", "netns", "exec", NAMESPACE, sys.executable, "-c", SERVE]
        server = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert server.stdout is not None
        assert server.stdout.readline() == b"ready\n"
        yield Outside()
    finally:
        if server is not None:
            server.kill()
            server.wait()
        _ip("netns", "delete", NAMESPACE)


def _both(*addresses: str) -> set[str]:
    return {f"{proto} {address}" for proto in ("tcp", "udp") for address in addresses}


def test_open_reaches_everything(user: User, outside: Outside) -> None:
    user.mngr("create", "open", "--", "sleep 1000")
    assert outside.reached_from(user, "open") == _both(*ADDRESSES)


def test_offline_reaches_nothing_from_the_first_instruction_on(user: User, outside: Outside) -> None:
    first = f"perl -e '{TRY}' {' '.join(ADDRESSES)} >reached; echo tried >>reached; sleep 1000"
    user.mngr("create", "off", "-b", "offline", "--", first)
    assert outside.reached_from(user, "off") == set()
    assert user.text("exec", "off", "until grep -q tried reached; do sleep 0.1; done; cat reached") == "tried\n"
    # Names are not looked up either; the bridge and ICMP are shut like the rest.
    gateway = (
        "perl -ne 'print join(q(.), reverse map hex, $1 =~ /../g) if /^\\S+\\s+00000000\\s+(\\S+)/' /proc/net/route"
    )
    tried = user.mngr(
        *("exec", "off", f"getent hosts localmodal.test || curl -sS --max-time 2 http://$({gateway}):7007/"), check=None
    )
    assert tried.returncode != 0
    # The way in works: exec, files and git have come this way, and so does the rest of its life.
    assert "first commit" in user.text("exec", "off", "git log --oneline")
    user.mngr("stop", "off")
    user.mngr("start", "off")
    assert outside.reached_from(user, "off") == set()


@pytest.mark.parametrize(
    ("ranges", "reached"),
    [
        (["198.51.100.2/32"], ["198.51.100.2"]),
        (["198.51.100.0/24"], ["198.51.100.2", "198.51.100.3"]),
        (["203.0.113.0/24", "198.51.100.3/32,2001:db8:51::2/128"], ["198.51.100.3", "2001:db8:51::2"]),
        (["2001:db8:51::/64"], ["2001:db8:51::2", "2001:db8:51::3"]),
    ],
    ids=["one address", "one range", "two ranges, one of them mixed", "v6"],
)
def test_an_allowlist_reaches_what_is_on_it(
    user: User, outside: Outside, ranges: list[str], reached: list[str]
) -> None:
    args = [part for text in ranges for part in ("-b", f"cidr-allowlist={text}")]
    user.mngr("create", "some", *args, "--", "sleep 1000")
    assert outside.reached_from(user, "some") == _both(*reached)
    assert json.loads(user.text("list", "--format", "json"))["errors"] == []
