"""Hosts as Modal sandboxes. What a sandbox can not do (stop and go on) is made of snapshots here."""

from __future__ import annotations

import contextlib
import os
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import TYPE_CHECKING

import msgspec

from mngr import paths
from mngr.config import ModalSettings
from mngr.errors import MngrError, NoExitSnapshot, NotFound, ProviderNotFound
from mngr.hosts import agents, keys, known, ssh
from mngr.models import Host, HostRecord, HostState
from mngr.providers.base import HostPlan, Progress
from mngr.providers.modal import build_args, endpoint, images, sandboxes
from mngr.providers.modal.options import Options
from mngr.providers.modal.sandboxes import TAG

if TYPE_CHECKING:
    from mngr.providers.modal.client import Client
    from mngr.providers.modal.records import Records
    from mngr.providers.modal.requests import SandboxRequest

_SSH_S = 60.0
_RAN_OUT_OF_TIME = 124


class ModalProvider:
    """One Modal account. See `Provider` for what each method promises."""

    def __init__(self, name: str, settings: ModalSettings) -> None:
        self.name = name
        self._settings = settings

    @cached_property
    def _client(self) -> Client:
        endpoint.choose(self._settings)
        from mngr.providers.modal.client import Client

        return Client(self._settings)

    @cached_property
    def _records(self) -> Records:
        from mngr.providers.modal.records import Records

        return Records(self.name, self._client)

    def plan(self, words: tuple[str, ...]) -> HostPlan:
        plan = build_args.plan(words, self._settings)
        return HostPlan(msgspec.to_builtins(plan.options), plan.env, plan.notes)

    def hosts(self) -> list[Host]:
        client, records = self._client, self._records
        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(client.running)
            mine = [record for record in records.all() if record.provider == self.name]
        return [self._view(record, record.sandbox_id in running.result()) for record in mine]

    def host(self, host_id: str) -> Host | None:
        record = self._records.get(host_id)
        return None if record is None else self._view(record, False)

    def _view(self, record: HostRecord, listed: bool) -> Host:
        """The host as it is. The list of sandboxes may be old, so that one is missing from it proves nothing."""
        state, reason = record.state, record.reason
        address = None
        if state is HostState.RUNNING:
            address = known.endpoint(record) if listed else None
            if address is None:
                address = self._client.endpoint(record.sandbox_id)
                if address is not None:
                    known.remember(record, address)
            if address is None:
                state, reason = self._ended(record)
        return Host(record=record, state=state, reason=reason, endpoint=address)

    def _ended(self, record: HostRecord) -> tuple[HostState, str]:
        try:
            code = self._client.how_ended(record.sandbox_id)
        except ProviderNotFound:
            return HostState.CRASHED, "the sandbox is gone"
        if code == _RAN_OUT_OF_TIME:
            return HostState.STOPPED, f"its lifetime of {record.options['timeout']} s was reached"
        if code == 0:
            return HostState.STOPPED, "it ended by itself"
        return HostState.CRASHED, f"the sandbox ended unexpectedly with code {code}"

    def save(self, record: HostRecord) -> HostRecord:
        return self._records.write(record)

    def prepare(self, record: HostRecord, plan: HostPlan, progress: Progress) -> HostRecord:
        options = msgspec.convert(record.options, Options)
        folder = paths.host_folder(record.id)
        keys.save(folder, keys.generate("mngr"), keys.generate(record.id), record.id)
        if plan.env:
            self._client.keep_secret(_secret_name(record), plan.env)
        progress(f"building the image from {options.dockerfile or options.image}")
        written: list[str] = []

        def log(text: str) -> None:
            written.append(text)
            progress.log(text)

        try:
            image_id = self._client.build_image(images.request(options, os.environ, plan.install), log)
        finally:
            if written:
                self._client.write_file(_log_path(record), "".join(written).encode())
        return msgspec.structs.replace(record, image_id=image_id)

    def build_log(self, record: HostRecord) -> str:
        try:
            return self._client.read_file(_log_path(record)).decode(errors="replace")
        except ProviderNotFound as error:
            raise NotFound(f"nothing was built for {record.name}: its image was there already") from error

    def start(self, record: HostRecord, progress: Progress) -> Host:
        host_key, client_key = keys.load(paths.host_folder(record.id))
        options = msgspec.convert(record.options, Options)
        image_id = record.snapshot_ids[-1] if record.snapshot_ids else record.image_id
        secrets = {
            "MNGR_SSH_HOST_KEY": host_key,
            "MNGR_SSH_AUTHORIZED_KEY": client_key,
            "MNGR_HOST_DIR": agents.HOST_DIR,
        }
        progress("starting the sandbox")
        return self._run(record, sandboxes.request(record, options, image_id, secrets, _secret_name(record)), progress)

    def _run(self, record: HostRecord, request: SandboxRequest, progress: Progress) -> Host:
        sandbox_id, address = self._client.create_sandbox(request)
        try:
            progress("waiting for SSH")
            running = msgspec.structs.replace(record, sandbox_id=sandbox_id, state=HostState.RUNNING, reason="")
            ssh.wait_until_ready(known.target(running, address), timeout_s=_SSH_S)
        except BaseException:
            self._client.terminate(sandbox_id)
            raise
        known.remember(running, address)
        return Host(record=running, state=HostState.RUNNING, endpoint=address)

    def stop(self, record: HostRecord, progress: Progress) -> HostRecord:
        client = self._client
        snapshot_id = ""
        address = client.endpoint(record.sandbox_id)
        if address is not None:
            progress("ending the agents and the sandbox")
            try:
                agents.order_stop(known.target(record, address))
            except MngrError:
                # Its sshd does not answer; what is on its disk is kept all the same.
                client.terminate(record.sandbox_id)
        client.wait_ended(record.sandbox_id)
        progress("keeping its file system")
        try:
            snapshot_id = client.exit_snapshot(record.sandbox_id)
        finally:
            known.forget(record)
        return msgspec.structs.replace(
            record, state=HostState.STOPPED, reason="stopped by user", snapshot_ids=(*record.snapshot_ids, snapshot_id)
        )

    def abandon(self, record: HostRecord) -> None:
        sandbox_id = self._sandbox_of(record)
        if sandbox_id:
            self._client.terminate(sandbox_id)
        known.forget(record)

    def _sandbox_of(self, record: HostRecord) -> str | None:
        """The host's sandbox, also when its creation was cut off before its id was written down. Another host's of the
        same name, which won a race for it, is not meant."""
        return record.sandbox_id or self._client.sandbox_named(record.name, {TAG: record.id})

    def destroy(self, record: HostRecord, progress: Progress) -> None:
        client = self._client
        progress("ending the sandbox")
        images_left = list(record.snapshot_ids)
        sandbox_id = self._sandbox_of(record)
        if sandbox_id:
            client.terminate(sandbox_id)
            with contextlib.suppress(ProviderNotFound, NoExitSnapshot):
                client.wait_ended(sandbox_id)
                exit_image = client.exit_snapshot(sandbox_id)
                images_left += [exit_image] if exit_image not in images_left else []
        progress("removing snapshots, keys and records")
        for image_id in images_left:
            client.delete_image(image_id)
        client.remove_files(_log_path(record).rsplit("/", 1)[0], recursive=True)
        if record.options.get("env"):
            client.delete_secret(_secret_name(record))
        self._records.remove(record.id)
        known.forget(record)
        known.forget_keys(record)


def _secret_name(record: HostRecord) -> str:
    """The account's secret that holds the values of the host's ``env`` arguments."""
    return f"mngr-{record.id}"


def _log_path(record: HostRecord) -> str:
    return f"logs/{record.id}/build.log"
