"""What agents, hosts and snapshots look like in JSON: the shapes that the documentation promises."""

from __future__ import annotations

import shlex
from typing import Any

from mngr.errors import MngrError
from mngr.hosts import known, ssh
from mngr.models import AgentView, Host, HostRecord, Policy, Snapshot


def agent_value(view: AgentView) -> dict[str, Any]:
    """An agent in the form that the documentation promises."""
    agent = view.agent
    return {
        "id": agent.id,
        "name": agent.name,
        "type": agent.type,
        "state": view.state.value,
        "created_at": agent.created_at,
        "work_dir": agent.work_dir,
        "command": agent.command,
        "exit_code": view.exit_code,
        "idle_s": view.idle_s,
        "out_of_memory": view.out_of_memory,
        "labels": agent.labels,
        "host": host_value(view.host),
    }


def host_value(host: Host) -> dict[str, Any]:
    record = host.record
    return {
        "id": record.id,
        "name": record.name,
        "provider": record.provider,
        "state": host.state.value,
        "reason": host.reason or record.reason,
        "sandbox_id": record.sandbox_id,
        "options": record.options,
        "created_at": record.created_at,
        "started_at": record.started_at or None,
        "policy": policy_value(record.policy),
        "snapshots": [snapshot_value(record, snapshot) for snapshot in record.snapshots],
        "volume": {"name": record.volume.name, "version": record.volume.version} if record.volume else None,
        "ssh": _ssh_value(host),
    }


def policy_value(policy: Policy) -> dict[str, Any]:
    """When a host ends itself; times in seconds."""
    return {name: getattr(policy, name) for name in policy.__struct_fields__} | {"idle_mode": policy.idle_mode.value}


def snapshot_value(record: HostRecord, snapshot: Snapshot) -> dict[str, Any]:
    """A snapshot in the form that the documentation promises."""
    return {
        "id": snapshot.id,
        "name": snapshot.name,
        "kind": snapshot.kind.value,
        "created_at": snapshot.created_at,
        "size": snapshot.size,
        "host": record.name,
        "host_id": record.id,
        "based_on": snapshot.based_on or None,
        "description": snapshot.description,
        "tags": snapshot.tags,
        "expires_at": snapshot.expires_at,
    }


def _ssh_value(host: Host) -> dict[str, Any] | None:
    if host.endpoint is None:
        return None
    endpoint = host.endpoint
    try:
        command = shlex.join(ssh.argv(known.target(host.record, endpoint)))
    except MngrError:
        command = ""
    return {"host": endpoint.address, "port": endpoint.port, "user": endpoint.user, "command": command}
