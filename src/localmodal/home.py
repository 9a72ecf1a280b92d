"""Where one localmodal keeps all that is its own: `$LOCALMODAL_HOME`, or the XDG data folder."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Credentials:
    """The token that calls must carry. Never logged."""

    token_id: str
    token_secret: str


@dataclass(frozen=True, slots=True)
class Home:
    """The folder of one localmodal. Two homes on one machine share nothing but base images."""

    path: Path

    @classmethod
    def from_environment(cls) -> Home:
        """`$LOCALMODAL_HOME`; without it ``localmodal`` in `$XDG_DATA_HOME` or ``~/.local/share``."""
        chosen = os.environ.get("LOCALMODAL_HOME")
        if chosen:
            return cls(Path(chosen).expanduser().absolute())
        data = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
        return cls(Path(data).expanduser().absolute() / "localmodal")

    @property
    def tag(self) -> str:
        """Eight characters that mark this home's containers, images and networks in the podman store."""
        return hashlib.sha256(str(self.path).encode()).hexdigest()[:8]

    def folder(self, name: str) -> Path:
        """A folder below the home, made (0700) when it is not there."""
        path = self.path / name
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        return path

    def make(self) -> None:
        """Makes the home, 0700. A second call changes nothing."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path.chmod(0o700)

    def credentials(self) -> Credentials:
        """The home's own token, made at the first call and kept (0600)."""
        self.make()
        path = self.path / "token.json"
        if not path.exists():
            fresh = {"token_id": f"ak-{secrets.token_hex(11)}", "token_secret": f"as-{secrets.token_hex(16)}"}
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w") as file:
                json.dump(fresh, file)
        return Credentials(**json.loads(path.read_text()))
