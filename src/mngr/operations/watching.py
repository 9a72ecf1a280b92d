"""Lists agents again and again, for as long as somebody looks."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Generator, Sequence

from mngr.errors import MngrError
from mngr.hosts import known
from mngr.hosts.ssh import Target
from mngr.hosts.watching import Following
from mngr.models import Host
from mngr.operations.finding import all_hosts, is_gone
from mngr.operations.listing import PROBE_S, Listing, view
from mngr.providers.base import Progress

_SOONEST_S = 1.0


def watch(every_s: int, progress: Progress) -> Generator[Listing, None, None]:
    """A listing at once, then one every so many seconds, and one whenever an agent's state changes between. Hosts are
    followed, not probed anew; the provider is asked once for each round, and when a host is lost.

    A provider that can not be asked is an entry in `errors`, and what was known last stays; raises what it says only
    when that is the first time.
    """
    following = Following(every_s)
    with contextlib.closing(following):
        hosts, trouble = _hosts(progress), ""
        while True:
            asked = time.monotonic()
            targets, errors = _targets(hosts)
            following.keep(targets)
            following.await_first(PROBE_S)
            yield _listing(hosts, following, [*errors, trouble])
            due = asked + every_s
            while (left := due - time.monotonic()) > 0:
                if following.changed(left):
                    if following.lost:
                        due = min(due, asked + _SOONEST_S)
                    else:
                        yield _listing(hosts, following, [*errors, trouble])
            try:
                hosts, trouble = _hosts(progress), ""
            except MngrError as error:
                trouble = str(error)


def _hosts(progress: Progress) -> Sequence[Host]:
    """All hosts; those that are to outlive their sandboxes go on when they have not, as for a list."""
    hosts = all_hosts()
    if any(host.record.policy.auto_restart for host in hosts):
        from mngr.operations.keeper import let_go_on

        if let_go_on(hosts, progress):
            hosts = all_hosts()
    return [host for host in hosts if not is_gone(host)]


def _targets(hosts: Sequence[Host]) -> tuple[dict[str, Target], list[str]]:
    targets: dict[str, Target] = {}
    errors = []
    for host in hosts:
        if host.endpoint is not None and host.record.agents:
            try:
                targets[host.record.id] = known.target(host.record, host.endpoint)
            except MngrError as error:
                errors.append(str(error))
    return targets, errors


def _listing(hosts: Sequence[Host], following: Following, errors: Sequence[str]) -> Listing:
    views = []
    for host in hosts:
        probes = following.probes(host.record.id) or {}
        views += [view(host, agent, probes.get(agent.id)) for agent in host.record.agents]
    return Listing(tuple(views), tuple(error for error in (*errors, *following.errors(PROBE_S)) if error))
