"""OpenSSH: one connection to a host is kept open for a while and shared by all that follows."""

from __future__ import annotations

import contextlib
import os
import shlex
import socket
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mngr import resources
from mngr.errors import HostCommandFailed, HostKeyChanged, HostUnreachable
from mngr.hosts import mux
from mngr.models import Endpoint

SSH_FAILED = 255
_CONNECT_S = 10
_KEEP_OPEN_S = 120
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_RETRY_S = 0.1
_PRIME = 2**61 - 1
# What sshd's own messages say of a line that is bad, as opposed to a command that ended with 255.
_KEY_CHANGED = "host key verification failed"


@dataclass(frozen=True, slots=True)
class Target:
    """How to reach one host. `name` is what its host key is known under, whatever its address."""

    name: str
    endpoint: Endpoint
    folder: Path


@dataclass(frozen=True, slots=True)
class Completed:
    exit_code: int
    stdout: bytes
    stderr: bytes


def argv(target: Target, *options: str, remote: str | None = None) -> list[str]:
    """The ssh command line for a host; `remote` is a line for its shell."""
    endpoint = target.endpoint
    command = [*without_address(target), *options, "-p", str(endpoint.port), f"{endpoint.user}@{endpoint.address}"]
    return command if remote is None else [*command, remote]


def without_address(target: Target) -> list[str]:
    """The ssh command line for programs that add the port and the address themselves, such as git."""
    return ["ssh", "-F", "/dev/null", *_options(target)]


def settings(target: Target) -> dict[str, str]:
    """What makes sure that it is this host that answers, and that we show this host's key and no other."""
    # OpenSSH's first choice also withstands what may be invented to read today's traffic one day, at ten times the work
    # (75 ms in OpenSSH 9.2). What never leaves this machine nobody records.
    local = {"KexAlgorithms": "^curve25519-sha256"} if target.endpoint.address in _LOOPBACK else {}
    return {
        **local,
        "HostKeyAlias": target.name,
        "IdentityFile": f'"{target.folder / "id"}"',
        "UserKnownHostsFile": f'"{target.folder / "known_hosts"}"',
        "GlobalKnownHostsFile": "/dev/null",
        "IdentitiesOnly": "yes",
        "IdentityAgent": "none",
        "StrictHostKeyChecking": "yes",
        "UpdateHostKeys": "no",
        "BatchMode": "yes",
        "CheckHostIP": "no",
        "ConnectTimeout": str(_CONNECT_S),
        "ServerAliveInterval": "15",
        "ServerAliveCountMax": "4",
        "LogLevel": "ERROR",
    }


def _options(target: Target) -> list[str]:
    values = settings(target) | {
        "ControlMaster": "auto",
        "ControlPath": str(_control_path(target)),
        "ControlPersist": str(_KEEP_OPEN_S),
    }
    return [word for name, value in values.items() for word in ("-o", f"{name}={value}")]


def _control_path(target: Target) -> Path:
    """A socket's path may have 107 bytes, and ssh adds 17; so it is short and not below the state folder."""
    endpoint = target.endpoint
    text = f"{target.folder}:{endpoint.user}@{endpoint.address}:{endpoint.port}"
    folder = Path(os.environ.get("TMPDIR") or "/tmp") / f"mngr-{os.getuid()}"  # noqa: S108 (its owner is looked at)
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid() or folder.stat().st_mode & 0o077:
        raise HostUnreachable(target.name, f"{folder} must belong to you and to nobody else")
    # No secret and nobody to defend it from: a remainder by a prime tells apart as well as a digest of OpenSSL, which
    # takes 10 ms to load.
    return folder / f"{int.from_bytes(text.encode(), 'big') % _PRIME:016x}"


def command_line(words: Sequence[str]) -> str:
    """One word is a line for a shell, several are quoted so that they arrive as they are."""
    return words[0] if len(words) == 1 else shlex.join(words)


def run(
    target: Target, remote: str, *, what: str = "", stdin: bytes | None = None, timeout_s: float = 60.0
) -> Completed:
    """Runs a line on the host. Raises `HostUnreachable`, and `HostCommandFailed` when `what` names it and it fails."""
    try:
        done = _run(target, remote, stdin or b"", timeout_s)
    except (TimeoutError, subprocess.TimeoutExpired) as error:
        raise HostUnreachable(target.name, f"no answer within {timeout_s:g} s") from error
    except mux.Lost as error:
        raise HostUnreachable(target.name, "the connection was lost") from error
    if done.exit_code and what:
        raise HostCommandFailed(what, done.exit_code, done.stderr.decode(errors="replace"))
    return done


def _run(target: Target, remote: str, stdin: bytes, timeout_s: float) -> Completed:
    """Over the shared connection when it is open, else by `ssh`, which opens it."""
    with contextlib.suppress(mux.NotShared):
        return Completed(*mux.run(_control_path(target), remote, stdin, timeout_s))
    done = subprocess.run(argv(target, remote=remote), input=stdin, capture_output=True, timeout=timeout_s)
    if done.returncode == SSH_FAILED:
        raise unreachable(target, done.stderr.decode(errors="replace"))
    return Completed(done.returncode, done.stdout, done.stderr)


def run_script(
    target: Target, name: str, *arguments: str, what: str = "", stdin: bytes | None = None, timeout_s: float = 60.0
) -> Completed:
    """Runs one of the files in `resources` that do not lie on hosts: it travels with the call. Otherwise as `run`."""
    remote = shlex.join(["sh", "-c", resources.read(name).decode(), name, *arguments])
    return run(target, remote, what=what, stdin=stdin, timeout_s=timeout_s)


def stream(target: Target, remote: str, *, terminal: bool = False) -> int:
    """Runs a line on the host with our own input and outputs; its exit code.

    Raises `HostUnreachable` when ssh itself failed: then the shared connection is gone, which a command that ended
    with 255 does not cause.
    """
    code = subprocess.run(argv(target, *(["-tt"] if terminal else []), remote=remote)).returncode
    if code == SSH_FAILED and not is_open(target):
        raise HostUnreachable(target.name, "the connection failed or was lost")
    return code


def is_open(target: Target) -> bool:
    """Whether the shared connection is there: its ssh takes connections on its socket. That is what ``ssh -O check``
    asks too, and starting a program for it costs more than the question."""
    with socket.socket(socket.AF_UNIX) as asked:
        try:
            asked.connect(str(_control_path(target)))
        except OSError:
            return False
    return True


def open_connection(target: Target) -> None:
    """Opens the shared connection, or does nothing when it is open. Raises `HostUnreachable`."""
    if not is_open(target):
        done = subprocess.run(
            argv(target, remote="true"), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        if done.returncode:
            raise unreachable(target, done.stderr.decode(errors="replace"))


def wait_until_ready(target: Target, *, timeout_s: float) -> None:
    """Waits for one real session. A tunnel takes connections before sshd answers behind it.

    Raises `HostUnreachable`; `HostKeyChanged` at once when somebody else answers.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            open_connection(target)
            return
        except HostKeyChanged:
            raise
        except HostUnreachable:
            if time.monotonic() > deadline:
                raise
        time.sleep(_RETRY_S)


def close(target: Target) -> None:
    """Ends the shared connection. A second call does nothing."""
    if _control_path(target).exists():
        subprocess.run(argv(target, "-O", "exit"), capture_output=True)


def unreachable(target: Target, stderr: str) -> HostUnreachable:
    """The error for what an ssh that failed has written."""
    last = stderr.strip().splitlines()[-1:] or [""]
    kind = HostKeyChanged if _KEY_CHANGED in stderr.lower() else HostUnreachable
    return kind(target.name, last[0])
