"""Links to large bytes, for the HTTP listener: whoever has one may use it, and nobody can make one up."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

from localmodal.errors import NotFound
from localmodal.home import Home


class Links:
    """Signs what a link is for with the home's secret, so that links need not be stored."""

    def __init__(self, home: Home, base: Callable[[], str]) -> None:
        """`base` gives the address of the HTTP listener once it listens."""
        self._key = home.credentials().token_secret.encode()
        self._base = base

    def make(self, kind: str, **what: Any) -> str:
        """A link; `kind` is the first part of its path."""
        body = base64.urlsafe_b64encode(json.dumps(what).encode()).decode().rstrip("=")
        return f"{self._base()}/{kind}/{body}.{self._sign(kind, body)}"

    def read(self, kind: str, token: str) -> dict[str, Any]:
        """What a link made here is for. Raises `NotFound` for any other."""
        body, _, signature = token.partition(".")
        if not hmac.compare_digest(signature.encode(), self._sign(kind, body).encode()):
            raise NotFound("no such link")
        what: dict[str, Any] = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        return what

    def _sign(self, kind: str, body: str) -> str:
        return hmac.new(self._key, f"{kind}/{body}".encode(), hashlib.sha256).hexdigest()
