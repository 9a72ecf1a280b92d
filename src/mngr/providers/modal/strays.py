"""What runs or is kept at Modal for hosts that no record accounts for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mngr.errors import ProviderNotFound
from mngr.models import IN_WORK, Host, HostState, HostVolume
from mngr.providers.base import Stray
from mngr.providers.modal.sandboxes import TAG

if TYPE_CHECKING:
    from mngr.providers.modal.client import Client
    from mngr.providers.modal.records import Records

_SANDBOX = "sandbox"
_VOLUME = "volume"


def find(
    client: Client, records: Records, hosts: Sequence[Host], volumes: Sequence[tuple[str, HostVolume]]
) -> list[Stray]:
    """See `Provider.strays`. Records are looked at again, since one may have been made after `hosts` were listed."""
    known_ids = {host.record.sandbox_id for host in hosts if host.record.state is HostState.RUNNING}
    found = []
    for sandbox_id in client.running() - known_ids:
        host_id = _host_of(client, sandbox_id)
        record = records.get(host_id) if host_id else None
        if host_id and (record is None or (record.state not in IN_WORK and record.sandbox_id != sandbox_id)):
            what = "is gone" if record is None else f"runs in another sandbox or is {record.state.value}"
            found.append(Stray(_SANDBOX, sandbox_id, f"its host {host_id} {what}"))
    ids = {host.record.id for host in hosts}
    for host_id, volume in volumes:
        if host_id not in ids and records.get(host_id) is None:
            found.append(Stray(_VOLUME, volume.name, f"its host {host_id} is gone"))
    return found


def remove(client: Client, stray: Stray) -> None:
    """What is gone already is no error."""
    if stray.kind == _VOLUME:
        client.delete_volume(stray.id)
    else:
        client.terminate(stray.id)


def _host_of(client: Client, sandbox_id: str) -> str:
    """The id of the host that a sandbox was made for, empty for one that has ended or is not ours."""
    try:
        return client.tags(sandbox_id).get(TAG, "")
    except ProviderNotFound:
        return ""
