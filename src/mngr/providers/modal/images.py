"""What goes on top of the image that a user names: the programs that mngr needs, and its own scripts."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence

from mngr import resources
from mngr.hosts.agents import SCRIPTS
from mngr.providers.modal.options import Options
from mngr.providers.modal.requests import ImageRequest

_AGENT_SCRIPTS = (
    *(
        "interactive-shell.sh",
        "interactive-shell.rc",
        "wait-agent.sh",
        "send-message.sh",
        "claude-hooks.json",
        "claude-hook.sh",
    ),
    *("claude-setup.sh", "codex-setup.sh", "gemini-setup.sh", "codex-notify.sh"),
)
_NPM = "install-npm.sh"
_SCRIPTS = (
    *("supervisor.sh", "watch.sh", "install-packages.sh", "start-agent.sh", "run-agent.sh", "stop-agents.sh"),
    *("remove-agent.sh", "adopt-agents.sh", "probe.sh"),
    *("log-lib.sh", "log-writer.sh", "log-times.sh", "read-log.sh", "event.sh", "sync.sh"),
)


def request(options: Options, environment: Mapping[str, str], install: Sequence[str] = ()) -> ImageRequest:
    """The image of a host. Secrets are taken from `environment`, the caller's own; `install` as `layer`."""
    return ImageRequest(
        base=options.image,
        commands=tuple(layer(install)),
        dockerfile=options.dockerfile,
        context_dir=options.context_dir,
        build_args=dict(pair.split("=", 1) for pair in options.docker_build_args),
        secrets={name: environment[name] for name in options.secrets},
    )


def layer(install: Sequence[str] = ()) -> list[str]:
    """Dockerfile commands that add what is missing, and then run each line of `install`.

    The scripts travel inside the command: one look-up on the server then tells whether the layer is there, where a
    build context would take three calls more.
    """
    packages = f"mkdir -p {SCRIPTS} && {_write('install-packages.sh')} && sh {SCRIPTS}/install-packages.sh"
    # Scripts that change often come last, so that what takes long to install stays.
    programs = [_named("what installs from npm", _write(_NPM)), *install] if install else []
    names = (*_SCRIPTS, *_AGENT_SCRIPTS, _NPM)
    rest = " && ".join(_write(name) for name in names if name != "install-packages.sh")
    # Root whatever the image's own user is: sshd and the packages need it. No shell of the image's SHELL, and no
    # program of its ENTRYPOINT before ours.
    steps = (_named("ssh, tmux, git and rsync", packages), *programs, _named("mngr's scripts", rest))
    return ["USER root", *map(_run, steps), "ENTRYPOINT []"]


def _named(what: str, script: str) -> str:
    """A comment in front, which a person sees while the step is done."""
    return f"# {what}\n{script}"


def _run(script: str) -> str:
    return f"RUN {json.dumps(['/bin/sh', '-c', script])}"


def _write(name: str) -> str:
    text = base64.b64encode(resources.read(name)).decode()
    return f"echo {text} | base64 -d >{SCRIPTS}/{name}"
