"""Reads a sandbox's definition off the wire, and refuses by name what localmodal does not do."""

from __future__ import annotations

import ipaddress

from modal_proto import api_pb2

from localmodal.engine.network import Egress
from localmodal.errors import InvalidArgument, Unimplemented
from localmodal.services.sandboxes.spec import Probe, SandboxSpec, VolumeMount

_EXIT_SNAPSHOT_OPTION = "enable_exit_snapshot"
_TRUE = ("true", "1")


def read_spec(definition: api_pb2.Sandbox) -> SandboxSpec:
    """Raises `InvalidArgument` for what Modal refuses too, `Unimplemented` for what only localmodal lacks."""
    _refuse(definition)
    resources = definition.resources
    ports = definition.open_ports.ports
    options = definition.experimental_options_v2
    return SandboxSpec(
        args=tuple(definition.entrypoint_args),
        image_id=definition.image_id,
        workdir=definition.workdir,
        timeout_s=definition.timeout_secs,
        idle_timeout_s=definition.idle_timeout_secs or None,
        milli_cpu=resources.milli_cpu,
        milli_cpu_limit=resources.milli_cpu_max,
        memory_mib=resources.memory_mb,
        memory_mib_limit=resources.memory_mb_max,
        ports=tuple(port.port for port in ports),
        unencrypted_ports=tuple(port.port for port in ports if port.unencrypted),
        egress=_egress(definition),
        volumes=_volumes(definition),
        mount_ids=tuple(definition.mount_ids),
        probe=_probe(definition),
        regions=tuple(definition.scheduler_placement.regions),
        cloud=definition.cloud_provider_str,
        terminal=_terminal(definition),
        exit_snapshot=options.get(_EXIT_SNAPSHOT_OPTION, "").lower() in _TRUE
        or definition.experimental_options.get(_EXIT_SNAPSHOT_OPTION, False),
    )


def _refuse(definition: api_pb2.Sandbox) -> None:
    gpu = definition.resources.gpu_config
    if gpu.count or gpu.gpu_type:
        asked = f"{gpu.gpu_type or 'any'}:{gpu.count or 1}"
        raise InvalidArgument(f"GPU {asked} was asked for; localmodal runs on this machine, and it offers no GPU.")
    for present, what in (
        (bool(definition.nfs_mounts), "network file systems"),
        (bool(definition.cloud_bucket_mounts or definition.s3_mounts), "cloud bucket mounts"),
        (bool(definition.proxy_id), "proxies"),
        (bool(definition.custom_domain), "custom domains"),
        (bool(definition.network_access.allowed_domains), "domain allowlists"),
        (definition.enable_snapshot, "memory snapshots"),
        (definition.i6pn_enabled, "i6pn"),
        (definition.HasField("experimental_outbound_policy"), "outbound policies"),
        (definition.include_oidc_identity_token, "OIDC identity tokens"),
    ):
        if present:
            raise Unimplemented(f"localmodal does not serve {what}")


def _egress(definition: api_pb2.Sandbox) -> Egress:
    kinds = api_pb2.NetworkAccess.NetworkAccessType
    access = definition.network_access
    if definition.block_network or access.network_access_type == kinds.BLOCKED:
        if definition.open_ports.ports:
            raise InvalidArgument("Cannot specify open ports when `block_network` is enabled")
        return Egress("blocked")
    if access.network_access_type != kinds.ALLOWLIST:
        return Egress()
    for cidr in access.allowed_cidrs:
        try:
            ipaddress.ip_network(cidr, strict=False)
        except ValueError as error:
            raise InvalidArgument(f"Invalid CIDR '{cidr}': {error}") from error
    return Egress("allowlist", tuple(access.allowed_cidrs))


def _volumes(definition: api_pb2.Sandbox) -> tuple[VolumeMount, ...]:
    mounts = definition.volume_mounts
    volumes = [mount.volume_id for mount in mounts]
    if len(set(volumes)) != len(volumes):
        raise InvalidArgument("The same Volume cannot be mounted in multiple locations.")
    for mount in mounts:
        if not mount.mount_path.startswith("/") or mount.mount_path.rstrip("/") == "":
            raise InvalidArgument(f"Volume mount path must be absolute and not the root, got '{mount.mount_path}'")
    return tuple(VolumeMount(mount.volume_id, mount.mount_path, mount.read_only, mount.sub_path) for mount in mounts)


def _probe(definition: api_pb2.Sandbox) -> Probe | None:
    if not definition.HasField("readiness_probe"):
        return None
    probe = definition.readiness_probe
    interval_s = (probe.interval_ms or 100) / 1000
    if probe.tcp_port:
        return Probe(interval_s, tcp_port=probe.tcp_port)
    return Probe(interval_s, command=tuple(probe.exec_command.argv))


def _terminal(definition: api_pb2.Sandbox) -> tuple[int, int] | None:
    if not definition.pty_info.enabled:
        return None
    return definition.pty_info.winsz_rows or 24, definition.pty_info.winsz_cols or 80
