"""What mngr asks Modal for, in plain values.

Only this module, `volume_client` and `sdk_errors` import `modal`; every error of the SDK leaves them as one of ours.
"""

from __future__ import annotations

import contextlib
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any

import modal
import modal.exception
import modal.experimental
from modal._output.manager import DisabledOutputManager
from modal._utils.async_utils import synchronize_api, synchronizer
from modal.output import OutputManager
from modal_proto import api_pb2

from mngr.config import ModalSettings
from mngr.errors import (
    ExitSnapshotsRefused,
    ImageBuildFailed,
    ProviderNotFound,
    ProviderRefused,
)
from mngr.models import Endpoint
from mngr.providers.modal import access, dockerfiles, handles
from mngr.providers.modal.requests import Ending, ImageRequest, RouterAccess, SandboxRequest
from mngr.providers.modal.sdk_errors import translated
from mngr.providers.modal.volume_client import VolumeClient

SSH_PORT = 22
_EXIT_SNAPSHOT = "enable_exit_snapshot"
_READY_S = 300
_SHORTEST_MASK = 4
_TAIL_LINES = 15
# The SDK's words (1.6) around a build's own.
_BUILD_FAILED = re.compile(r"^Image build for \S+ failed with the exception:\s*")
_SEE_LOG = "View the build logs"


@synchronize_api  # type: ignore[untyped-decorator]
async def _finished_at(sandbox: Any, app_id: str, tags: dict[str, str]) -> float:
    """When a sandbox ended, 0 when Modal does not say: only the list of sandboxes tells."""
    wanted = [api_pb2.SandboxTag(tag_name=name, tag_value=value) for name, value in tags.items()]
    request = api_pb2.SandboxListRequest(app_id=app_id, include_finished=True, tags=wanted)
    answer = await type(sandbox._impl).list_page(sandbox.client, request)
    return next((one.task_info.finished_at for one in answer.sandboxes if one.id == sandbox.object_id), 0.0)


@contextlib.contextmanager
def _with_advice(request: SandboxRequest) -> Iterator[None]:
    """Adds what to try to the words in which Modal refuses a sandbox."""
    try:
        yield
    except (modal.exception.InvalidError, modal.exception.ResourceExhaustedError) as error:
        asked = {"gpu": request.gpu, "region": request.region, "cloud": request.cloud}
        named = [f"{name}={value}" for name, value in asked.items() if value]
        if isinstance(error, modal.exception.ResourceExhaustedError):
            named.append("your account's limits (mngr list shows what runs)")
        advice = f"\nwhat to try: look at {', '.join(named) or 'the build arguments'}; see: mngr help build-args"
        raise ProviderRefused(f"Modal: {error}{advice}") from error


@contextlib.contextmanager
def _exit_snapshots_refused(asked: bool) -> Iterator[None]:
    """Tells that refusal from others by the words that any refusal of the option has to use."""
    try:
        yield
    except modal.exception.Error as error:
        text = f"{error}".lower().replace("_", " ")
        if asked and "exit snapshot" in text:
            raise ExitSnapshotsRefused(f"Modal: {error}") from error
        raise


class _BuildLog(DisabledOutputManager):
    """Takes the log of an image build from the SDK, as it comes, and shows nothing itself."""

    def __init__(self, sink: Callable[[str], None]) -> None:
        super().__init__()
        self._sink = sink

    async def put_streaming_log(self, log: Any, prefix: str = "") -> None:  # noqa: ARG002
        self._sink(log.data)


@contextlib.contextmanager
def _build_log(sink: Callable[[str], None]) -> Iterator[None]:
    before = OutputManager.get()
    OutputManager._set(_BuildLog(sink))
    try:
        yield
    finally:
        OutputManager._set(before)


class Client(VolumeClient):
    """One Modal account, one app, one state volume."""

    def __init__(self, settings: ModalSettings) -> None:
        super().__init__(settings)
        self._account = access.account(settings)
        remembered = self._account.remembered() if self._account else access.Remembered()
        if remembered.auth_token:
            with translated():
                handles.use_token(remembered.auth_token, remembered.auth_until)
        self._app_id = remembered.app_id

    @cached_property
    def _app(self) -> modal.App:
        with translated():
            found = handles.app(self._settings.app, self._app_id, self._environment) if self._app_id else None
            return found or modal.App.lookup(
                self._settings.app, create_if_missing=True, environment_name=self._environment
            )

    def remember(self) -> None:
        """Notes the ids of the app and of the state volume, so that the next command does not have to ask."""
        if self._account is not None:
            with ThreadPoolExecutor(1) as pool:
                hydrated = pool.submit(self._volume.hydrate)
                app_id = str(self._app.app_id)
            volume = hydrated.result()
            self._account.remember(
                app_id=app_id, volume_id=volume.object_id, volume_metadata=handles.metadata_of(volume)
            )
            if token := handles.token():
                self._account.keep_token(token)

    def build_image(self, request: ImageRequest, log: Callable[[str], None]) -> str:
        """The id of an image. One that is there is not built; what a build writes goes to `log` as it comes, without
        the values of the secrets.

        Raises `ImageBuildFailed`.
        """

        tail: list[str] = []

        def shown(text: str) -> str:
            for value in request.secrets.values():
                text = text.replace(value, "***") if len(value) >= _SHORTEST_MASK else text
            return text

        def keep(text: str) -> None:
            tail[:] = [*tail, *shown(text).splitlines()][-_TAIL_LINES:]
            log(shown(text))

        with tempfile.TemporaryDirectory(prefix="mngr-build-") as folder, translated():
            try:
                with _build_log(keep):
                    image = self._image(request, Path(folder))
                    image.build(self._app)
            except modal.exception.ImageBuildError as error:
                words = _BUILD_FAILED.sub("", shown(str(error)))
                # Without its cause, whose words may hold a secret.
                raise ImageBuildFailed("\n".join([words, *tail]) if _SEE_LOG in words else words) from None
            return str(image.object_id)

    def _image(self, request: ImageRequest, folder: Path) -> modal.Image:
        secrets = [modal.Secret.from_dict(dict(request.secrets))] if request.secrets else []
        if request.dockerfile:
            file, context = Path(request.dockerfile), Path(request.context_dir)
            readable = folder / "Dockerfile"
            readable.write_text(dockerfiles.for_sdk(file.read_text()))
            image = modal.Image.from_dockerfile(
                readable,
                context_dir=context,
                ignore=dockerfiles.ignored(file, context),
                build_args=dict(request.build_args),
                secrets=secrets,
            )
        else:
            image = modal.Image.from_registry(request.base)
        return image.dockerfile_commands(list(request.commands)) if request.commands else image

    def keep_secret(self, name: str, values: Mapping[str, str]) -> None:
        """Keeps values with the account under a name that is new. Raises `ProviderConflict` when it is not."""
        with translated():
            modal.Secret.objects.create(name, dict(values), environment_name=self._environment)

    def delete_secret(self, name: str) -> None:
        """What is gone already is no error."""
        with contextlib.suppress(ProviderNotFound), translated():
            modal.Secret.objects.delete(name, environment_name=self._environment)

    def delete_image(self, image_id: str) -> None:
        """What is gone already is no error."""
        with contextlib.suppress(ProviderNotFound), translated():
            modal.experimental.image_delete(image_id)

    def create_sandbox(self, request: SandboxRequest) -> tuple[str, Endpoint]:
        """Starts a sandbox and waits until its sshd listens; its id and where sshd answers.

        Raises `ProviderConflict` when a sandbox of the name runs, `ExitSnapshotsRefused` when it is to have one and the
        account can not. One that does not become ready is ended.
        """
        with translated(), _with_advice(request), _exit_snapshots_refused(request.exit_snapshot):
            secrets = [modal.Secret.from_dict(dict(request.secrets))]
            if request.stored_secret:
                secrets.append(modal.Secret.from_name(request.stored_secret, environment_name=self._environment))
            try:
                sandbox = self._start(request, secrets)
            except modal.exception.NotFoundError:
                if not self._app_id:
                    raise
                # It may be the app that is gone, of which only the id was remembered.
                self._app_id = ""
                self.__dict__.pop("_app", None)
                sandbox = self._start(request, secrets)
            try:
                sandbox.wait_until_ready(timeout=_READY_S)
                address, port = sandbox.tunnels()[SSH_PORT].tcp_socket
            except BaseException:
                sandbox.terminate()
                raise
            return str(sandbox.object_id), Endpoint(address, port)

    def _start(self, request: SandboxRequest, secrets: list[modal.Secret]) -> modal.Sandbox:
        return modal.Sandbox.create(
            *request.command,
            app=self._app,
            name=request.name,
            tags=dict(request.tags),
            image=handles.image(request.image_id),
            secrets=secrets,
            timeout=request.timeout_s,
            cpu=request.cpu,
            memory=request.memory_mib,
            gpu=request.gpu or None,
            region=request.region or None,
            cloud=request.cloud or None,
            outbound_cidr_allowlist=request.cidrs,
            volumes={path: self._user_volume(name) for path, name in request.volumes.items()},
            unencrypted_ports=[SSH_PORT],
            readiness_probe=modal.Probe.with_tcp(SSH_PORT),
            experimental_options={_EXIT_SNAPSHOT: True} if request.exit_snapshot else None,
        )

    def _user_volume(self, name: str) -> modal.Volume:
        return self._volume_named(name, make=True)

    def running(self) -> set[str]:
        """The ids of all sandboxes of the app that run. May be a minute old."""
        with translated():
            return {str(sandbox.object_id) for sandbox in modal.Sandbox.list(app_id=self._app.app_id)}

    def endpoint(self, sandbox_id: str) -> Endpoint | None:
        """Where a sandbox's sshd answers, or None when the sandbox has ended."""
        with contextlib.suppress(ProviderNotFound), translated():
            sandbox = modal.Sandbox.from_id(sandbox_id)
            if sandbox.returncode is None:
                address, port = sandbox.tunnels()[SSH_PORT].tcp_socket
                return Endpoint(address, port)
        return None

    def sandbox_named(self, name: str, tags: dict[str, str], *, ended: bool = False) -> str | None:
        """The id of the running sandbox of a name, when it carries `tags`; else None. With `ended` it may be the last
        one of the name that ended."""
        with contextlib.suppress(ProviderNotFound), translated():
            sandbox = modal.Sandbox.from_name(
                self._settings.app, name, environment_name=self._environment, include_terminated=ended
            )
            if tags.items() <= sandbox.get_tags().items():
                return str(sandbox.object_id)
        return None

    def tags(self, sandbox_id: str) -> dict[str, str]:
        """Raises `ProviderNotFound`."""
        with translated():
            return dict(handles.sandbox(sandbox_id).get_tags())

    def ending(self, sandbox_id: str) -> Ending | None:
        """How a sandbox ended, None while it runs. Raises `ProviderNotFound`."""
        with translated():
            sandbox = modal.Sandbox.from_id(sandbox_id)
            code = sandbox.returncode
        if code is None:
            return None
        # The SDK shows only the code; the status, which tells out of memory from a kill, is in the reply that it keeps.
        inner: Any = synchronizer._translate_in(sandbox)  # type: ignore[no-untyped-call]
        result = inner._impl.result
        status = type(result).GenericStatus.Name(result.status).removeprefix("GENERIC_STATUS_").lower()
        return Ending(code, status, str(result.exception))

    def ended_at(self, sandbox_id: str, tags: dict[str, str]) -> float | None:
        """When a sandbox ended that carries `tags`; None when it has not, or Modal does not say."""
        with contextlib.suppress(ProviderNotFound), translated():
            ended = _finished_at(modal.Sandbox.from_id(sandbox_id), f"{self._app.app_id}", tags)
            return float(ended) or None
        return None

    def wait_ended(self, sandbox_id: str) -> None:
        """Waits until a sandbox has ended, however it did."""
        ended = (modal.exception.SandboxTimeoutError, modal.exception.SandboxTerminatedError)
        with translated(), contextlib.suppress(*ended):
            handles.sandbox(sandbox_id).wait(raise_on_termination=False)

    def terminate(self, sandbox_id: str) -> None:
        """Ends a sandbox. One that has ended or is gone is no error."""
        with contextlib.suppress(ProviderNotFound), translated():
            handles.sandbox(sandbox_id).terminate()

    def exit_snapshot(self, sandbox_id: str) -> str:
        """The image of the file system that an ended sandbox left. Raises `NoExitSnapshot`, `ProviderNotFound`."""
        with translated():
            image: Any = handles.sandbox(sandbox_id)._experimental_get_exit_snapshot()
            return str(image.object_id)

    def snapshot(self, sandbox_id: str, ttl_s: int | None, access: RouterAccess | None = None) -> str:
        """An image of a running sandbox's file system, kept for `ttl_s` seconds, with None until it is deleted."""
        with translated():
            image = handles.sandbox(sandbox_id, access).snapshot_filesystem(timeout=_READY_S, ttl=ttl_s)
            return str(image.object_id)

    def name_image(self, image_id: str, name: str) -> None:
        """Gives an image a name, by which the account keeps it."""
        with translated():
            modal.Image.from_id(image_id).publish(name, environment_name=self._environment)
