"""Sandboxes: made, found, named, tagged, waited for, ended. How one lives is in `lifecycle`."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass

from localmodal import ids
from localmodal.errors import DeadlineExceeded, FailedPrecondition, InvalidArgument
from localmodal.services.apps.backend import AppsBackend
from localmodal.services.images.backend import ImagesBackend
from localmodal.services.sandboxes.lifecycle import Lifecycle
from localmodal.services.sandboxes.live import Live
from localmodal.services.sandboxes.spec import Sandbox, SandboxSpec
from localmodal.services.sandboxes.table import SandboxTable

MAX_TIMEOUT_S = 86_400
PAGE = 100
_NAME = re.compile(r"[A-Za-z0-9\-_.]{1,64}")
_TAG = re.compile(r"[A-Za-z0-9._-]{1,63}")


@dataclass(frozen=True, slots=True)
class ExitSnapshot:
    """The state of a sandbox's exit snapshot: an image, an error, or neither while it is pending."""

    image_id: str = ""
    error: str = ""


class SandboxesBackend:
    """The sandboxes of one home."""

    def __init__(self, table: SandboxTable, lifecycle: Lifecycle, apps: AppsBackend, images: ImagesBackend) -> None:
        self._table = table
        self._lifecycle = lifecycle
        self._apps = apps
        self._images = images

    def resume(self) -> None:
        """Takes over what an earlier server left running."""
        for sandbox in self._table.unfinished():
            self._lifecycle.resume(sandbox)

    async def stop(self) -> None:
        """Lets go of all sandboxes; they go on."""
        await self._lifecycle.stop()

    async def create(
        self,
        *,
        v2: bool,
        app_id: str,
        name: str,
        spec: SandboxSpec,
        tags: Mapping[str, str],
        secrets: Mapping[str, str],
    ) -> Sandbox:
        """Makes a sandbox and begins to start it. Raises `AlreadyExists`, `InvalidArgument`, `NotFound`."""
        app = self._apps.get(app_id)
        _check_name(name)
        _check_tags(tags)
        if not 1 <= spec.timeout_s <= MAX_TIMEOUT_S:
            raise InvalidArgument(f"timeout must be between 1 and {MAX_TIMEOUT_S} seconds, got {spec.timeout_s}")
        image = await self._images.disk.ready(self._images.get(spec.image_id))
        network = self._lifecycle.engine.network
        host_ports = dict(zip(spec.ports, await network.reserve_ports(len(spec.ports)), strict=True))
        sandbox = Sandbox(
            id=ids.new_sandbox_id(v2=v2),
            task_id=ids.new_task_id(v2=v2),
            v2=v2,
            app_id=app_id,
            environment=app.environment,
            name=name,
            spec=spec,
            image=image,
            tags=dict(tags),
            created_at=time.time(),
            host_ports=host_ports,
        )
        try:
            self._table.add(sandbox)
        except BaseException:
            for port in host_ports.values():
                network.release_port(port)
            raise
        self._lifecycle.begin(sandbox, secrets)
        return sandbox

    def get(self, sandbox_id: str) -> Sandbox:
        return self._table.get(sandbox_id)

    def by_task(self, task_id: str) -> Sandbox:
        return self._table.by_task(task_id)

    def by_name(self, environment: str, app_name: str, name: str, *, include_ended: bool) -> Sandbox:
        """Raises `NotFound` when no sandbox of that app carries the name."""
        app = self._apps.by_name(environment, app_name)
        return self._table.by_name(app.id, name, include_ended=include_ended)

    def page(
        self,
        *,
        environment: str,
        app_id: str,
        before: float,
        include_ended: bool,
        tags: Mapping[str, str],
        as_of: float | None = None,
    ) -> list[Sandbox]:
        """One page of the list, newest first; the next one begins before the last one's creation.

        With `as_of` those that ran at that moment are shown as they were then, but for tags and names.
        """
        return self._table.page(
            environment=environment,
            app_id=app_id,
            before=before or time.time() + 1,
            include_ended=include_ended,
            tags=dict(tags),
            limit=PAGE,
            as_of=as_of,
        )

    def set_tags(self, sandbox_id: str, tags: Mapping[str, str]) -> None:
        """Puts `tags` in the place of all earlier ones."""
        _check_tags(tags)
        self._table.update(sandbox_id, tags=dict(tags))

    def set_name(self, sandbox_id: str, name: str) -> None:
        _check_name(name)
        self._table.update(sandbox_id, name=name)

    def terminate(self, sandbox_id: str) -> Sandbox:
        """Begins to end a sandbox; the state before. One that has ended stays as it is."""
        sandbox = self._table.get(sandbox_id)
        live = self._lifecycle.live(sandbox_id)
        if live is not None:
            live.terminate.set()
        return sandbox

    def terminate_app(self, app_id: str) -> None:
        """Begins to end all sandboxes of an app."""
        for sandbox in self._table.unfinished():
            if sandbox.app_id == app_id:
                self.terminate(sandbox.id)

    async def end_all(self) -> None:
        """Ends every sandbox and waits until each has left its snapshot and nothing else."""
        running = self._table.unfinished()
        for sandbox in running:
            self.terminate(sandbox.id)
        for sandbox in running:
            await self._await(sandbox.id, "gone", None)

    async def wait(self, sandbox_id: str, timeout_s: float) -> Sandbox:
        """The sandbox once it has ended, or as it is after `timeout_s`."""
        await self._await(sandbox_id, "ended", timeout_s)
        return self._table.get(sandbox_id)

    async def wait_started(self, sandbox_id: str, timeout_s: float | None = None) -> Sandbox:
        """The sandbox once its container runs or has failed to."""
        await self._await(sandbox_id, "started", timeout_s)
        return self._table.get(sandbox_id)

    async def wait_ready(self, sandbox_id: str, timeout_s: float) -> float:
        """When its probe first said yes. Raises `DeadlineExceeded`, and `FailedPrecondition` when it ended."""
        sandbox = self._table.get(sandbox_id)
        live = self._lifecycle.live(sandbox_id)
        if sandbox.ready_at is None and live is not None and sandbox.running:
            ready = asyncio.create_task(live.ready.wait())
            ended = asyncio.create_task(live.ended.wait())
            try:
                await asyncio.wait({ready, ended}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
            finally:
                ready.cancel()
                ended.cancel()
            sandbox = self._table.get(sandbox_id)
        if not sandbox.running:
            raise FailedPrecondition(f"Sandbox {sandbox_id} ended before it was ready: {sandbox.message}")
        if sandbox.ready_at is None:
            raise DeadlineExceeded(f"Sandbox {sandbox_id} was not ready within {timeout_s:g} seconds")
        return sandbox.ready_at

    async def exit_snapshot(self, sandbox_id: str, timeout_s: float) -> ExitSnapshot:
        """The exit snapshot; pending while the sandbox runs, waited for up to `timeout_s`.

        Raises `FailedPrecondition` when the sandbox was made without one.
        """
        sandbox = self._table.get(sandbox_id)
        if not sandbox.spec.exit_snapshot:
            raise FailedPrecondition(f"Exit snapshots are not enabled for sandbox {sandbox_id}.")
        await self._await(sandbox_id, "snapshot", timeout_s)
        sandbox = self._table.get(sandbox_id)
        live = self._lifecycle.live(sandbox_id)
        if not sandbox.exit_image_id and not sandbox.running and (live is None or live.snapshot.is_set()):
            return ExitSnapshot(error=sandbox.exit_image_error or sandbox.message or "the sandbox never ran")
        return ExitSnapshot(image_id=sandbox.exit_image_id)

    async def _await(self, sandbox_id: str, what: str, timeout_s: float | None) -> None:
        live: Live | None = self._lifecycle.live(sandbox_id)
        if live is None or timeout_s == 0:
            return
        event: asyncio.Event = getattr(live, what)
        try:
            await asyncio.wait_for(event.wait(), timeout_s)
        except TimeoutError:
            return


def _check_name(name: str) -> None:
    if name and not _NAME.fullmatch(name):
        raise InvalidArgument(
            f"Invalid Sandbox name: '{name}'. Names may contain only alphanumeric characters, dashes, periods, and "
            "underscores, and must be at most 64 characters long."
        )


def _check_tags(tags: Mapping[str, str]) -> None:
    for key, value in tags.items():
        if not _TAG.fullmatch(key) or (value and not _TAG.fullmatch(value)):
            raise InvalidArgument(f"Invalid tag '{key}={value}': up to 63 of letters, digits, '.', '_' and '-'.")
