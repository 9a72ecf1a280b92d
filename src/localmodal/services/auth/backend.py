"""Who may call: those with the home's own token. And the short-lived tokens made from it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import Any

from localmodal.errors import Unauthenticated
from localmodal.home import Home

_LIFETIME_S = 24 * 3600


class AuthBackend:
    """Checks tokens and signs new ones (JWT, HS256), with the home's secret as the key."""

    def __init__(self, home: Home) -> None:
        self._credentials = home.credentials()

    def check(self, token_id: str, token_secret: str) -> None:
        """Raises `Unauthenticated` unless both are the home's own."""
        expected = self._credentials
        right = hmac.compare_digest(token_id.encode(), expected.token_id.encode())
        right &= hmac.compare_digest(token_secret.encode(), expected.token_secret.encode())
        if not right:
            raise Unauthenticated("Token validation failed: this localmodal takes only the token of `localmodal env`.")

    def sign(self, subject: str) -> str:
        """A token that says who may do what (`subject`) for a day."""
        header = _encode({"alg": "HS256", "typ": "JWT"})
        body = _encode({"sub": subject, "exp": int(time.time()) + _LIFETIME_S})
        return f"{header}.{body}.{self._signature(f'{header}.{body}')}"

    def verify(self, token: str, subject: str) -> None:
        """Raises `Unauthenticated` unless `token` was signed here for `subject` and has not expired."""
        signed, _, signature = token.rpartition(".")
        if not hmac.compare_digest(signature.encode(), self._signature(signed).encode()):
            raise Unauthenticated("The token was not made by this localmodal.")
        body: dict[str, Any] = json.loads(base64.urlsafe_b64decode(signed.split(".")[1] + "=="))
        if body["sub"] != subject or body["exp"] < time.time():
            raise Unauthenticated("The token has expired or is for something else.")

    def _signature(self, text: str) -> str:
        digest = hmac.new(self._credentials.token_secret.encode(), text.encode(), hashlib.sha256).digest()
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def _encode(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")
