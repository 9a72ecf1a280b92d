"""What a sandbox can reach: listeners outside, in a network namespace that the test makes, tell."""

from __future__ import annotations

import fcntl
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import Terminal, User

NAMESPACE = "mngr-test"
LINK = "mngrtest"
LOCK = Path("/run/mngr-test-network.lock")
ADDRESSES = ("198.51.100.2", "198.51.100.3", "2001:db8:51::2", "2001:db8:51::3")
LISTENERS = Path(__file__).with_name("outside.py")
REACH = Path(__file__).with_name("reach.pl").read_bytes()
SERVE = """
use IO::Socket::IP;
my $listener = IO::Socket::IP->new(LocalHost => "::", LocalPort => 7007, Listen => 9, V6Only => 0) or die;
while (my $client = $listener->accept) { print $client "tcp"; close $client }
"""
# Its ways out, and who answers it for names, a line each.
LOOK = """
perl -ne 'print join(".", reverse map hex, $1 =~ /../g), "\\n" if /^\\S+\\s+00000000\\s+(\\S+)/' /proc/net/route
perl -ne 'print "$1\\n" if /^0{32} 00 0{32} 00 ([0-9a-f]{32}) .* eth0$/' /proc/net/ipv6_route |
    sed 's/..../&:/g;s/:$//' | grep -v '^0000'
sed -n 's/^nameserver //p' /etc/resolv.conf
"""


def _ip(*args: str) -> None:
    subprocess.run(["ip", *args], check=True, capture_output=True)


@dataclass(frozen=True)
class Outside:
    """Addresses that are neither this machine's nor a sandbox's, with listeners on them."""

    addresses: tuple[str, ...] = ADDRESSES

    def reached_from(self, user: User, agent: str, *more: str) -> set[str]:
        """What of `addresses` and `more` answers to a program of an agent's, as ``tcp 198.51.100.2``."""
        words = " ".join([*self.addresses, *more])
        return set(user.mngr("exec", agent, f"perl - {words}", stdin=REACH).stdout.decode().splitlines())


@pytest.fixture(scope="module")
def outside() -> Iterator[Outside]:
    # The names and addresses are the machine's: another run of these tests waits until this one is over.
    with LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        subprocess.run(["ip", "netns", "delete", NAMESPACE], capture_output=True)
        subprocess.run(["ip", "link", "delete", LINK], capture_output=True)
        _ip("netns", "add", NAMESPACE)
        server = None
        try:
            _make_network()
            command = ["ip", "netns", "exec", NAMESPACE, sys.executable, str(LISTENERS), *ADDRESSES]
            server = subprocess.Popen(command, stdout=subprocess.PIPE)
            assert server.stdout is not None
            assert server.stdout.readline() == b"ready\n"
            yield Outside()
        finally:
            if server is not None:
                server.kill()
                server.wait()
            _ip("netns", "delete", NAMESPACE)


def _make_network() -> None:
    _ip("link", "add", LINK, "type", "veth", "peer", "name", "eth0", "netns", NAMESPACE)
    _ip("address", "add", "198.51.100.1/24", "dev", LINK)
    _ip("address", "add", "2001:db8:51::1/64", "dev", LINK, "nodad")
    _ip("link", "set", LINK, "up")
    inside = ("-n", NAMESPACE)
    for address in ADDRESSES:
        end = ["/64", "nodad"] if ":" in address else ["/24"]
        _ip(*inside, "address", "add", f"{address}{end[0]}", "dev", "eth0", *end[1:])
    _ip(*inside, "link", "set", "eth0", "up")
    _ip(*inside, "route", "add", "default", "via", "198.51.100.1")
    _ip(*inside, "-6", "route", "add", "default", "via", "2001:db8:51::1")


def _all(*addresses: str) -> set[str]:
    return {f"{way} {address}" for way in ("tcp", "udp", "dns", "icmp") for address in addresses}


def test_open_reaches_what_is_outside(user: User, outside: Outside) -> None:
    user.mngr("create", "open", "--", "sleep 1000")
    assert outside.reached_from(user, "open") == _all(*ADDRESSES)


def test_offline_reaches_nothing_from_the_first_instruction_on(
    user: User, outside: Outside, terminal: Terminal
) -> None:
    (user.project / "reach.pl").write_bytes(REACH)
    (user.project / "serve.pl").write_text(SERVE)
    user.mngr("create", "other", "--", "perl serve.pl")
    neighbour = user.text("exec", "other", "hostname -I").split()
    bridge = user.text("exec", "other", LOOK).split()
    user.mngr("exec", "other", "until grep -q ':1B5F 0* *[0-9:]* 0A' /proc/net/tcp6; do sleep 0.1; done")
    assert outside.reached_from(user, "other", *neighbour) >= {f"tcp {address}" for address in neighbour}
    assert [sum(":" in address for address in found) for found in (neighbour, bridge)] == [1, 1], (neighbour, bridge)
    words = " ".join([*ADDRESSES, *neighbour, *bridge])
    first = f"perl reach.pl {words} >reached; echo tried >>reached; exec sh"
    user.mngr("create", "off", "-b", "offline", "--", first)
    assert outside.reached_from(user, "off", *neighbour, *bridge) == set()
    assert user.text("exec", "off", "until grep -q tried reached; do sleep 0.1; done; cat reached") == "tried\n"
    assert user.mngr("exec", "off", "getent hosts localmodal.test", check=None).returncode == 2
    # The way in works: exec and what create has sent by git and rsync came this way, and so does the rest of its life.
    assert "first commit" in user.text("exec", "off", "git log --oneline")
    terminal.type("mngr connect off", "Enter")
    terminal.until("#")
    terminal.type("echo typed >typed", "Enter")
    user.mngr("exec", "off", "until [ -s typed ]; do sleep 0.1; done")
    user.mngr("stop", "off")
    user.mngr("start", "off")
    assert outside.reached_from(user, "off", *neighbour, *bridge) == set()


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
    assert outside.reached_from(user, "some") == _all(*reached)
    assert json.loads(user.text("list", "--format", "json"))["errors"] == []
