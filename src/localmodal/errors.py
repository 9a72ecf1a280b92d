"""What a call can fail with. Each class is one gRPC status, which the SDKs turn into an exception of theirs.

LocalModalError
├── NotFound            NOT_FOUND            modal.exception.NotFoundError
├── AlreadyExists       ALREADY_EXISTS       modal.exception.AlreadyExistsError
├── FailedPrecondition  FAILED_PRECONDITION  modal.exception.ConflictError
├── InvalidArgument     INVALID_ARGUMENT     modal.exception.InvalidError
├── Unauthenticated     UNAUTHENTICATED      modal.exception.AuthError
├── PermissionDenied    PERMISSION_DENIED    modal.exception.PermissionDeniedError
├── ResourceExhausted   RESOURCE_EXHAUSTED   modal.exception.ResourceExhaustedError
├── DeadlineExceeded    DEADLINE_EXCEEDED    modal.exception.TimeoutError
├── Unavailable         UNAVAILABLE          retried by the SDKs
├── Unimplemented       UNIMPLEMENTED        refused by name
└── Internal            INTERNAL             modal.exception.InternalError
"""

from __future__ import annotations

from typing import ClassVar


class LocalModalError(Exception):
    """A failure that a client is told of. `status` is the name of a gRPC status code."""

    status: ClassVar[str] = "INTERNAL"


class NotFound(LocalModalError):
    status = "NOT_FOUND"


class AlreadyExists(LocalModalError):
    status = "ALREADY_EXISTS"


class FailedPrecondition(LocalModalError):
    status = "FAILED_PRECONDITION"


class InvalidArgument(LocalModalError):
    status = "INVALID_ARGUMENT"


class Unauthenticated(LocalModalError):
    status = "UNAUTHENTICATED"


class PermissionDenied(LocalModalError):
    status = "PERMISSION_DENIED"


class ResourceExhausted(LocalModalError):
    status = "RESOURCE_EXHAUSTED"


class DeadlineExceeded(LocalModalError):
    status = "DEADLINE_EXCEEDED"


class Unavailable(LocalModalError):
    status = "UNAVAILABLE"


class Unimplemented(LocalModalError):
    status = "UNIMPLEMENTED"


class Internal(LocalModalError):
    status = "INTERNAL"
