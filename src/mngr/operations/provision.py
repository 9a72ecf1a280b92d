"""What an agent gets beside its project: variables, the user's settings and files, commands that prepare the host."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mngr.agents.types import AgentType
from mngr.errors import UsageError
from mngr.hosts import agents, ssh, upload
from mngr.hosts.ssh import Target
from mngr.hosts.upload import Upload
from mngr.models import Agent
from mngr.providers.base import Progress

_PREPARE_S = 3600.0
_HOME = '"$HOME"'


@dataclass(frozen=True, slots=True)
class Extras:
    """What was asked for, as it was written: ``K=V``, files of such lines, names of variables, ``LOCAL:REMOTE``."""

    env: tuple[str, ...] = ()
    env_files: tuple[Path, ...] = ()
    pass_env: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    uploads: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    share_credentials: bool = False


@dataclass(frozen=True, slots=True)
class Provisions:
    """What to bring, all checked. `env` holds secrets: it is in no record, log or command line."""

    env: Mapping[str, str] = field(repr=False)
    labels: dict[str, str]
    home: tuple[Upload, ...]
    uploads: tuple[Upload, ...]
    commands: tuple[str, ...]


def plan(extras: Extras, kind: AgentType, work_dir: str, environment: Mapping[str, str]) -> Provisions:
    """Reads and checks what was asked for; makes nothing. Raises `UsageError` with all problems, a line each.

    Variables, lowest first: those of the type, those that it forwards from `environment`, files, names, pairs.
    """
    problems: list[str] = []
    env = dict(kind.env)
    env |= {name: environment[name] for name in kind.forwards if environment.get(name)}
    for path in extras.env_files:
        env |= _read_file(path, problems)
    for name in extras.pass_env:
        if name in environment:
            env[name] = environment[name]
        else:
            problems.append(f"--pass-env {name}: there is no such variable in the environment")
    env |= dict(_pair("--env", text, problems) for text in extras.env)
    labels = dict(_pair("--label", text, problems) for text in extras.labels)
    uploads = tuple(_upload(text, work_dir, problems) for text in extras.uploads)
    if problems:
        raise UsageError("\n".join(problems))
    mine = (*kind.settings, *(kind.credentials if extras.share_credentials else ()))
    home = tuple(Upload(Path.home() / path, path) for path in mine if (Path.home() / path).exists())
    return Provisions(env, labels, home, uploads, extras.commands)


def _pair(option: str, text: str, problems: list[str]) -> tuple[str, str]:
    """Names the option and the key only: the value may be a secret."""
    name, found, value = text.partition("=")
    if not found or not name.strip():
        problems.append(f"{option} {name or text}: must be KEY=VALUE")
    elif option != "--label" and not name.isidentifier():
        problems.append(f"{option} {name}=…: {name!r} can not be the name of a variable")
    return name, value


def _read_file(path: Path, problems: list[str]) -> dict[str, str]:
    """Lines ``KEY=VALUE``; quotes around a value are taken off; empty lines and comments are skipped."""
    found: dict[str, str] = {}
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        problems.append(f"--env-file {path}: {getattr(error, 'strerror', None) or 'is no text'}")
        return found
    for number, line in enumerate(lines, start=1):
        text = line.strip().removeprefix("export ").strip()
        if not text or text.startswith("#"):
            continue
        name, equals, value = text.partition("=")
        if not equals or not name.isidentifier():
            problems.append(f"--env-file {path}, line {number}: must be KEY=VALUE")
            continue
        quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
        found[name] = value[1:-1] if quoted else value
    return found


def _upload(text: str, work_dir: str, problems: list[str]) -> Upload:
    local, found, remote = text.rpartition(":")
    source = Path(local).expanduser()
    if not found or not local or not remote:
        problems.append(f"--upload-file {text}: must be LOCAL:REMOTE")
    elif not source.exists():
        problems.append(f"--upload-file {text}: there is no {source}")
    path = remote if remote.startswith("/") else f"{work_dir}/{remote}"
    if path.endswith("/"):
        path += source.name
    return Upload(source, path.lstrip("/"))


def install(target: Target, kind: AgentType, progress: Progress) -> None:
    """Installs on a host that runs what an image would have had for a type. What is there already stays.

    Raises `HostCommandFailed`.
    """
    for line in kind.image_lines():
        progress(f"installing {kind.name}, where it is not there")
        ssh.run(target, f". {agents.ENVIRONMENT}; {line}", what=f"installing {kind.name}", timeout_s=_PREPARE_S)


def carry_out(target: Target, agent: Agent, kind: AgentType, provisions: Provisions) -> None:
    """Brings everything to the host, before the agent starts. A second call does the same again.

    Raises `HostCommandFailed`, with the end of what a command wrote.
    """
    files = [Upload(text.encode(), name) for name, text in kind.state_files().items()]
    upload.send(target, agents.state_dir(agent), files, what="preparing the agent's folder")
    upload.send(target, _HOME, provisions.home, what=f"copying your settings of {kind.name}")
    upload.send(target, "/", provisions.uploads, what="uploading files")
    exports = agents.exports(agent, provisions.env).encode()
    for command in provisions.commands:
        script = (
            f'values=$(cat); . {agents.ENVIRONMENT}; eval "$values"; unset values; '
            f"cd {shlex.quote(agent.work_dir)} && sh -c {shlex.quote(command)} </dev/null"
        )
        ssh.run(target, script, what=f"--extra-provision-command {command!r}", stdin=exports, timeout_s=_PREPARE_S)
