"""The one place where an error of Modal's SDK becomes one of ours."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import modal.exception

from mngr.errors import (
    ImageBuildFailed,
    MngrError,
    NoExitSnapshot,
    NotAuthorised,
    ProviderConflict,
    ProviderNotFound,
    ProviderRefused,
    ProviderUnavailable,
)

_TRANSLATIONS: tuple[tuple[type[Exception], type[MngrError]], ...] = (
    (modal.exception.AuthError, NotAuthorised),
    (modal.exception.PermissionDeniedError, NotAuthorised),
    (modal.exception.ImageBuildError, ImageBuildFailed),
    (modal.exception.NotFoundError, ProviderNotFound),
    (modal.exception.AlreadyExistsError, ProviderConflict),
    (modal.exception.ConflictError, ProviderConflict),
    (modal.exception.SnapshotCreationError, NoExitSnapshot),
    (modal.exception.ConnectionError, ProviderUnavailable),
    (modal.exception.ServiceError, ProviderUnavailable),
    (modal.exception.Error, ProviderRefused),
)


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Turns errors of the SDK into ours, its own words kept."""
    try:
        yield
    except (modal.exception.Error, OSError) as error:
        for theirs, ours in _TRANSLATIONS:
            if isinstance(error, theirs):
                raise ours(f"Modal: {error}" if ours is not ImageBuildFailed else str(error)) from error
        if isinstance(error, FileNotFoundError):
            raise ProviderNotFound(f"Modal: {error}") from error
        raise ProviderUnavailable(f"Modal can not be reached: {error}") from error
