"""The only module that imports `modal`. Every error of the SDK becomes one of ours here."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import modal
import modal.exception
import modal.experimental
from modal.types import FileEntryType

from mngr.config import ModalSettings
from mngr.errors import (
    ImageBuildFailed,
    MngrError,
    NoExitSnapshot,
    NotAuthorised,
    ProviderConflict,
    ProviderNotFound,
    ProviderRefused,
    ProviderUnavailable,
)
from mngr.models import Endpoint

SSH_PORT = 22
_GIB = 1024
_READY_S = 300
_TRANSLATIONS: tuple[tuple[type[Exception], type[MngrError]], ...] = (
    (modal.exception.AuthError, NotAuthorised),
    (modal.exception.PermissionDeniedError, NotAuthorised),
    (modal.exception.ImageBuildError, ImageBuildFailed),
    (modal.exception.NotFoundError, ProviderNotFound),
    (modal.exception.AlreadyExistsError, ProviderConflict),
    (modal.exception.ConflictError, ProviderConflict),
    (modal.exception.SnapshotCreationError, NoExitSnapshot),
    (modal.exception.ConnectionError, ProviderUnavailable),
    (modal.exception.ServiceError, ProviderUnavailable),
    (modal.exception.Error, ProviderRefused),
)


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Turns errors of the SDK into ours, its own words kept."""
    try:
        yield
    except (modal.exception.Error, OSError) as error:
        for theirs, ours in _TRANSLATIONS:
            if isinstance(error, theirs):
                raise ours(f"Modal: {error}" if ours is not ImageBuildFailed else str(error)) from error
        if isinstance(error, FileNotFoundError):
            raise ProviderNotFound(f"Modal: {error}") from error
        raise ProviderUnavailable(f"Modal can not be reached: {error}") from error


@dataclass(frozen=True, slots=True)
class SandboxRequest:
    """What a sandbox is made with. `secrets` become its environment and are nowhere else."""

    name: str
    image_id: str
    command: tuple[str, ...]
    secrets: dict[str, str]
    tags: dict[str, str]
    timeout_s: int
    cpu: float
    memory_gib: float
    region: str
    offline: bool


class Client:
    """One Modal account, one app, one state volume."""

    def __init__(self, settings: ModalSettings) -> None:
        self._settings = settings
        self._environment = settings.environment or None

    @cached_property
    def _app(self) -> modal.App:
        with translated():
            return modal.App.lookup(self._settings.app, create_if_missing=True, environment_name=self._environment)

    @cached_property
    def _volume(self) -> modal.Volume:
        with translated():
            return modal.Volume.from_name(
                self._settings.state_volume, create_if_missing=True, version=2, environment_name=self._environment
            )

    def list_files(self, folder: str) -> list[str]:
        """The paths of all files below a folder of the state volume."""
        with translated():
            try:
                entries = self._volume.listdir(folder, recursive=True)
            except (modal.exception.NotFoundError, FileNotFoundError):
                return []
            return [entry.path for entry in entries if entry.type is FileEntryType.FILE]

    def read_file(self, path: str) -> bytes:
        """Raises `ProviderNotFound`."""
        with translated():
            return b"".join(self._volume.read_file(path))

    def write_file(self, path: str, data: bytes) -> None:
        """Writes a file of the state volume; one that is there is replaced."""
        with translated(), self._volume.batch_upload(force=True) as batch:
            batch.put_file(io.BytesIO(data), path)

    def remove_files(self, path: str, *, recursive: bool = False) -> None:
        """What is gone already is no error."""
        with contextlib.suppress(ProviderNotFound), translated():
            self._volume.remove_file(path, recursive=recursive)

    def build_image(self, base: str, commands: Sequence[str]) -> str:
        """The id of an image: `base` from a registry and Dockerfile commands on it. One that is there is not built."""
        with translated():
            image = modal.Image.from_registry(base)
            if commands:
                image = image.dockerfile_commands(list(commands))
            image.build(self._app)
            return str(image.object_id)

    def delete_image(self, image_id: str) -> None:
        """What is gone already is no error."""
        with contextlib.suppress(ProviderNotFound), translated():
            modal.experimental.image_delete(image_id)

    def create_sandbox(self, request: SandboxRequest) -> tuple[str, Endpoint]:
        """Starts a sandbox and waits until its sshd listens; its id and where sshd answers.

        Raises `ProviderConflict` when a sandbox of the name runs. One that does not become ready is ended.
        """
        with translated():
            sandbox = modal.Sandbox.create(
                *request.command,
                app=self._app,
                name=request.name,
                tags=dict(request.tags),
                image=modal.Image.from_id(request.image_id),
                secrets=[modal.Secret.from_dict(dict(request.secrets))],
                timeout=request.timeout_s,
                cpu=request.cpu,
                memory=int(request.memory_gib * _GIB),
                region=request.region or None,
                outbound_cidr_allowlist=[] if request.offline else None,
                unencrypted_ports=[SSH_PORT],
                readiness_probe=modal.Probe.with_tcp(SSH_PORT),
                experimental_options={"enable_exit_snapshot": True},
            )
            try:
                sandbox.wait_until_ready(timeout=_READY_S)
                address, port = sandbox.tunnels()[SSH_PORT].tcp_socket
            except BaseException:
                sandbox.terminate()
                raise
            return str(sandbox.object_id), Endpoint(address, port)

    def running(self) -> set[str]:
        """The ids of all sandboxes of the app that run. May be a minute old."""
        with translated():
            return {str(sandbox.object_id) for sandbox in modal.Sandbox.list(app_id=self._app.app_id)}

    def endpoint(self, sandbox_id: str) -> Endpoint | None:
        """Where a sandbox's sshd answers, or None when the sandbox has ended."""
        with contextlib.suppress(ProviderNotFound), translated():
            sandbox = modal.Sandbox.from_id(sandbox_id)
            if sandbox.poll() is None:
                address, port = sandbox.tunnels()[SSH_PORT].tcp_socket
                return Endpoint(address, port)
        return None

    def sandbox_named(self, name: str, tags: dict[str, str]) -> str | None:
        """The id of the running sandbox of a name, when it carries `tags`; else None."""
        with contextlib.suppress(ProviderNotFound), translated():
            sandbox = modal.Sandbox.from_name(self._settings.app, name, environment_name=self._environment)
            if tags.items() <= sandbox.get_tags().items():
                return str(sandbox.object_id)
        return None

    def how_ended(self, sandbox_id: str) -> int | None:
        """The return code of a sandbox, None while it runs. Raises `ProviderNotFound`."""
        with translated():
            code: int | None = modal.Sandbox.from_id(sandbox_id).poll()
            return code

    def wait_ended(self, sandbox_id: str) -> None:
        """Waits until a sandbox has ended, however it did."""
        ended = (modal.exception.SandboxTimeoutError, modal.exception.SandboxTerminatedError)
        with translated(), contextlib.suppress(*ended):
            modal.Sandbox.from_id(sandbox_id).wait(raise_on_termination=False)

    def terminate(self, sandbox_id: str) -> None:
        """Ends a sandbox. One that has ended or is gone is no error."""
        with contextlib.suppress(ProviderNotFound), translated():
            modal.Sandbox.from_id(sandbox_id).terminate()

    def exit_snapshot(self, sandbox_id: str) -> str:
        """The image of the file system that an ended sandbox left. Raises `NoExitSnapshot`, `ProviderNotFound`."""
        with translated():
            image: Any = modal.Sandbox.from_id(sandbox_id)._experimental_get_exit_snapshot()
            return str(image.object_id)

    def snapshot(self, sandbox_id: str) -> str:
        """An image of a running sandbox's file system, kept until it is deleted."""
        with translated():
            return str(modal.Sandbox.from_id(sandbox_id).snapshot_filesystem(timeout=_READY_S, ttl=None).object_id)
