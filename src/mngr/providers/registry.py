"""Providers by name. One is imported when it is used, and not before."""

from __future__ import annotations

from mngr.config import Settings
from mngr.errors import UsageError
from mngr.providers.base import Provider

NAMES = ("modal",)


def provider(name: str, settings: Settings) -> Provider:
    """The provider called `name`. Raises `UsageError`."""
    if name == "modal":
        from mngr.providers.modal.provider import ModalProvider

        return ModalProvider(name, settings.providers.modal)
    raise UsageError(f"there is no provider named {name!r}; there is: {', '.join(NAMES)}")
