"""Where mngr keeps its state on this machine: `$MNGR_HOME`, or ``~/.mngr``. Folders are 0700, files 0600."""

from __future__ import annotations

import os
from pathlib import Path


def home() -> Path:
    """The state folder, made when it is not there."""
    chosen = os.environ.get("MNGR_HOME")
    return private_folder(Path(chosen).expanduser().absolute() if chosen else Path.home() / ".mngr")


def host_folder(host_id: str) -> Path:
    """Keys of one host."""
    return private_folder(home() / "hosts" / host_id)


def cache_folder(name: str) -> Path:
    """A folder of things that can be looked up again."""
    return private_folder(home() / "cache" / name)


def home_id() -> str:
    """Names this state folder in records, so that others can tell who is at work on a host."""
    path = home() / "id"
    if not path.exists():
        import secrets

        write_private(path, secrets.token_hex(8).encode())
    return path.read_text()


def private_folder(path: Path) -> Path:
    """Makes a folder, and those above it that are missing, for its owner alone. A second call changes nothing."""
    if not path.is_dir():
        private_folder(path.parent)
        path.mkdir(mode=0o700, exist_ok=True)
        path.chmod(0o700)
    return path


def write_private(path: Path, data: bytes) -> None:
    """Writes a file that only its owner can read, at once or not at all."""
    private_folder(path.parent)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(data)
    partial.replace(path)
