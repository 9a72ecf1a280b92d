"""Hosts as Modal sandboxes. What a sandbox can not do (stop and go on) is made of snapshots here."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

import msgspec

from mngr import paths
from mngr.errors import (
    ExitSnapshotsRefused,
    MngrError,
    NoExitSnapshot,
    NotFound,
    ProviderNotFound,
    ProviderRefused,
)
from mngr.hosts import agents, host_dir, known, ssh
from mngr.models import Endpoint, Host, HostRecord, HostState, Policy, Snapshot, SnapshotKind
from mngr.providers.base import HostPlan, Progress, Stray
from mngr.providers.modal import endings, images, policy, sandboxes, settling, strays
from mngr.providers.modal.options import Options
from mngr.providers.modal.sandboxes import TAG
from mngr.providers.modal.volumes import HostVolumes

if TYPE_CHECKING:
    from mngr.providers.modal.requests import SandboxRequest

T = TypeVar("T")
_SSH_S = 60.0
_AT_ONCE = 8


class ModalProvider(HostVolumes):
    """One Modal account. See `Provider` for what each method promises."""

    def expect(self, record: HostRecord) -> None:
        if record.state is HostState.RUNNING:
            self._machines.expect_ending(record.sandbox_id)

    def expect_save(self, record: HostRecord) -> None:
        self._records.stage_ahead(record)

    def expect_snapshot(self, record: HostRecord) -> None:
        if record.state is HostState.RUNNING:
            self._machines.expect_snapshot(record.sandbox_id)

    def plan(self, words: tuple[str, ...]) -> HostPlan:
        self.warm_up()
        from mngr.providers.modal import build_args

        plan = build_args.plan(words, self._settings)
        return HostPlan(msgspec.to_builtins(plan.options), plan.env, plan.notes)

    def policy(self) -> Policy:
        return policy.read(self._settings)

    def hosts(self) -> list[Host]:
        wire = self._storage.learn()
        if wire is not None:
            from mngr.providers.modal import looking
            from mngr.providers.modal.wire import Gone, WireFailed

            try:
                return looking.hosts(wire, self._mine)
            except (Gone, WireFailed) as error:
                self._storage.give_up(error)
        found = self._hosts_by_sdk()
        self._client.remember()
        return found

    def _mine(self) -> list[HostRecord]:
        return [record for record in self._records.all() if record.provider == self.name]

    def _hosts_by_sdk(self) -> list[Host]:
        client = self._client
        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(client.running)
            mine = self._mine()
        return [self._view(record, record.sandbox_id in running.result()) for record in mine]

    def record(self, host_id: str) -> HostRecord | None:
        return self._records.get(host_id)

    def endpoint(self, record: HostRecord) -> Endpoint | None:
        found = known.endpoint(record)
        if found is None:
            found = self._client.endpoint(record.sandbox_id)
            if found is not None:
                known.remember(record, found)
        return found

    def _view(self, record: HostRecord, listed: bool) -> Host:
        """The host as it is. The list of sandboxes may be old, so that one is missing from it proves nothing."""
        state, reason = record.state, record.reason
        address = None
        if state is HostState.RUNNING:
            if not listed:
                known.forget(record)
            address = self.endpoint(record)
            if address is None:
                state, reason = self._ended(record)
        return Host(record=record, state=state, reason=reason, endpoint=address)

    def _ended(self, record: HostRecord) -> tuple[HostState, str]:
        try:
            ending = self._machines.ending(record.sandbox_id)
        except ProviderNotFound:
            return HostState.CRASHED, "the sandbox is gone"
        # One that runs and has no tunnel is about to begin or to end.
        return (HostState.STARTING, "") if ending is None else endings.verdict(record, ending)

    def ended_at(self, record: HostRecord) -> float | None:
        tags = {TAG: record.id}
        if not record.sandbox_id:
            return None
        return self._machines.ended_at(record.sandbox_id, tags)

    def save(self, record: HostRecord) -> HostRecord:
        return self._records.write(record)

    def save_ahead(self, record: HostRecord) -> HostRecord:
        return self._records.write_ahead(record)

    def settle(self, record: HostRecord, progress: Progress) -> HostRecord:
        if record.state is HostState.RUNNING and self._machines.still_runs(record.sandbox_id):
            return record
        settled = settling.settle(self._machines, record)
        if record.state is HostState.STOPPING and settled.state is HostState.RUNNING:
            # Whether its host was told before the stop was cut off is not known; telling it again does no harm.
            return self.stop(settled, progress)
        if settled is not record and len(settled.snapshots) > len(record.snapshots):
            progress("keeping what its sandbox left")
        return settled

    def prepare(self, record: HostRecord, plan: HostPlan, progress: Progress) -> HostRecord:
        options = msgspec.convert(record.options, Options)
        self._make_keys(record)
        if plan.env:
            self._records.wait(record.id)
            self._client.keep_secret(_secret_name(record), plan.env)
        self.expect_start(record)
        progress("building the image")
        written: list[str] = []

        def log(text: str) -> None:
            written.append(text)
            progress.log(text)

        try:
            image_id = self._client.build_image(images.request(options, os.environ, plan.install), log)
        except BaseException:
            self._unmake_volume(record)
            raise
        finally:
            if written:
                self._storage.write_file(_log_path(record), "".join(written).encode())
        return msgspec.structs.replace(record, image_id=image_id)

    def adopt(self, record: HostRecord, source: HostRecord) -> HostRecord:
        self._make_keys(record)
        options = {**source.options, "env_secret": _secret_name(source)}
        return msgspec.structs.replace(record, options=options, image_id=source.image_id)

    def _make_keys(self, record: HostRecord) -> None:
        from mngr.hosts import keys

        keys.save(paths.host_folder(record.id), keys.generate("mngr"), keys.generate(record.id), record.id)

    def build_log(self, record: HostRecord) -> str:
        try:
            return self._storage.read_file(_log_path(record)).decode(errors="replace")
        except ProviderNotFound as error:
            raise NotFound(f"nothing was built for {record.name}: its image was there already") from error

    def start(
        self, record: HostRecord, progress: Progress, *, snapshot: Snapshot | None = None, run_agents: bool = True
    ) -> Host:
        options = msgspec.convert(record.options, Options)
        from mngr.hosts import keys

        host_keys = keys.load(paths.host_folder(record.id))
        image_id = snapshot.id if snapshot else record.image_id
        progress("starting the sandbox")
        self._records.wait(record.id)

        def request(record: HostRecord) -> SandboxRequest:
            told = sandboxes.environment(record, options, host_keys, run_agents=run_agents)
            return sandboxes.request(record, options, image_id, told, _secret_name(record))

        begun = time.time()
        self._finish_volume(record)
        try:
            sandbox_id, address = self._client.create_sandbox(request(record))
        except ExitSnapshotsRefused as error:
            progress.warn(
                f"this account gives no exit snapshots ({error}); the host will not end when it is idle, and its work "
                "is kept only by mngr stop and mngr snapshot"
            )
            record = msgspec.structs.replace(record, exit_snapshots=False)
            sandbox_id, address = self._client.create_sandbox(request(record))
        running = msgspec.structs.replace(
            record,
            sandbox_id=sandbox_id,
            state=HostState.RUNNING,
            reason="",
            held_by="",
            started_at=begun,
            started_from=snapshot.id if snapshot else "",
        )
        self._records.stage_ahead(running)
        try:
            progress("waiting for SSH")
            ssh.wait_until_ready(known.target(running, address), timeout_s=_SSH_S)
        except BaseException:
            self._machines.terminate(sandbox_id)
            raise
        known.remember(running, address)
        return Host(record=running, state=HostState.RUNNING, endpoint=address)

    def stop(self, record: HostRecord, progress: Progress, *, keep: bool = True) -> HostRecord:
        size = None
        address = known.endpoint(record) or self._client.endpoint(record.sandbox_id)
        stopped = msgspec.structs.replace(record, state=HostState.STOPPED, reason="stopped by user", held_by="")
        if address is not None:
            progress("ending the agents and the sandbox")
            by_itself = record.exit_snapshots or not keep
            try:
                target = known.target(record, address)
                size = agents.order_stop(target) if by_itself else agents.quiet(target)
            except MngrError:
                # Its sshd does not answer; what is on its disk is kept all the same.
                by_itself = False
            if not by_itself:
                if not record.exit_snapshots and keep:
                    taken = self.snapshot(record, Snapshot(id="", kind=SnapshotKind.EXIT, created_at=0.0))
                    stopped = msgspec.structs.replace(stopped, snapshots=(*stopped.snapshots, taken))
                self._machines.terminate(record.sandbox_id)
        if not record.exit_snapshots or not keep:
            self._machines.wait_ended(record.sandbox_id)
        known.forget(record)
        if not keep:
            left = self._left_by(record)
            if left:
                self._drop_image(left)
            return msgspec.structs.replace(stopped, reason="stopped by user, without a snapshot")
        progress("keeping its file system")
        if not record.exit_snapshots:
            return stopped
        return settling.with_exit_snapshot(self._machines, stopped, size, ahead=self._records.stage_ahead)

    def snapshot(self, record: HostRecord, snapshot: Snapshot) -> Snapshot:
        ttl_s = policy.ttl_s(self._settings)
        self._on_host(record, host_dir.keep)
        with ThreadPoolExecutor(1) as pool:
            size = pool.submit(self._on_host, record, agents.disk_bytes)
            snapshot_id = self._machines.snapshot(record.sandbox_id, ttl_s)
        now = time.time()
        about = {"id": snapshot_id, "kind": snapshot.kind.value, "name": snapshot.name}
        # Whoever saves the record does not wait for it; the end of the process does.
        noting = ThreadPoolExecutor(1)
        noting.submit(self._on_host, record, lambda target: host_dir.note(target, "snapshot", about))
        noting.shutdown(wait=False)
        return msgspec.structs.replace(
            snapshot,
            id=snapshot_id,
            created_at=now,
            based_on=record.started_from,
            sandbox_id=record.sandbox_id,
            size=size.result(),
            expires_at=None if ttl_s is None else now + ttl_s,
        )

    def _on_host(self, record: HostRecord, do: Callable[[ssh.Target], T]) -> T | None:
        """What `do` gives for a host whose address is known and that answers, else None."""
        address = known.endpoint(record)
        try:
            return None if address is None else do(known.target(record, address))
        except MngrError:
            return None

    def delete_snapshot(self, snapshot_id: str) -> None:
        self._machines.delete_image(snapshot_id)

    def abandon(self, record: HostRecord) -> None:
        sandbox_id = self._sandbox_of(record)
        if sandbox_id:
            self._machines.terminate(sandbox_id)
        known.forget(record)

    def _sandbox_of(self, record: HostRecord) -> str | None:
        """The host's sandbox, also when its creation was cut off before its id was written down. Another host's of the
        same name, which won a race for it, is not meant."""
        return record.sandbox_id or self._machines.sandbox_named(record.name, {TAG: record.id})

    def destroy(
        self, record: HostRecord, progress: Progress, *, keep_snapshots: bool = False, keep_volume: bool = False
    ) -> None:
        logs = _log_path(record).rsplit("/", 1)[0]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            done = [pool.submit(self._storage.remove_files, logs, recursive=True)]
            if not keep_snapshots:
                done += [pool.submit(self._machines.delete_image, snapshot.id) for snapshot in record.snapshots]
                done.append(pool.submit(self._drop_secret, record))
                left = self._end_for_good(record, progress)
                if left:
                    done.append(pool.submit(self._drop_image, left))
                record = msgspec.structs.replace(record, snapshots=())
            if record.volume is not None and not keep_volume:
                self.delete_volume(record.volume)
                record = msgspec.structs.replace(record, volume=None)
        for one in done:
            one.result()
        progress("removing keys and records")
        if record.snapshots or record.volume:
            self.save(msgspec.structs.replace(record, state=HostState.DESTROYED, reason="destroyed", held_by=""))
        else:
            self._records.remove(record.id)
        known.forget(record)
        known.forget_keys(record)

    def _end_for_good(self, record: HostRecord, progress: Progress) -> str:
        """Waits for the end of what runs; what it left that no record knows, empty for nothing."""
        sandbox_id = self._sandbox_of(record)
        if not sandbox_id:
            return ""
        progress("ending the sandbox")
        self._machines.terminate(sandbox_id)
        return self._left_by(msgspec.structs.replace(record, sandbox_id=sandbox_id))

    def _left_by(self, record: HostRecord) -> str:
        """Waits for the end of a sandbox: the image that it left, empty for none and for a snapshot that is known."""
        with contextlib.suppress(ProviderNotFound, NoExitSnapshot, ProviderRefused):
            image_id = self._machines.exit_snapshot(record.sandbox_id)
            if image_id not in [snapshot.id for snapshot in record.snapshots]:
                return image_id
        return ""

    def _drop_image(self, image_id: str) -> None:
        with contextlib.suppress(ProviderRefused):
            self._machines.delete_image(image_id)

    def _drop_secret(self, record: HostRecord) -> None:
        """Deletes the values of the host's ``env`` arguments, unless a host that was cloned from it needs them."""
        name = _secret_name(record)
        if record.options.get("env") and all(
            _secret_name(other) != name for other in self._records.all() if other.id != record.id
        ):
            self._client.delete_secret(name)

    def strays(self, hosts: Sequence[Host]) -> list[Stray]:
        return strays.find(self._client, self._records, hosts, self.volumes())

    def remove_stray(self, stray: Stray) -> None:
        strays.remove(self._client, stray)


def _secret_name(record: HostRecord) -> str:
    """The account's secret that holds the values of the host's ``env`` arguments; clones share their source's."""
    return str(record.options.get("env_secret") or f"mngr-{record.id}")


def _log_path(record: HostRecord) -> str:
    return f"logs/{record.id}/build.log"
