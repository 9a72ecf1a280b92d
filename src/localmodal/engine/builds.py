"""Builds images with podman from Dockerfile commands.

The machine's own CA bundle is there for RUN steps, since a proxy that opens TLS is common. It is mounted below
``/dev``, which is never part of an image, and named by build arguments, which are not either. Secrets that a build
gets as environment variables come from a file mounted in the same way.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from localmodal.engine import dockerfile
from localmodal.engine.dockerfile import Instruction, Stage
from localmodal.engine.images import BaseImages, Log
from localmodal.engine.podman import Podman, image_store
from localmodal.errors import InvalidArgument, LocalModalError

_CA_INSIDE = "/dev/localmodal-ca.crt"
_ENV_INSIDE = "/dev/localmodal-env"
_CA_VARIABLES = (
    *("SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "PIP_CERT"),
    *("NODE_EXTRA_CA_CERTS", "npm_config_cafile", "GIT_SSL_CAINFO"),
)
# Whether a step need not be done again is decided by its text: what it made of a secret is for its own home alone.
_HOME_VARIABLE = "LOCALMODAL_TAG"
_CA_BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")
_FROM = re.compile(r"(\S+)(?:\s+AS\s+(\S+))?$", re.IGNORECASE)
_SHELLS = ("sh", "bash", "dash", "ash", "ksh", "zsh")
_LOAD_ENV = f". {_ENV_INSIDE}; "
_STEP = re.compile(r"(?:\[(\d+)/\d+\] )?STEP (\d+)/\d+: (.*)")
_TAIL_LINES = 15
_CHUNK = 1 << 16
_SHORTEST_MASK = 4


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
        # Held from the look-up of the base on: it must be there until something stands on it.
        async with image_store():
            await self._build(build, log)

    async def _build(self, build: Build, log: Log) -> None:
        instructions, files = await self._translate(build, log)
        with tempfile.TemporaryDirectory(prefix="localmodal-build-") as name:
            folder = Path(name)
            context = folder / "context"
            context.mkdir()
            await asyncio.to_thread(_fill, context, build.context, build.files)
            heredocs = folder / "heredocs"
            await asyncio.to_thread(_fill, heredocs, {}, files)
            arguments = ["--build-context", f"{dockerfile.HEREDOCS}={heredocs}"] if files else []
            arguments += ["--file", str(folder / "Dockerfile"), *self._mounts(folder, build)]
            (folder / "Dockerfile").write_text("".join(f"{instruction}\n" for instruction in instructions))
            await self._run(build, [*arguments, str(context)], _Steps(instructions, _arguments(build)), log)

    async def _translate(self, build: Build, log: Log) -> tuple[list[Instruction], dict[str, bytes]]:
        """The instructions with each base named as podman knows it, here-documents as files of their own context."""
        names = {dockerfile.HEREDOCS}
        outside = dict.fromkeys(("BUILDPLATFORM", "TARGETPLATFORM"), "linux/amd64")
        before_from = True
        stage = Stage()
        done: list[Instruction] = []
        files: dict[str, bytes] = {}
        for instruction in dockerfile.parse(build.commands):
            dockerfile.follow(stage, instruction, build.build_args, outside)
            if instruction.keyword == "FROM":
                before_from = False
                done.append(await self._with_base(instruction, build, outside, names, log))
                done += _arguments(build)
                continue
            if before_from:
                outside |= stage.variables
            plain, more = dockerfile.without_heredocs(instruction, stage)
            files |= more
            done += [await self._prepared(one, stage, build, names, log) for one in plain]
        return done, files

    async def _with_base(
        self, instruction: Instruction, build: Build, arguments: Mapping[str, str], names: set[str], log: Log
    ) -> Instruction:
        source = _FROM.match(instruction.text)
        if source is None:
            return instruction
        ref = await self._image(dockerfile.expand(source[1], arguments), build, names, log)
        if source[2]:
            names.add(source[2].lower())
        flags = tuple(dockerfile.expand(flag, arguments) for flag in instruction.flags)
        return replace(instruction, flags=flags, text=f"{ref} AS {source[2]}" if source[2] else ref)

    async def _image(self, name: str, build: Build, names: set[str], log: Log) -> str:
        """What podman calls an image; the name or number of a stage stays as it is."""
        if name.lower() in names or name.isdecimal():
            return name
        return build.bases.get(name) or await self._bases.resolve(name, log)

    async def _prepared(
        self, instruction: Instruction, stage: Stage, build: Build, names: set[str], log: Log
    ) -> Instruction:
        """The instruction with other images as podman knows them, and with the secrets' variables where it runs."""
        source = instruction.flag("from")
        if instruction.keyword == "COPY" and source:
            others = (flag for flag in instruction.flags if not flag.startswith("--from="))
            return replace(instruction, flags=(f"--from={await self._image(source, build, names, log)}", *others))
        if instruction.keyword == "RUN" and build.secrets:
            return _with_env(instruction, stage)
        return instruction

    def _mounts(self, folder: Path, build: Build) -> list[str]:
        arguments: list[str] = []
        bundle = _ca_bundle()
        if bundle:
            arguments += ["--volume", f"{bundle}:{_CA_INSIDE}:ro"]
            for name in _CA_VARIABLES:
                arguments += ["--build-arg", f"{name}={_CA_INSIDE}"]
        if build.secrets:
            arguments += ["--build-arg", f"{_HOME_VARIABLE}={self._podman.tag}"]
            private = folder / "secrets"
            private.mkdir(mode=0o700)
            lines = "".join(f"export {key}={shlex.quote(value)}\n" for key, value in build.secrets.items())
            environment = _private(private / "env", lines)
            # Whatever user a step runs as gets its variables; on this machine the folder keeps others out.
            environment.chmod(0o644)
            arguments += ["--volume", f"{environment}:{_ENV_INSIDE}:ro"]
            for number, (key, value) in enumerate(build.secrets.items()):
                arguments += ["--secret", f"id={key},src={_private(private / str(number), value)}"]
        for key, value in build.build_args.items():
            arguments += ["--build-arg", f"{key}={value}"]
        return arguments

    async def _run(self, build: Build, arguments: list[str], steps: _Steps, log: Log) -> None:
        # The other format knows no SHELL.
        options = ["--format", "docker", "--layers", "--network", "host"]
        options += ["--tag", build.tag]
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
            async for line in _lines(process.stdout, _masks(build.secrets)):
                started = _STEP.match(line)
                if started is None:
                    log(line)
                    tail = [*tail[-_TAIL_LINES:], line.rstrip("\n")]
                elif number := steps.number(int(started[1] or 1), int(started[2])):
                    log(f"STEP {number}: {started[3]}\n")
                    step, tail = f"{number.replace('/', ' of ')}: {started[3]}", []
            code = await process.wait()
        except asyncio.CancelledError:
            process.terminate()
            await process.wait()
            raise
        if code:
            reason = "\n".join(line for line in tail if line.strip())
            raise BuildFailed(f"step {step or '1'} failed:\n{reason}" if step else reason)


def _arguments(build: Build) -> list[Instruction]:
    """The build arguments that each stage gets from us."""
    names = [*(_CA_VARIABLES if _ca_bundle() else ()), *([_HOME_VARIABLE] if build.secrets else ())]
    return [Instruction("ARG", (), " ".join(names))] if names else []


class _Steps:
    """Numbers steps as the Dockerfile has them: those that were added here do not count."""

    def __init__(self, instructions: Sequence[Instruction], added: Sequence[Instruction]) -> None:
        self._numbers: dict[tuple[int, int], int] = {}
        stage = step = self._total = 0
        for instruction in instructions:
            stage, step = (stage + 1, 1) if instruction.keyword == "FROM" else (stage, step + 1)
            if stage and instruction not in added:
                self._total += 1
                self._numbers[stage, step] = self._total

    def number(self, stage: int, step: int) -> str:
        """``3/7`` for a step of a stage, empty for one that was added."""
        found = self._numbers.get((stage, step))
        return f"{found}/{self._total}" if found else ""


async def _lines(stream: asyncio.StreamReader, masks: Sequence[str]) -> AsyncIterator[str]:
    """What a build writes as people are to see it, by lines as they end; one without an end is not held back long."""
    rest = b""
    while chunk := await stream.read(_CHUNK):
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield _shown(f"{line.decode(errors='replace')}\n", masks)
        if len(rest) > _CHUNK:
            yield _shown(rest.decode(errors="replace"), masks)
            rest = b""
    if rest:
        yield _shown(rest.decode(errors="replace"), masks)


def _masks(secrets: Mapping[str, str]) -> list[str]:
    """What must not be seen: each line of each value, the longest first."""
    return sorted(
        {line for value in secrets.values() for line in value.splitlines() if len(line) >= _SHORTEST_MASK}, key=len
    )[::-1]


def _shown(text: str, masks: Sequence[str]) -> str:
    text = text.replace(_LOAD_ENV, "")
    for mask in masks:
        text = text.replace(mask, "***")
    return text


def _with_env(instruction: Instruction, stage: Stage) -> Instruction:
    words = instruction.words()
    if words is None and Path(stage.shell[0]).name in _SHELLS:
        return replace(instruction, text=f"{_LOAD_ENV}{instruction.text}")
    words = words or [*stage.shell, instruction.text]
    return replace(instruction, text=json.dumps(["/bin/sh", "-c", f'{_LOAD_ENV}exec "$@"', "sh", *words]))


def _fill(context: Path, sources: Mapping[str, tuple[Path, int]], files: Mapping[str, bytes]) -> None:
    for path, data in files.items():
        _below(context, path).write_bytes(data)
    for path, (source, mode) in sources.items():
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
