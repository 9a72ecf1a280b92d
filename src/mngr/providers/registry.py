"""Providers by name. One is imported when it is used, and not before."""

from __future__ import annotations

from mngr.config import Settings
from mngr.errors import UsageError
from mngr.providers.base import Provider


def provider(name: str, settings: Settings) -> Provider:
    """The provider called `name` in the settings. Raises `UsageError`."""
    if name not in settings.providers:
        raise UsageError(f"there is no provider named {name!r}; there is: {', '.join(settings.providers)}")
    from mngr.providers.modal.provider import ModalProvider

    return ModalProvider(name, settings.providers[name])
