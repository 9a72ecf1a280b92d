"""Lists and removes host volumes."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import msgspec

from mngr import config
from mngr.errors import NotFound, UsageError
from mngr.hosts import locks
from mngr.models import Host, HostState, HostVolume
from mngr.operations.changing import changing
from mngr.operations.finding import all_hosts
from mngr.providers import registry
from mngr.providers.base import Progress, SupportsHostVolume


@dataclass(frozen=True, slots=True)
class Found:
    """A host volume at a provider. `host` is None when there is no record of its host; then `mngr gc` removes it."""

    provider: str
    volume: HostVolume
    host_id: str
    host: Host | None

    @property
    def name(self) -> str:
        return self.volume.name


def listed() -> list[Found]:
    """The host volumes of all providers, each once."""
    settings = config.load()
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(all_hosts)
        found: dict[str, tuple[str, HostVolume, str]] = {}
        for name in settings.providers:
            provider = registry.provider(name, settings)
            if isinstance(provider, SupportsHostVolume):
                for host_id, volume in provider.volumes():
                    found.setdefault(volume.name, (name, volume, host_id))
        hosts = {host.record.id: host for host in asked.result()}
    return [Found(name, volume, host_id, hosts.get(host_id)) for name, volume, host_id in found.values()]


def choose(wanted: Sequence[str]) -> list[Found]:
    """The volumes of names, or of hosts' names or ids. Raises `NotFound`, and `UsageError` for that of a host that
    does not stand still."""
    there = listed()
    chosen = []
    for word in dict.fromkeys(wanted):
        mine = [one for one in there if word in (one.name, one.host_id) or (one.host and word == one.host.record.name)]
        if not mine:
            raise NotFound(f"there is no host volume {word!r}; see: mngr volume list")
        chosen += mine
    for one in chosen:
        if one.host is not None and one.host.state in (HostState.RUNNING, HostState.STARTING, HostState.BUILDING):
            name = one.host.record.name
            raise UsageError(f"{one.name} is in use by host {name}, which runs; stop it first: mngr stop {name}")
    return chosen


def destroy(chosen: Sequence[Found], progress: Progress) -> None:
    """Removes volumes. The record of a destroyed host goes with the last thing that was kept of it."""
    settings = config.load()
    for one in chosen:
        if one.host is None:
            provider = registry.provider(one.provider, settings)
            assert isinstance(provider, SupportsHostVolume)  # noqa: S101 (it listed the volume)
            provider.delete_volume(one.volume)
            continue
        with changing(one.host, progress) as (holder, record):
            progress(f"removing the volume of {record.name}")
            assert isinstance(holder, SupportsHostVolume)  # noqa: S101 (it listed the volume)
            holder.delete_volume(one.volume)
            if record.state is HostState.DESTROYED and not record.snapshots:
                holder.destroy(msgspec.structs.replace(record, volume=None), progress)
                locks.forget(record.id)
