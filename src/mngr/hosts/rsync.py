"""Files between this machine and a host, by rsync over our own connection."""

from __future__ import annotations

import re
import shlex
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mngr.errors import RsyncFailed, UsageError
from mngr.hosts import ssh
from mngr.hosts.hearing import hear
from mngr.hosts.ssh import Target

# Owners are not kept: a user's number means somebody else on the other side, and git refuses folders of others there.
# --secluded-args: paths reach the other side as they are, whatever is in them (its older name is understood by all).
_WORDS = ("rsync", "--recursive", "--links", "--perms", "--times", "--protect-args")
_TELLING = ("--info=progress2", "--outbuf=N")
# What begins the line of an item; those about progress hold no names.
_ITEM = b"item:"
_ESCAPED = re.compile(rb"\\#([0-7]{3})")
_WILD = re.compile(rb"([\\*?\[])")


@dataclass(frozen=True, slots=True)
class Options:
    """`exclude` are paths from the root of what travels, `patterns` are rsync's own; with `delete` what is not at the
    source goes at the destination, except for what is excluded."""

    delete: bool = False
    dry_run: bool = False
    exclude: tuple[bytes, ...] = ()
    patterns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """What became of a path at the destination: ``send``, ``make`` (a folder), ``touch`` (permissions or times) or
    ``delete``."""

    kind: str
    path: bytes


def send(
    target: Target,
    folder: Path,
    work_dir: str,
    progress: Callable[[str], None],
    *,
    only: Sequence[bytes] | None = None,
) -> None:
    """Makes what is in a folder be in one of the host's, `only` these paths of it; `progress` as for `copy`. Raises
    `RsyncFailed`."""
    with tempfile.NamedTemporaryFile(prefix="mngr-files-") as listed:
        listed.write(b"\0".join(only or ()))
        listed.flush()
        files = () if only is None else ("--from0", f"--files-from={listed.name}")
        to = f"{place(target, work_dir)}/"
        _run([*_WORDS, *_TELLING, "--mkpath", *files, "-e", _shell(target), "--", f"{folder}/", to], progress)


def place(target: Target, path: str) -> str:
    """A path on the host as rsync names it."""
    return f"{target.endpoint.user}@{target.endpoint.address}:{path}"


def copy(
    target: Target | None, sources: Sequence[str], destination: str, options: Options, progress: Callable[[str], None]
) -> list[Change]:
    """Copies between here and the host (see `place`), without one from here to here; every change that it made or, in
    a dry run, would make.

    `progress` is told rsync's own words about how far it is. Raises `RsyncFailed`.
    """
    with tempfile.NamedTemporaryFile(prefix="mngr-exclude-") as excluded:
        rules = [*(b"/" + _WILD.sub(rb"\\\1", path) for path in options.exclude), *map(str.encode, options.patterns)]
        excluded.write(b"\0".join(rules))
        excluded.flush()
        argv = [*_WORDS, *_TELLING, "--mkpath", f"--out-format={_ITEM.decode()}%i %n"]
        argv += ["--from0", f"--exclude-from={excluded.name}"] if rules else []
        argv += ["--delete-delay"] if options.delete else []
        argv += ["--dry-run"] if options.dry_run else []
        argv += ["-e", _shell(target)] if target else []
        return _run([*argv, "--", *sources, destination], progress)


def _run(argv: Sequence[str], progress: Callable[[str], None]) -> list[Change]:
    changes: list[Change] = []

    def heard(line: bytes) -> None:
        if line.startswith(_ITEM):
            changes.extend(_change(line.removeprefix(_ITEM)))
        elif line.strip():
            progress(line.decode(errors="replace").strip())

    with tempfile.TemporaryFile() as errors:
        try:
            code = hear(argv, "stdout", heard, stderr=errors)
        except FileNotFoundError as error:
            raise _missing() from error
        errors.seek(0)
        if code:
            raise RsyncFailed(code, errors.read().decode(errors="replace"))
    return changes


def _change(text: bytes) -> list[Change]:
    """An item of rsync's: eleven letters that say what was changed, a space, the path (see ``%i`` in rsync(1))."""
    letters, name = text[:11], text[12:]
    path = _ESCAPED.sub(lambda found: bytes([int(found[1], 8)]), name)
    if path == b"./":
        return []
    if letters.startswith(b"*deleting"):
        return [Change("delete", path)]
    if letters[:1] in (b"<", b">", b"c", b"h"):
        return [Change("make" if letters[1:2] == b"d" else "send", path)]
    return [Change("touch", path)] if letters[:1] == b"." else []


def _shell(target: Target) -> str:
    return shlex.join([*ssh.without_address(target), "-p", str(target.endpoint.port)])


def _missing() -> UsageError:
    return UsageError("rsync is not installed; it carries files to and from sandboxes")
