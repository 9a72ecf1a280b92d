"""What this machine remembers of an account between commands: the ids of the app and of the state volume, which never
change while these are there, and the server's own short-lived token. Asking for them costs three calls.

In the cache of the state folder, 0600 like the SSH keys beside it; it can be deleted at any time.
"""

from __future__ import annotations

import base64
import hashlib
import os
import time
import urllib.parse
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from mngr import paths
from mngr.config import ModalSettings

_SERVER = "https://api.modal.com"
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
# A token that ends sooner is not used any more.
_MARGIN_S = 120


class Remembered(msgspec.Struct, frozen=True):
    """Empty strings are not known. `volume_metadata` is the SDK's message, in base64."""

    app_id: str = ""
    volume_id: str = ""
    volume_metadata: str = ""
    auth_token: str = ""
    auth_until: float = 0.0


@dataclass(frozen=True)
class Account:
    """A server and who we are there. The token is never shown."""

    server_url: str
    token_id: str
    token_secret: str = field(repr=False)
    path: Path = field(repr=False)
    environment: str = ""

    def remembered(self) -> Remembered:
        try:
            return msgspec.json.decode(self.path.read_bytes(), type=Remembered)
        except (FileNotFoundError, msgspec.DecodeError):
            return Remembered()

    def remember(self, **values: Any) -> None:
        """Notes some of it; the rest stays."""
        changed = msgspec.structs.replace(self.remembered(), **values)
        paths.write_private(self.path, msgspec.json.encode(changed))

    def forget(self) -> None:
        """Drops all of it, since the server does not know something of it any more. A second call does nothing."""
        self.path.unlink(missing_ok=True)

    def keep_token(self, token: str) -> None:
        """Notes the server's own token for as long as it says that it is good; an empty one is dropped."""
        self.remember(auth_token=token, auth_until=_expiry(token) - _MARGIN_S)


@dataclass(frozen=True)
class Access:
    """All that the wire needs. `auth_token` empty has to be asked for."""

    account: Account
    app_id: str
    volume_id: str
    auth_token: str = field(default="", repr=False)

    @property
    def server_url(self) -> str:
        return self.account.server_url

    @property
    def token_id(self) -> str:
        return self.account.token_id

    @property
    def token_secret(self) -> str:
        return self.account.token_secret

    def keep_token(self, token: str) -> None:
        self.account.keep_token(token)


def account(settings: ModalSettings) -> Account | None:
    """Who we are, as the SDK (1.6) would find it: the environment before the active profile of its file. None where it
    would do more than that: other ways to sign in, a proxy, several servers, headers of its own."""
    profile = _profile()
    values = {
        name: os.environ.get(f"MODAL_{name.upper()}", str(profile.get(name, "")))
        for name in ("server_url", "token_id", "token_secret", "environment", "override_headers", "oauth_refresh_token")
    }
    server = values["server_url"] or _SERVER
    host = urllib.parse.urlparse(server).hostname or ""
    proxied = host not in _LOOPBACK and any(
        os.environ.get(name) for word in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY") for name in (word, word.lower())
    )
    odd = "," in server or not server.startswith(("http://", "https://")) or proxied
    if odd or values["override_headers"] or values["oauth_refresh_token"] or not values["token_secret"]:
        return None
    environment = settings.environment or values["environment"]
    words = [server, values["token_id"], environment, settings.app, settings.state_volume]
    name = hashlib.sha256("\0".join(words).encode()).hexdigest()[:16]
    return Account(
        server, values["token_id"], values["token_secret"], paths.cache_folder("accounts") / name, environment
    )


def access(settings: ModalSettings) -> Access | None:
    """What the wire needs, None when something of it is not known yet."""
    found = account(settings)
    if found is None:
        return None
    known = found.remembered()
    if not known.app_id or not known.volume_id:
        return None
    token = known.auth_token if time.time() < known.auth_until else ""
    return Access(found, known.app_id, known.volume_id, token)


def _profile() -> dict[str, Any]:
    path = Path(os.environ.get("MODAL_CONFIG_PATH") or "~/.modal.toml").expanduser()
    if not path.exists():
        return {}
    import tomllib

    try:
        profiles = tomllib.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    active = [name for name, values in profiles.items() if isinstance(values, dict) and values.get("active") is True]
    found = profiles.get(os.environ.get("MODAL_PROFILE") or (active[0] if active else "default"), {})
    return found if isinstance(found, dict) else {}


def _expiry(token: str) -> float:
    """When a JWT ends, 0 when it does not say."""
    try:
        payload = token.split(".")[1]
        return float(msgspec.json.decode(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["exp"])
    except (LookupError, ValueError, TypeError, msgspec.DecodeError):
        return 0.0
