"""Ids of the form that Modal gives its objects: a short prefix, a hyphen and 22 characters."""

from __future__ import annotations

import secrets
import string

_ALPHABET = string.ascii_letters + string.digits


def new_id(prefix: str) -> str:
    """A fresh random id such as ``im-`` and 22 letters or digits."""
    return f"{prefix}-{_random(22)}"


def new_sandbox_id(*, v2: bool) -> str:
    """A sandbox id. SDKs tell V1 from V2 by its shape alone: exactly 22 alphanumerics is V1, anything else V2."""
    return f"sb-{_random(26)}" if v2 else f"sb-{_random(22)}"


def new_task_id(*, v2: bool) -> str:
    """A task id; SDKs know a V2 task by the ``V`` at the end."""
    return f"ta-{_random(25)}V" if v2 else f"ta-{_random(22)}"


def short_name() -> str:
    """A name for a layer's folder: short, since a mount's list of layers must fit in one page of memory."""
    return _random(8).lower()


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))
