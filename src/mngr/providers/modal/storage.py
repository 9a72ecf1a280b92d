"""The state volume: over the wire where that is possible, else through the SDK."""

from __future__ import annotations

import atexit
import contextlib
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeVar

from mngr.config import ModalSettings
from mngr.errors import ProviderNotFound
from mngr.providers.modal import access

if TYPE_CHECKING:
    from mngr.providers.modal.client import Client
    from mngr.providers.modal.wire import Wire

T = TypeVar("T")


class Storage:
    """Files of one state volume. `client` is called when the SDK is needed."""

    def __init__(self, settings: ModalSettings, client: Callable[[], Client]) -> None:
        self._settings = settings
        self._client = client
        self._removing: list[Future[None]] = []
        self._gave_up = False
        self.wire = self._reach()
        """None where the SDK has to be asked for everything."""

    def sdk(self) -> Client:
        """The SDK, imported when it is first asked for."""
        return self._client()

    def learn(self) -> Wire | None:
        """The wire, after what it needs was asked of the SDK where nothing is remembered. Raises what the SDK says."""
        if self.wire is None and not self._gave_up:
            self._client().remember()
            self.wire = self._reach()
        return self.wire

    def _reach(self) -> Wire | None:
        found = access.access(self._settings)
        if found is None:
            return None
        from mngr.providers.modal.wire import Wire

        return Wire(found)

    def give_up(self, error: Exception) -> Client:
        """From now on everything is asked of the SDK; when `error` says that something is gone, what was remembered is
        looked up anew."""
        from mngr.providers.modal.wire import Gone

        self.wire, self._gave_up = None, True
        found = access.account(self._settings)
        if found is not None and isinstance(error, Gone):
            found.forget()
        return self._client()

    def ask(self, work: Callable[[Wire], Coroutine[Any, Any, T]], otherwise: Callable[[Client], T]) -> T:
        """What `work` gives over the wire; when that fails, what `otherwise` gives."""
        wire = self.wire
        if wire is None:
            return otherwise(self._client())
        from mngr.providers.modal.wire import Gone, WireFailed

        try:
            return wire.begin(work(wire)).result()
        except (Gone, WireFailed) as error:
            return otherwise(self.give_up(error))

    def list_files(self, folder: str) -> list[str]:
        """The paths of all files below a folder."""
        return self.ask(lambda wire: wire.list_files(folder), lambda client: client.list_files(folder))

    def read_file(self, path: str) -> bytes:
        """Raises `ProviderNotFound`."""
        wire = self.wire
        if wire is None:
            return self._client().read_file(path)
        from mngr.providers.modal.wire import Gone, WireFailed

        try:
            return wire.begin(wire.read_file(path)).result()
        except Gone as error:
            raise ProviderNotFound(f"Modal: {error}") from error
        except WireFailed as error:
            return self.give_up(error).read_file(path)

    def stage(self, path: str, data: bytes) -> Callable[[], None]:
        """Begins to write a file; nobody sees it before the result is called, which waits until it is there."""
        wire = self.wire
        if wire is None:
            return lambda: self._client().write_file(path, data)
        from mngr.providers.modal.wire import Gone, WireFailed

        staged = wire.begin(wire.stage(path, data))

        def commit() -> None:
            try:
                wire.begin(staged.result()()).result()
            except (Gone, WireFailed) as error:
                self.give_up(error).write_file(path, data)

        return commit

    def write_file(self, path: str, data: bytes) -> None:
        """Writes a file; one that is there is replaced."""
        self.stage(path, data)()

    def remove_files(self, path: str, *, recursive: bool = False) -> None:
        """What is gone already is no error."""
        self.ask(
            lambda wire: wire.remove(path, recursive=recursive),
            lambda client: client.remove_files(path, recursive=recursive),
        )

    def remove_later(self, path: str) -> None:
        """Begins to remove a file that nobody reads any more. The end of the process waits for it; nothing is lost when
        it stays."""
        if self.wire is None:
            self._client().remove_files(path)
        else:
            if not self._removing:
                atexit.register(self.settle)
            self._removing.append(self.wire.begin(self.wire.remove(path, recursive=False)))

    def settle(self) -> None:
        """Waits until what was to be removed is."""
        for one in self._removing:
            with contextlib.suppress(Exception):
                one.result()
        self._removing.clear()
