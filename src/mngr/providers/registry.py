"""Providers by name. One is imported when it is used, and not before."""

from __future__ import annotations

import msgspec

from mngr.config import Settings
from mngr.errors import UsageError
from mngr.providers.base import Provider

_made: dict[tuple[str, bytes], Provider] = {}


def provider(name: str, settings: Settings) -> Provider:
    """The provider called `name` in the settings. Raises `UsageError`."""
    if name not in settings.providers:
        raise UsageError(f"there is no provider named {name!r}; there is: {', '.join(settings.providers)}")
    from mngr.providers.modal.provider import ModalProvider

    # One for all of a command: it holds connections and what it has looked up.
    key = (name, msgspec.json.encode(settings.providers[name]))
    if key not in _made:
        _made[key] = ModalProvider(name, settings.providers[name])
    return _made[key]
