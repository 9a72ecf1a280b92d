"""What the parts of a provider share: one Modal account, asked in the ways that `storage` and `client` offer."""

from __future__ import annotations

import contextlib
import importlib
import threading
from functools import cached_property
from typing import TYPE_CHECKING

from mngr.config import ModalSettings
from mngr.providers.modal import endpoint
from mngr.providers.modal.storage import Storage

if TYPE_CHECKING:
    from mngr.providers.modal.client import Client
    from mngr.providers.modal.machines import Machines
    from mngr.providers.modal.records import Records


class Account:
    """One account, connected to when it is first asked. May be used from several threads."""

    def __init__(self, name: str, settings: ModalSettings) -> None:
        """`name` is that of the provider in the settings."""
        self.name = name
        self._settings = settings
        self._lock = threading.RLock()
        self._loading = False

    @property
    def _client(self) -> Client:
        with self._lock:
            return self._made_client

    @cached_property
    def _made_client(self) -> Client:
        endpoint.choose(self._settings)
        from mngr.providers.modal.client import Client

        return Client(self._settings)

    @property
    def _storage(self) -> Storage:
        with self._lock:
            return self._made_storage

    @cached_property
    def _made_storage(self) -> Storage:
        endpoint.choose(self._settings)
        return Storage(self._settings, lambda: self._client)

    @cached_property
    def _records(self) -> Records:
        from mngr.providers.modal.records import Records

        return Records(self.name, self._storage)

    @cached_property
    def _machines(self) -> Machines:
        from mngr.providers.modal.machines import Machines

        return Machines(self._storage)

    def warm_up(self) -> None:
        """Begins to import the SDK, which takes half a second. See `Provider`."""
        if self._loading:
            return
        self._loading = True
        endpoint.choose(self._settings)
        threading.Thread(target=_load_client, daemon=True).start()


def _load_client() -> None:
    # Whoever needs it imports it, too, and hears why not.
    with contextlib.suppress(Exception):
        importlib.import_module("mngr.providers.modal.client")
