"""Builds images with podman from Dockerfile commands.

The machine's own CA bundle is there for RUN steps, since a proxy that opens TLS is common. It is mounted below
``/dev``, which is never part of an image, and named by build arguments, which are not either. Secrets that a build
gets as environment variables come from a file mounted in the same way.
"""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from localmodal.engine.images import BaseImages, Log
from localmodal.engine.podman import Podman
from localmodal.errors import InvalidArgument, LocalModalError

_CA_INSIDE = "/dev/localmodal-ca.crt"
_ENV_INSIDE = "/dev/localmodal-env"
_CA_VARIABLES = (
    *("SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "PIP_CERT"),
    *("NODE_EXTRA_CA_CERTS", "npm_config_cafile", "GIT_SSL_CAINFO"),
)
_CA_BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")
_FROM = re.compile(r"(FROM\s+(?:--platform=\S+\s+)?)(\S+)(\s+AS\s+(\S+))?\s*$", re.IGNORECASE)
_COPY_FROM = re.compile(r"((?:COPY|ADD)\s.*?--from=)(\S+)", re.IGNORECASE)
_ARG = re.compile(r"ARG\s+(\w+)(?:=(\S+))?", re.IGNORECASE)
_VARIABLE = re.compile(r"\$(?:\{(\w+)(?::-([^}]*))?\}|(\w+))")
_RUN = re.compile(r"(RUN\s+(?:--\S+\s+)*)(.*)$", re.IGNORECASE | re.DOTALL)
_STEP = re.compile(r"(?:\[\d+/\d+\] )?STEP (\d+)/(\d+): (.*)")
_TAIL_LINES = 15


class BuildFailed(LocalModalError):
    """A step failed. The message names it and ends with the last lines of its log."""


@dataclass(frozen=True)
class Build:
    """What to build. `bases` maps names used in FROM to images of podman's store; `files` and `context` lie in the
    build context; the values of `secrets` are in the build only."""

    commands: Sequence[str]
    tag: str
    bases: Mapping[str, str] = field(default_factory=dict)
    context: Mapping[str, tuple[Path, int]] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)
    build_args: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)


class Builder:
    """Runs builds, one process each."""

    def __init__(self, podman: Podman, bases: BaseImages) -> None:
        self._podman = podman
        self._bases = bases

    async def build(self, build: Build, log: Log) -> None:
        """Builds an image and tags it. Raises `BuildFailed`, `NotFound` for a base that is not to be had."""
        commands = await self._with_bases(build, log)
        with tempfile.TemporaryDirectory(prefix="localmodal-build-") as name:
            folder = Path(name)
            context = folder / "context"
            context.mkdir()
            await asyncio.to_thread(_fill, context, build)
            arguments = ["--file", str(folder / "Dockerfile"), *self._mounts(folder, build)]
            extra = [f"ARG {' '.join(_CA_VARIABLES)}"] if _ca_bundle() else []
            text = "\n".join(prepare(commands, after_from=extra, with_env=bool(build.secrets)))
            (folder / "Dockerfile").write_text(text + "\n")
            await self._run(build, [*arguments, str(context)], log)

    async def _with_bases(self, build: Build, log: Log) -> list[str]:
        """The commands with each base named as podman knows it."""
        stages: set[str] = set()
        arguments: dict[str, str] = {}
        commands = []
        for command in build.commands:
            source = _FROM.match(command)
            copied = _COPY_FROM.match(command)
            argument = _ARG.match(command)
            if argument:
                arguments[argument[1]] = build.build_args.get(argument[1], (argument[2] or "").strip("\"'"))
            if source:
                name = _expand(source[2], arguments)
                ref = name if name in stages else build.bases.get(name) or await self._bases.resolve(name, log)
                commands.append(f"{source[1]}{ref}{source[3] or ''}")
                if source[4]:
                    stages.add(source[4])
            elif copied and copied[2] in build.bases:
                commands.append(command.replace(copied[0], f"{copied[1]}{build.bases[copied[2]]}", 1))
            else:
                commands.append(command)
        return commands

    def _mounts(self, folder: Path, build: Build) -> list[str]:
        arguments: list[str] = []
        bundle = _ca_bundle()
        if bundle:
            arguments += ["--volume", f"{bundle}:{_CA_INSIDE}:ro"]
            for name in _CA_VARIABLES:
                arguments += ["--build-arg", f"{name}={_CA_INSIDE}"]
        if build.secrets:
            private = folder / "secrets"
            private.mkdir(mode=0o700)
            lines = "".join(f"export {key}={shlex.quote(value)}\n" for key, value in build.secrets.items())
            arguments += ["--volume", f"{_private(private / 'env', lines)}:{_ENV_INSIDE}:ro"]
            for number, (key, value) in enumerate(build.secrets.items()):
                arguments += ["--secret", f"id={key},src={_private(private / str(number), value)}"]
        for key, value in build.build_args.items():
            arguments += ["--build-arg", f"{key}={value}"]
        return arguments

    async def _run(self, build: Build, arguments: list[str], log: Log) -> None:
        options = ["--layers", "--network", "host", "--tag", build.tag, "--label", self._podman.label]
        process = await self._podman.spawn(
            *("build", *options, *arguments),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            limit=1 << 20,
        )
        assert process.stdout is not None  # noqa: S101 (asked for above)
        step = ""
        tail: list[str] = []
        try:
            while line := (await process.stdout.read(1 << 16)).decode(errors="replace"):
                log(line)
                for part in line.splitlines():
                    started = _STEP.match(part)
                    if started:
                        step, tail = f"{started[1]} of {started[2]}: {started[3]}", []
                    else:
                        tail = [*tail[-_TAIL_LINES:], part]
            code = await process.wait()
        except asyncio.CancelledError:
            process.terminate()
            await process.wait()
            raise
        if code:
            reason = "\n".join(line for line in tail if line.strip())
            raise BuildFailed(f"step {step or '1'} failed:\n{reason}" if step else reason)


def prepare(commands: Sequence[str], *, after_from: Sequence[str], with_env: bool) -> list[str]:
    """The commands with `after_from` behind each FROM, and shell-form RUNs that load the secrets' variables."""
    prepared: list[str] = []
    for command in commands:
        run = _RUN.match(command) if with_env else None
        if run and not run[2].lstrip().startswith(("[", "<<")):
            prepared.append(f"{run[1]}. {_ENV_INSIDE}; {run[2]}")
        else:
            prepared.append(command)
        if _FROM.match(command):
            prepared.extend(after_from)
    return prepared


def _expand(name: str, arguments: Mapping[str, str]) -> str:
    """An image's name with the arguments that stand before FROM filled in."""
    return _VARIABLE.sub(lambda found: arguments.get(found[1] or found[3], "") or found[2] or "", name)


def _fill(context: Path, build: Build) -> None:
    for path, data in build.files.items():
        _below(context, path).write_bytes(data)
    for path, (source, mode) in build.context.items():
        target = _below(context, path)
        target.write_bytes(source.read_bytes())
        target.chmod(mode or 0o644)


def _below(folder: Path, path: str) -> Path:
    target = folder / path.lstrip("/")
    if ".." in target.parts:
        raise InvalidArgument(f"the path '{path}' leaves the build context")
    target.parent.mkdir(parents=True, exist_ok=True)
    return target


def _private(path: Path, text: str) -> Path:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    return path


def _ca_bundle() -> str | None:
    chosen = os.environ.get("SSL_CERT_FILE")
    return next((path for path in (chosen, *_CA_BUNDLES) if path and Path(path).is_file()), None)
