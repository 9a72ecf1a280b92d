"""Handles of things at Modal whose ids are known, without the call by which the SDK looks each of them up first.

The SDK (1.6) makes such handles itself from replies; where it no longer does it in this way, its public way is taken.
Only `client` imports this.
"""

from __future__ import annotations

import base64
import contextlib
import time
from collections.abc import Callable
from typing import Any, TypeVar

import modal
from modal._utils.async_utils import synchronize_api, synchronizer
from modal_proto import api_pb2

from mngr.providers.modal.requests import RouterAccess

T = TypeVar("T")
_MOVED = (AttributeError, TypeError, ImportError)


def sandbox(sandbox_id: str, access: RouterAccess | None = None) -> modal.Sandbox:
    """`access` spares the SDK from asking for it."""
    made = _made(modal.Sandbox, sandbox_id, None, lambda: modal.Sandbox.from_id(sandbox_id))
    if access is not None:
        with contextlib.suppress(*_MOVED):
            inner: Any = synchronizer._translate_in(made)  # type: ignore[no-untyped-call]
            # Only where the SDK has such fields: a V2 sandbox's (`modal.sandbox._impl_v2`).
            if not inner._impl._task_id and inner._impl._init_command_router_access is None:
                given = api_pb2.CommandRouterAccess(url=access.url, jwt=access.jwt)
                inner._impl._task_id, inner._impl._init_command_router_access = access.task_id, given
    return made


def image(image_id: str) -> modal.Image:
    return _made(modal.Image, image_id, None, lambda: modal.Image.from_id(image_id))


def volume(volume_id: str, metadata: str) -> modal.Volume:
    """`metadata` as `metadata_of` gives it."""
    message = api_pb2.VolumeMetadata.FromString(base64.b64decode(metadata))
    return _made(modal.Volume, volume_id, message, lambda: modal.Volume.from_id(volume_id))


def metadata_of(volume: modal.Volume) -> str:
    """What a handle of a volume holds besides its id, empty when the SDK does not show it."""
    try:
        inner: Any = synchronizer._translate_in(volume)  # type: ignore[no-untyped-call]
        return base64.b64encode(inner._get_metadata().SerializeToString()).decode()
    except _MOVED:
        return ""


def app(name: str, app_id: str, environment: str | None) -> modal.App | None:
    """None when the SDK makes no such handle."""
    try:
        from modal.app import _App

        made: Any = _App._new_remote(name, app_id, environment or "", _client())
        return _shown(made)  # type: ignore[no-any-return]
    except _MOVED:
        return None


def use_token(token: str, until: float) -> None:
    """Gives the SDK the server's token that is good until then, so that it does not ask for one."""
    try:
        tokens = _client()._auth_token_manager
        if not tokens._token and time.time() < until:
            tokens._token, tokens._expiry, tokens._refresh_at = token, until, until
    except _MOVED:
        return


def token() -> str:
    """The server's token that the SDK has, empty when it has none."""
    try:
        return str(_client()._auth_token_manager._token)
    except _MOVED:
        return ""


def _client() -> Any:
    return synchronizer._translate_in(modal.Client.from_env())  # type: ignore[no-untyped-call]


def _shown(inner: Any) -> Any:
    return synchronizer._translate_out(inner)  # type: ignore[no-untyped-call]


@synchronize_api  # type: ignore[untyped-decorator]
async def _hydrated(kind: Any, object_id: str, message: Any) -> Any:
    """On the SDK's own loop: a sandbox's handle has streams that belong to it."""
    from modal.client import _Client

    return kind._new_hydrated(object_id, await _Client.from_env(), message)


def _made(kind: type[T], object_id: str, message: Any, otherwise: Callable[[], T]) -> T:
    try:
        return _hydrated(synchronizer._translate_in(kind), object_id, message)  # type: ignore[no-any-return, no-untyped-call]
    except _MOVED:
        return otherwise()
