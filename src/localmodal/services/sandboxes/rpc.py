"""Sandbox RPCs of the control plane, for both versions of sandboxes."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterable

from google.protobuf.empty_pb2 import Empty
from modal_proto import api_pb2

from localmodal.engine.network import LOOPBACK
from localmodal.engine.programs import Stream
from localmodal.errors import DeadlineExceeded, FailedPrecondition
from localmodal.injection import Injection
from localmodal.rpc import Call
from localmodal.services.environments.backend import EnvironmentsBackend
from localmodal.services.sandboxes.backend import SandboxesBackend
from localmodal.services.sandboxes.lifecycle import MAIN, Lifecycle
from localmodal.services.sandboxes.spec import Sandbox, SandboxSpec, Status
from localmodal.services.sandboxes.wire import read_spec
from localmodal.services.secrets.backend import SecretsBackend

_LONG_POLL_S = 55.0


class SandboxesRpc:
    """Serves ``Sandbox*`` of the control plane."""

    def __init__(
        self,
        backend: SandboxesBackend,
        lifecycle: Lifecycle,
        secrets: SecretsBackend,
        environments: EnvironmentsBackend,
        router_access: Callable[[str], tuple[str, str]],
        *,
        injection: Injection,
    ) -> None:
        """`router_access` gives the URL and a fresh token of a task's command router."""
        self._backend = backend
        self._lifecycle = lifecycle
        self._secrets = secrets
        self._environments = environments
        self._router_access = router_access
        self._injection = injection

    async def SandboxCreate(self, request: api_pb2.SandboxCreateRequest, call: Call) -> api_pb2.SandboxCreateResponse:
        sandbox = await self._backend.create(
            v2=False,
            app_id=request.app_id,
            name=request.definition.name,
            spec=self._spec(request.definition),
            tags=_tags(request.tags),
            secrets=self._secret_values(request.definition.secret_ids),
        )
        return api_pb2.SandboxCreateResponse(sandbox_id=sandbox.id, metadata=_metadata(sandbox))

    async def SandboxCreateV2(
        self, request: api_pb2.SandboxCreateV2Request, call: Call
    ) -> api_pb2.SandboxCreateV2Response:
        secrets = self._secret_values(request.definition.secret_ids)
        for source in request.secret_sources:
            secrets |= self._secret_values([source.secret_id]) if source.secret_id else dict(source.env.contents)
        secrets |= dict(request.ephemeral_secrets.contents) | dict(request.definition.environment_variables.contents)
        sandbox = await self._backend.create(
            v2=True,
            app_id=request.app_id,
            name=request.definition.name,
            spec=self._spec(request.definition),
            tags=_tags(request.tags),
            secrets=secrets,
        )
        url, jwt = self._router_access(sandbox.task_id)
        return api_pb2.SandboxCreateV2Response(
            sandbox_id=sandbox.id,
            task_id=sandbox.task_id,
            tunnels=_tunnels(sandbox),
            metadata=_metadata(sandbox),
            command_router_access=api_pb2.CommandRouterAccess(jwt=jwt, url=url),
        )

    def _spec(self, definition: api_pb2.Sandbox) -> SandboxSpec:
        spec = read_spec(definition)
        if spec.exit_snapshot and self._injection.settings.no_exit_snapshots:
            raise FailedPrecondition("Exit snapshots are not enabled for this workspace.")
        return spec

    def _secret_values(self, secret_ids: Iterable[str]) -> dict[str, str]:
        values: dict[str, str] = {}
        for secret_id in secret_ids:
            values |= self._secrets.values(secret_id)
        return values

    async def SandboxGetTaskId(
        self, request: api_pb2.SandboxGetTaskIdRequest, call: Call
    ) -> api_pb2.SandboxGetTaskIdResponse:
        sandbox = await self._backend.wait_started(request.sandbox_id, request.timeout or _LONG_POLL_S)
        if request.wait_until_ready and sandbox.running:
            await self._backend.wait_ready(sandbox.id, request.timeout or _LONG_POLL_S)
        reply = api_pb2.SandboxGetTaskIdResponse(task_id=sandbox.task_id if sandbox.started_at else "")
        if not sandbox.running:
            reply.task_result.CopyFrom(_result(sandbox))
        return reply

    SandboxGetTaskIdV2 = SandboxGetTaskId

    async def SandboxWait(self, request: api_pb2.SandboxWaitRequest, call: Call) -> api_pb2.SandboxWaitResponse:
        sandbox = await self._backend.wait(request.sandbox_id, min(request.timeout, _LONG_POLL_S))
        return api_pb2.SandboxWaitResponse(result=_result(sandbox), metadata=_metadata(sandbox))

    SandboxWaitV2 = SandboxWait

    async def SandboxList(self, request: api_pb2.SandboxListRequest, call: Call) -> api_pb2.SandboxListResponse:
        environment = self._environments.resolve(request.environment_name) if not request.app_id else ""
        page = self._backend.page(
            environment=environment,
            app_id=request.app_id,
            before=request.before_timestamp,
            include_ended=request.include_finished,
            tags=_tags(request.tags),
            as_of=self._injection.listing_time(),
        )
        return api_pb2.SandboxListResponse(sandboxes=[_info(sandbox) for sandbox in page])

    SandboxListV2 = SandboxList

    async def SandboxGetFromName(
        self, request: api_pb2.SandboxGetFromNameRequest, call: Call
    ) -> api_pb2.SandboxGetFromNameResponse:
        environment = self._environments.resolve(request.environment_name)
        sandbox = self._backend.by_name(
            environment, request.app_name, request.sandbox_name, include_ended=request.include_terminated
        )
        return api_pb2.SandboxGetFromNameResponse(sandbox_id=sandbox.id, metadata=_metadata(sandbox))

    SandboxGetFromNameV2 = SandboxGetFromName

    async def SandboxTerminate(
        self, request: api_pb2.SandboxTerminateRequest, call: Call
    ) -> api_pb2.SandboxTerminateResponse:
        sandbox = self._backend.terminate(request.sandbox_id)
        reply = api_pb2.SandboxTerminateResponse()
        if not sandbox.running:
            reply.existing_result.CopyFrom(_result(sandbox))
        return reply

    SandboxTerminateV2 = SandboxTerminate

    async def SandboxGetTunnels(
        self, request: api_pb2.SandboxGetTunnelsRequest, call: Call
    ) -> api_pb2.SandboxGetTunnelsResponse:
        sandbox = await self._backend.wait_started(request.sandbox_id, request.timeout)
        if not sandbox.running:
            return api_pb2.SandboxGetTunnelsResponse(result=_result(sandbox))
        if sandbox.started_at is None:
            raise DeadlineExceeded(f"Sandbox {sandbox.id} did not start within {request.timeout:g} seconds")
        success = api_pb2.GenericResult(status=api_pb2.GenericResult.GENERIC_STATUS_SUCCESS)
        return api_pb2.SandboxGetTunnelsResponse(result=success, tunnels=_tunnels(sandbox))

    SandboxGetTunnelsV2 = SandboxGetTunnels

    async def SandboxTagsGet(
        self, request: api_pb2.SandboxTagsGetRequest, call: Call
    ) -> api_pb2.SandboxTagsGetResponse:
        tags = self._backend.get(request.sandbox_id).tags
        return api_pb2.SandboxTagsGetResponse(tags=_tag_messages(tags))

    SandboxTagsGetV2 = SandboxTagsGet

    async def SandboxTagsSet(self, request: api_pb2.SandboxTagsSetRequest, call: Call) -> Empty:
        self._backend.set_tags(request.sandbox_id, _tags(request.tags))
        return Empty()

    SandboxTagsSetV2 = SandboxTagsSet

    async def SandboxSetName(
        self, request: api_pb2.SandboxSetNameRequest, call: Call
    ) -> api_pb2.SandboxSetNameResponse:
        self._backend.set_name(request.sandbox_id, request.name)
        return api_pb2.SandboxSetNameResponse()

    async def SandboxGetExitSnapshot(
        self, request: api_pb2.SandboxGetExitSnapshotRequest, call: Call
    ) -> api_pb2.SandboxGetExitSnapshotResponse:
        snapshot = await self._backend.exit_snapshot(request.sandbox_id, request.timeout)
        reply = api_pb2.SandboxGetExitSnapshotResponse()
        if snapshot.image_id:
            reply.success.image_id = snapshot.image_id
        elif snapshot.error:
            reply.error.error_code = api_pb2.SandboxGetExitSnapshotResponse.ERROR_CODE_INTERNAL
            reply.error.message = snapshot.error
        else:
            reply.pending.SetInParent()
        return reply

    SandboxGetExitSnapshotV2 = SandboxGetExitSnapshot

    async def SandboxWaitUntilReady(
        self, request: api_pb2.SandboxWaitUntilReadyRequest, call: Call
    ) -> api_pb2.SandboxWaitUntilReadyResponse:
        ready_at = await self._backend.wait_ready(request.sandbox_id, request.timeout)
        return api_pb2.SandboxWaitUntilReadyResponse(ready_at=ready_at)

    async def SandboxGetCommandRouterAccess(
        self, request: api_pb2.SandboxGetCommandRouterAccessRequest, call: Call
    ) -> api_pb2.SandboxGetCommandRouterAccessResponse:
        backend = self._backend
        sandbox = backend.get(request.sandbox_id) if request.sandbox_id else backend.by_task(request.task_id)
        url, jwt = await self._access(sandbox)
        return api_pb2.SandboxGetCommandRouterAccessResponse(url=url, jwt=jwt)

    async def TaskGetCommandRouterAccess(
        self, request: api_pb2.TaskGetCommandRouterAccessRequest, call: Call
    ) -> api_pb2.TaskGetCommandRouterAccessResponse:
        url, jwt = await self._access(self._backend.by_task(request.task_id))
        return api_pb2.TaskGetCommandRouterAccessResponse(url=url, jwt=jwt)

    async def _access(self, sandbox: Sandbox) -> tuple[str, str]:
        sandbox = await self._backend.wait_started(sandbox.id)
        if sandbox.started_at is None:
            raise FailedPrecondition(f"Sandbox {sandbox.id} never ran: {sandbox.message}")
        return self._router_access(sandbox.task_id)

    async def SandboxGetLogs(
        self, request: api_pb2.SandboxGetLogsRequest, call: Call
    ) -> AsyncIterator[api_pb2.TaskLogsBatch]:
        """The entry id is the number of bytes read, so that a client goes on where it stopped."""
        sandbox = await self._backend.wait_started(request.sandbox_id)
        offset = int(request.last_entry_id.split("-")[-1] or 0) if request.last_entry_id else 0
        stream: Stream = "err" if request.file_descriptor == api_pb2.FILE_DESCRIPTOR_STDERR else "out"
        if sandbox.started_at is not None:
            program = self._lifecycle.program(sandbox.id, MAIN)
            async for data in program.read(stream, offset):
                offset += len(data)
                item = api_pb2.TaskLogs(
                    data=data.decode(errors="replace"), file_descriptor=request.file_descriptor, timestamp=time.time()
                )
                yield api_pb2.TaskLogsBatch(task_id=sandbox.task_id, items=[item], entry_id=f"{offset}")
        yield api_pb2.TaskLogsBatch(task_id=sandbox.task_id, entry_id=f"{offset}", eof=True)

    async def SandboxStdinWrite(
        self, request: api_pb2.SandboxStdinWriteRequest, call: Call
    ) -> api_pb2.SandboxStdinWriteResponse:
        """V1 numbers its writes from 1; a number seen before is a second try of the same write."""
        sandbox = await self._backend.wait_started(request.sandbox_id)
        live = self._lifecycle.live(sandbox.id)
        if live is None or not sandbox.running:
            raise FailedPrecondition(f"Sandbox {sandbox.id} has ended")
        live.touch()
        if request.index > live.stdin_index:
            live.stdin_index = request.index
            program = live.programs[MAIN]
            await program.write_stdin(program.stdin_bytes, request.input, eof=request.eof)
        return api_pb2.SandboxStdinWriteResponse()


def _result(sandbox: Sandbox) -> api_pb2.GenericResult:
    if sandbox.status is None:
        return api_pb2.GenericResult()
    status = api_pb2.GenericResult.GenericStatus.Value(sandbox.status.value)
    exception = "" if sandbox.status is Status.SUCCESS else sandbox.message
    return api_pb2.GenericResult(status=status, exitcode=sandbox.exit_code, exception=exception)


def _metadata(sandbox: Sandbox) -> api_pb2.SandboxHandleMetadata:
    metadata = api_pb2.SandboxHandleMetadata(app_id=sandbox.app_id)
    if sandbox.status is not None:
        metadata.result.CopyFrom(_result(sandbox))
    return metadata


def _tunnels(sandbox: Sandbox) -> list[api_pb2.TunnelData]:
    return [
        api_pb2.TunnelData(
            container_port=inside,
            host=LOOPBACK,
            port=outside,
            unencrypted_host=LOOPBACK if inside in sandbox.spec.unencrypted_ports else "",
            unencrypted_port=outside if inside in sandbox.spec.unencrypted_ports else 0,
        )
        for inside, outside in sandbox.host_ports.items()
    ]


def _info(sandbox: Sandbox) -> api_pb2.SandboxInfo:
    spec = sandbox.spec
    info = api_pb2.SandboxInfo(
        id=sandbox.id,
        created_at=sandbox.created_at,
        app_id=sandbox.app_id,
        tags=_tag_messages(sandbox.tags),
        name=sandbox.name,
        image_id=spec.image_id,
        regions=spec.regions,
        timeout_secs=spec.timeout_s,
        idle_timeout_secs=spec.idle_timeout_s or 0,
        ready_at=sandbox.ready_at or 0,
        tunnels=_tunnels(sandbox) if sandbox.running else [],
        metadata=_metadata(sandbox),
        task_info=api_pb2.TaskInfo(
            id=sandbox.task_id,
            started_at=sandbox.started_at or 0,
            finished_at=sandbox.ended_at or 0,
            enqueued_at=sandbox.created_at,
            sandbox_id=sandbox.id,
            result=_result(sandbox),
        ),
    )
    info.resource_info.memory_mb.value = spec.memory_mib
    info.resource_info.milli_cpu.value = spec.milli_cpu
    info.resource_info.memory_mb_max = spec.memory_mib_limit
    info.resource_info.milli_cpu_max = spec.milli_cpu_limit
    return info


def _tags(messages: Iterable[api_pb2.SandboxTag]) -> dict[str, str]:
    return {tag.tag_name: tag.tag_value for tag in messages}


def _tag_messages(tags: dict[str, str]) -> list[api_pb2.SandboxTag]:
    return [api_pb2.SandboxTag(tag_name=name, tag_value=value) for name, value in tags.items()]
