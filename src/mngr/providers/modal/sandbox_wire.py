"""Sandboxes, and the images that they leave, over the wire; see `wire` for why, and who is asked when it fails."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from google.protobuf.empty_pb2 import Empty
from modal_proto import api_pb2

from mngr.models import Endpoint
from mngr.providers.modal.requests import Ending, RouterAccess
from mngr.providers.modal.wire import Gone, Wire, WireFailed

SSH_PORT = 22
_HELD_S = 10.0
"""How long the server may keep an answer back until there is something to tell."""
_V1_LENGTH = 22


@dataclass(frozen=True, slots=True)
class Listed:
    """A sandbox that runs, as the list of them has it; `endpoint` None while it has no tunnel to its sshd."""

    id: str
    created_at: float
    endpoint: Endpoint | None


def is_v1(sandbox_id: str) -> bool:
    """As the SDK tells them apart (`modal.sandbox._common._is_v1_sandbox_id`, 1.6)."""
    suffix = sandbox_id.removeprefix("sb-")
    return suffix != sandbox_id and len(suffix) == _V1_LENGTH and suffix.isascii() and suffix.isalnum()


async def page(wire: Wire, before: float = 0.0) -> list[Listed]:
    """One page of the app's running sandboxes, of both versions, the newest first; an empty one is behind the last."""
    request = api_pb2.SandboxListRequest(app_id=wire.app_id, before_timestamp=before)
    reply = await wire.call("SandboxListV2", request, api_pb2.SandboxListResponse, token=True)
    return [Listed(one.id, one.created_at, _ssh(one.tunnels)) for one in reply.sandboxes]


async def running(wire: Wire, wanted: Set[str] | None = None) -> dict[str, Listed]:
    """The running sandboxes of the app by id; no page is read when all that are `wanted` were found."""
    found: dict[str, Listed] = {}
    before = 0.0
    while listed := await page(wire, before):
        found |= {one.id: one for one in listed}
        before = listed[-1].created_at
        if wanted is not None and wanted <= found.keys():
            break
    return found


async def ending(wire: Wire, sandbox_id: str, held_s: float = 0.0) -> Ending | None:
    """How a sandbox ended, None while it runs, after up to `held_s` seconds. Raises `Gone`."""
    request = api_pb2.SandboxWaitRequest(sandbox_id=sandbox_id, timeout=held_s)
    reply = await _call(wire, "SandboxWait", sandbox_id, request, api_pb2.SandboxWaitResponse)
    result = reply.result
    if not result.status:
        return None
    status = type(result).GenericStatus.Name(result.status).removeprefix("GENERIC_STATUS_").lower()
    return Ending(returncode(status, result.exitcode), status, result.exception)


async def wait_ended(wire: Wire, sandbox_id: str) -> None:
    """Waits until a sandbox has ended, however it did. Raises `Gone`."""
    while await ending(wire, sandbox_id, _HELD_S) is None:
        pass


async def ended_at(wire: Wire, sandbox_id: str, tags: Mapping[str, str]) -> float | None:
    """When a sandbox ended that carries `tags`; None when it has not, or the list does not say."""
    wanted = [api_pb2.SandboxTag(tag_name=name, tag_value=value) for name, value in tags.items()]
    request = api_pb2.SandboxListRequest(app_id=wire.app_id, include_finished=True, tags=wanted)
    reply = await wire.call("SandboxListV2", request, api_pb2.SandboxListResponse, token=True)
    return next((one.task_info.finished_at for one in reply.sandboxes if one.id == sandbox_id), 0.0) or None


async def tunnel(wire: Wire, sandbox_id: str) -> Endpoint | None:
    """Where the sshd of a running sandbox answers."""
    request = api_pb2.SandboxGetTunnelsRequest(sandbox_id=sandbox_id, timeout=1)
    reply = await _call(wire, "SandboxGetTunnels", sandbox_id, request, api_pb2.SandboxGetTunnelsResponse)
    return _ssh(reply.tunnels)


async def terminate(wire: Wire, sandbox_id: str) -> None:
    """Ends a sandbox. One that has ended or is gone is no error."""
    request = api_pb2.SandboxTerminateRequest(sandbox_id=sandbox_id)
    with contextlib.suppress(Gone):
        await _call(wire, "SandboxTerminate", sandbox_id, request, api_pb2.SandboxTerminateResponse)


async def exit_snapshot(wire: Wire, sandbox_id: str) -> str:
    """Waits for the end of a sandbox: the image that it left. Raises `Gone`, and `WireFailed` when it left none."""
    request = api_pb2.SandboxGetExitSnapshotRequest(sandbox_id=sandbox_id, timeout=_HELD_S)
    while True:
        reply = await _call(wire, "SandboxGetExitSnapshot", sandbox_id, request, api_pb2.SandboxGetExitSnapshotResponse)
        if reply.success.image_id:
            return str(reply.success.image_id)
        if reply.WhichOneof("outcome") != "pending":
            raise WireFailed(f"{sandbox_id} left no image: {reply.error.message}")


async def name_image(wire: Wire, image_id: str, name: str) -> None:
    """Gives an image a name (``name:tag``), by which the account keeps it."""
    tag = f"{wire.environment}/{name}" if wire.environment else name
    request = api_pb2.ImagePublishRequest(image_id=image_id, tag=tag)
    await wire.call("ImagePublish", request, api_pb2.ImagePublishResponse)


async def delete_image(wire: Wire, image_id: str) -> None:
    """What is gone already is no error."""
    with contextlib.suppress(Gone):
        await wire.call("ImageDelete", api_pb2.ImageDeleteRequest(image_id=image_id), Empty)


async def router_access(wire: Wire, sandbox_id: str) -> RouterAccess | None:
    """What the SDK asks first when it is to take a snapshot of a running V2 sandbox; None of one of another kind."""
    if is_v1(sandbox_id):
        return None
    request = api_pb2.SandboxGetCommandRouterAccessRequest(sandbox_id=sandbox_id)
    kind = api_pb2.SandboxGetCommandRouterAccessResponse
    access = wire.call("SandboxGetCommandRouterAccess", request, kind, token=True)
    task_id, reply = await asyncio.gather(_task_id(wire, sandbox_id), access)
    return RouterAccess(task_id, reply.url, reply.jwt)


async def _task_id(wire: Wire, sandbox_id: str) -> str:
    request = api_pb2.SandboxGetTaskIdRequest(sandbox_id=sandbox_id)
    reply = await wire.call("SandboxGetTaskIdV2", request, api_pb2.SandboxGetTaskIdResponse, token=True)
    return str(reply.task_id)


async def _call(wire: Wire, name: str, sandbox_id: str, request: Any, kind: Any) -> Any:
    """The call of a name for the version of a sandbox."""
    old = is_v1(sandbox_id)
    return await wire.call(name if old else f"{name}V2", request, kind, token=not old)


def returncode(status: str, code: int) -> int:
    """As the SDK makes it of a result (`modal.sandbox._common._result_returncode`, 1.6)."""
    return {"timeout": 124, "terminated": 137}.get(status, code)


def _ssh(tunnels: Sequence[api_pb2.TunnelData]) -> Endpoint | None:
    for one in tunnels:
        if one.container_port == SSH_PORT and one.unencrypted_host:
            return Endpoint(one.unencrypted_host, one.unencrypted_port)
    return None
