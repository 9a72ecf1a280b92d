"""How a host's options become a sandbox."""

from __future__ import annotations

from collections.abc import Mapping

from mngr.hosts import agents
from mngr.models import HostRecord, IdleMode
from mngr.providers.modal.options import Options
from mngr.providers.modal.requests import SandboxRequest

TAG = "mngr-host"
_MIB = 1024


def request(
    record: HostRecord, options: Options, image_id: str, secrets: Mapping[str, str], stored_secret: str
) -> SandboxRequest:
    """What to ask Modal for."""
    memory = int(options.memory * _MIB)
    host_volume = {agents.HOST_DIR: record.volume.name} if record.volume else {}
    return SandboxRequest(
        name=record.name,
        image_id=image_id,
        command=("sh", f"{agents.SCRIPTS}/supervisor.sh"),
        secrets=secrets,
        tags={TAG: record.id},
        timeout_s=options.timeout,
        cpu=options.cpu if options.cpu_limit is None else (options.cpu, options.cpu_limit),
        memory_mib=memory if options.memory_limit is None else (memory, int(options.memory_limit * _MIB)),
        stored_secret=stored_secret if options.env else "",
        gpu=options.gpu,
        region=options.region,
        cloud=options.cloud,
        # Modal's block_network would close the way in for SSH too; an empty list closes only the way out.
        cidrs=() if options.offline else options.cidr_allowlist or None,
        volumes={path: name for name, path in (text.split(":", 1) for text in options.volumes)} | host_volume,
        exit_snapshot=record.exit_snapshots,
    )


def environment(record: HostRecord, options: Options, keys: tuple[str, str], *, run_agents: bool) -> dict[str, str]:
    """What the supervisor is told: keys (the host's private one and our public one), and when to end by itself.

    Without exit snapshots it must not end by itself for idleness: nothing would be left.
    """
    policy = record.policy
    # A short lifetime keeps at least four fifths for work.
    buffer_s = min(policy.shutdown_buffer_s, options.timeout // 5)
    return {
        "MNGR_SSH_HOST_KEY": keys[0],
        "MNGR_SSH_AUTHORIZED_KEY": keys[1],
        "MNGR_HOST_ID": record.id,
        "MNGR_HOST_DIR": agents.HOST_DIR,
        "MNGR_IDLE_MODE": (policy.idle_mode if record.exit_snapshots else IdleMode.DISABLED).value,
        "MNGR_IDLE_TIMEOUT_S": f"{policy.idle_timeout_s}",
        "MNGR_AGENTS_GONE_S": f"{policy.agents_gone_s}",
        "MNGR_END_AFTER_S": f"{options.timeout - buffer_s}",
        "MNGR_AUTOSTART": " ".join(agent.id for agent in record.agents) if run_agents else "",
        "MNGR_SYNC_S": f"{policy.sync_every_s if record.volume else 0}",
        "MNGR_LOG_MAX_MB": f"{policy.log_max_mb}",
        "MNGR_LAST_END": record.reason,
    }
