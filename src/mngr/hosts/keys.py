"""SSH keys: one pair for us and one for the host, made for each host and never shared."""

from __future__ import annotations

import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from mngr import paths


@dataclass(frozen=True, slots=True)
class KeyPair:
    """An ed25519 key in OpenSSH's own form. Never logged."""

    private: str
    public: str


def generate(comment: str) -> KeyPair:
    """A new key pair."""
    with tempfile.TemporaryDirectory(prefix="mngr-key-") as folder:
        path = Path(folder) / "key"
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path)]
        subprocess.run(command, check=True, capture_output=True)
        return KeyPair(path.read_text(), path.with_suffix(".pub").read_text().strip())


def save(folder: Path, client: KeyPair, host: KeyPair, alias: str) -> None:
    """Keeps what this machine needs to reach the host: our key, and the only host key that we accept.

    The host's private key is kept too: the host must show the same key when it is started again.
    """
    paths.write_private(folder / "id", client.private.encode())
    paths.write_private(folder / "id.pub", f"{client.public}\n".encode())
    paths.write_private(folder / "host_key", host.private.encode())
    paths.write_private(folder / "known_hosts", f"{alias} {' '.join(host.public.split()[:2])}\n".encode())


def load(folder: Path) -> tuple[str, str]:
    """The host's private key and our public one, as they were saved. Raises `FileNotFoundError`."""
    return (folder / "host_key").read_text(), (folder / "id.pub").read_text().strip()
