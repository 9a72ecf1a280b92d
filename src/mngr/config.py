"""Settings: `$MNGR_HOME/settings.toml`."""

from __future__ import annotations

import tomllib
from typing import Literal

import msgspec

from mngr import paths
from mngr.errors import UsageError


class ModalSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[providers.modal]``: which server, which app, and what a sandbox gets when nothing else is said."""

    backend: Literal["modal"] = "modal"
    server: Literal["auto", "modal", "local"] = "auto"
    app: str = "mngr"
    environment: str = ""
    state_volume: str = "mngr-state"
    default_cpu: float = 1.0
    default_memory: float = 1.0
    default_image: str = "debian:bookworm-slim"
    default_timeout: int = 900
    default_region: str = ""


class Providers(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    modal: ModalSettings = ModalSettings()


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    providers: Providers = Providers()


def load() -> Settings:
    """The settings of this user. Raises `UsageError` naming the file and what is wrong in it."""
    path = paths.home() / "settings.toml"
    if not path.exists():
        return Settings()
    try:
        return msgspec.convert(tomllib.loads(path.read_text()), Settings)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise UsageError(f"{path}: {error}") from error
