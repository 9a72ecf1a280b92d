"""The command router's protocol: what SDKs call beside the control plane, for one running sandbox at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator

from modal_proto import api_pb2
from modal_proto import task_command_router_pb2 as sr_pb2

from localmodal.engine.network import Egress
from localmodal.engine.programs import Ending, Stream
from localmodal.errors import InvalidArgument
from localmodal.rpc import Call
from localmodal.services.command_router.backend import CommandRouterBackend
from localmodal.services.secrets.backend import SecretsBackend

_NO_EXPIRY = -1
_DEFAULT_TTL_S = 30 * 86_400


class CommandRouterRpc:
    """Serves ``TaskCommandRouter``."""

    def __init__(self, backend: CommandRouterBackend, secrets: SecretsBackend) -> None:
        self._backend = backend
        self._secrets = secrets

    async def TaskExecStart(self, request: sr_pb2.TaskExecStartRequest, call: Call) -> sr_pb2.TaskExecStartResponse:
        if not request.command_args:
            raise InvalidArgument("No command was given")
        env: dict[str, str] = {}
        for secret_id in request.secret_ids:
            env |= self._secrets.values(secret_id)
        for source in request.secret_sources:
            env |= self._secrets.values(source.secret_id) if source.secret_id else dict(source.env.contents)
        env |= dict(request.env)
        pty = request.pty_info
        await self._backend.start(
            request.task_id,
            request.exec_id,
            tuple(request.command_args),
            env=env,
            workdir=request.workdir,
            timeout_s=request.timeout_secs or None,
            terminal=(pty.winsz_rows or 24, pty.winsz_cols or 80) if pty.enabled else None,
        )
        return sr_pb2.TaskExecStartResponse()

    async def TaskExecStdioRead(
        self, request: sr_pb2.TaskExecStdioReadRequest, call: Call
    ) -> AsyncIterator[sr_pb2.TaskExecStdioReadResponse]:
        stderr = request.file_descriptor == sr_pb2.TASK_EXEC_STDIO_FILE_DESCRIPTOR_STDERR
        stream: Stream = "err" if stderr else "out"
        program = self._backend.program(request.task_id, request.exec_id)
        async for data in self._backend.read(program, stream, request.offset):
            yield sr_pb2.TaskExecStdioReadResponse(data=data)

    async def TaskExecStdinWrite(
        self, request: sr_pb2.TaskExecStdinWriteRequest, call: Call
    ) -> sr_pb2.TaskExecStdinWriteResponse:
        program = self._backend.program(request.task_id, request.exec_id)
        await self._backend.write_stdin(request.task_id, program, request.offset, request.data, eof=request.eof)
        return sr_pb2.TaskExecStdinWriteResponse()

    async def TaskExecStdinWriteStream(
        self, requests: AsyncIterator[sr_pb2.TaskExecStdinWriteStreamRequest], call: Call
    ) -> sr_pb2.TaskExecStdinWriteStreamResponse:
        task_id = exec_id = ""
        offset = 0
        async for request in requests:
            if request.HasField("start"):
                task_id, exec_id, offset = request.start.task_id, request.start.exec_id, request.start.offset
                continue
            program = self._backend.program(task_id, exec_id)
            end = request.HasField("end")
            await self._backend.write_stdin(task_id, program, offset, request.data, eof=end)
            offset += len(request.data)
            if end:
                break
        return sr_pb2.TaskExecStdinWriteStreamResponse()

    async def TaskExecStdinStatus(
        self, request: sr_pb2.TaskExecStdinStatusRequest, call: Call
    ) -> sr_pb2.TaskExecStdinStatusResponse:
        program = self._backend.program(request.task_id, request.exec_id)
        return sr_pb2.TaskExecStdinStatusResponse(num_bytes_written=program.stdin_bytes, closed=program.stdin_closed)

    async def TaskExecPoll(self, request: sr_pb2.TaskExecPollRequest, call: Call) -> sr_pb2.TaskExecPollResponse:
        ending = self._backend.program(request.task_id, request.exec_id).ending()
        reply = sr_pb2.TaskExecPollResponse()
        if ending is not None:
            _write_ending(ending, reply)
        return reply

    async def TaskExecWait(self, request: sr_pb2.TaskExecWaitRequest, call: Call) -> sr_pb2.TaskExecWaitResponse:
        reply = sr_pb2.TaskExecWaitResponse()
        _write_ending(await self._backend.wait(request.task_id, request.exec_id), reply)
        return reply

    async def SandboxStdioReadV2(
        self, request: sr_pb2.SandboxStdioReadV2Request, call: Call
    ) -> AsyncIterator[sr_pb2.SandboxStdioReadV2Response]:
        stderr = request.file_descriptor == sr_pb2.SANDBOX_STDIO_FILE_DESCRIPTOR_STDERR
        program = await self._backend.main(request.task_id)
        offset = request.offset
        async for data in self._backend.read(program, "err" if stderr else "out", offset):
            yield sr_pb2.SandboxStdioReadV2Response(data=data, starting_offset=offset)
            offset += len(data)

    async def SandboxStdinWriteV2(
        self, request: sr_pb2.SandboxStdinWriteV2Request, call: Call
    ) -> sr_pb2.SandboxStdinWriteV2Response:
        program = await self._backend.main(request.task_id)
        await self._backend.write_stdin(request.task_id, program, request.offset, request.data, eof=request.eof)
        return sr_pb2.SandboxStdinWriteV2Response()

    async def SandboxWaitUntilReady(
        self, request: sr_pb2.SandboxWaitUntilReadyTcrRequest, call: Call
    ) -> sr_pb2.SandboxWaitUntilReadyTcrResponse:
        ready_at = await self._backend.wait_ready(request.task_id, request.timeout)
        return sr_pb2.SandboxWaitUntilReadyTcrResponse(ready_at=ready_at)

    async def TaskSnapshotFilesystem(
        self, request: sr_pb2.TaskSnapshotFilesystemRequest, call: Call
    ) -> sr_pb2.TaskSnapshotFilesystemResponse:
        ttl_s = None if request.ttl_seconds == _NO_EXPIRY else request.ttl_seconds or _DEFAULT_TTL_S
        image_id = await self._backend.snapshot(request.task_id, request.snapshot_id, ttl_s=ttl_s)
        return sr_pb2.TaskSnapshotFilesystemResponse(image_id=image_id)

    async def TaskReloadVolumes(
        self, request: sr_pb2.TaskReloadVolumesRequest, call: Call
    ) -> sr_pb2.TaskReloadVolumesResponse:
        await self._backend.reload_volumes(request.task_id)
        return sr_pb2.TaskReloadVolumesResponse()

    async def TaskSetNetworkAccess(
        self, request: sr_pb2.TaskSetNetworkAccessRequest, call: Call
    ) -> sr_pb2.TaskSetNetworkAccessResponse:
        kinds = api_pb2.NetworkAccess.NetworkAccessType
        access = request.network_access
        if access.network_access_type == kinds.BLOCKED:
            egress = Egress("blocked")
        elif access.network_access_type == kinds.ALLOWLIST:
            egress = Egress("allowlist", tuple(access.allowed_cidrs))
        else:
            egress = Egress()
        await self._backend.set_egress(request.task_id, egress)
        return sr_pb2.TaskSetNetworkAccessResponse()


def _write_ending(ending: Ending, reply: sr_pb2.TaskExecPollResponse | sr_pb2.TaskExecWaitResponse) -> None:
    # A signal shows as 128+n in the exit code, as a shell reports it (seen on Modal).
    reply.code = ending.code
