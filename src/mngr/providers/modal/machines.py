"""Sandboxes that run or have ended, and the images that they leave: over the wire where that is possible, else through
the SDK. What is asked here does not need the SDK to be imported."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeVar

from mngr.errors import ProviderNotFound
from mngr.providers.modal import sandbox_wire
from mngr.providers.modal.wire import Gone, WireFailed

if TYPE_CHECKING:
    from mngr.providers.modal.client import Client
    from mngr.providers.modal.requests import Ending, RouterAccess
    from mngr.providers.modal.storage import Storage
    from mngr.providers.modal.wire import Wire

T = TypeVar("T")


class Machines:
    """The sandboxes of one account's app. See `Client` for what each method of the same name promises."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._endings: dict[str, Future[Ending | None]] = {}
        self._accesses: dict[str, Future[RouterAccess | None]] = {}

    def ending(self, sandbox_id: str) -> Ending | None:
        return self._ask(lambda wire: sandbox_wire.ending(wire, sandbox_id), lambda client: client.ending(sandbox_id))

    def ended_at(self, sandbox_id: str, tags: dict[str, str]) -> float | None:
        return self._ask(
            lambda wire: sandbox_wire.ended_at(wire, sandbox_id, tags),
            lambda client: client.ended_at(sandbox_id, tags),
        )

    def wait_ended(self, sandbox_id: str) -> None:
        self._ask(lambda wire: sandbox_wire.wait_ended(wire, sandbox_id), lambda client: client.wait_ended(sandbox_id))

    def terminate(self, sandbox_id: str) -> None:
        self._ask(lambda wire: sandbox_wire.terminate(wire, sandbox_id), lambda client: client.terminate(sandbox_id))

    def exit_snapshot(self, sandbox_id: str) -> str:
        return self._ask(
            lambda wire: sandbox_wire.exit_snapshot(wire, sandbox_id), lambda client: client.exit_snapshot(sandbox_id)
        )

    def name_image(self, image_id: str, name: str) -> None:
        self._ask(
            lambda wire: sandbox_wire.name_image(wire, image_id, name),
            lambda client: client.name_image(image_id, name),
        )

    def delete_image(self, image_id: str) -> None:
        self._ask(lambda wire: sandbox_wire.delete_image(wire, image_id), lambda client: client.delete_image(image_id))

    def sandbox_named(self, name: str, tags: dict[str, str], *, ended: bool = False) -> str | None:
        return self._storage.sdk().sandbox_named(name, tags, ended=ended)

    def _ask(self, work: Callable[[Wire], Coroutine[Any, Any, T]], otherwise: Callable[[Client], T]) -> T:
        """As `Storage.ask`. Raises `ProviderNotFound` for a sandbox or image that is gone, which says nothing of what
        was remembered of the account."""

        async def tried(wire: Wire) -> T:
            try:
                return await work(wire)
            except Gone as error:
                raise ProviderNotFound(f"Modal: {error}") from error

        return self._storage.ask(tried, otherwise)

    def expect_ending(self, sandbox_id: str) -> None:
        """Begins to ask whether a sandbox still runs."""
        wire = self._storage.wire
        if wire is not None:
            self._endings[sandbox_id] = wire.begin(sandbox_wire.ending(wire, sandbox_id))

    def still_runs(self, sandbox_id: str) -> bool:
        """Whether what was asked ahead says so, which counts once; False when it says anything else."""
        asked = self._endings.pop(sandbox_id, None)
        try:
            return asked is not None and asked.result() is None
        except (Gone, WireFailed):
            # It is asked again, by who has the words for it.
            return False

    def expect_snapshot(self, sandbox_id: str) -> None:
        """Begins to ask what the SDK will need to take a snapshot of a running sandbox."""
        wire = self._storage.wire
        if wire is not None:
            self._accesses[sandbox_id] = wire.begin(sandbox_wire.router_access(wire, sandbox_id))

    def snapshot(self, sandbox_id: str, ttl_s: int | None) -> str:
        asked = self._accesses.pop(sandbox_id, None)
        try:
            access = None if asked is None else asked.result()
        except (Gone, WireFailed):
            # The SDK asks for it itself, and has the words for what is wrong.
            access = None
        return self._storage.sdk().snapshot(sandbox_id, ttl_s, access)
