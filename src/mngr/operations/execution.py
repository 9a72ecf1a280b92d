"""Runs commands where agents are."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mngr.errors import MngrError, NotRunning
from mngr.hosts import commands, ssh
from mngr.hosts.commands import Manner
from mngr.models import Agent
from mngr.operations import finding
from mngr.providers.base import Progress

_AT_ONCE = 32
Line = Callable[[str, bytes, bool], None]
"""Told a line that a command wrote: the agent's name, the line, whether it went to the error output."""


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended where one of several agents is: its exit code, or why it did not run."""

    name: str
    exit_code: int | None = None
    error: MngrError | None = None


def execute(name: str, words: Sequence[str], progress: Progress, manner: Manner = Manner()) -> int:  # noqa: B008
    """Runs a command in an agent's environment, with our own input and outputs; its exit code."""
    target, agent = reach(name, progress)
    line = commands.line(agent, ssh.command_line(words), manner)
    return ssh.stream(target, line, terminal=manner.terminal)


def execute_all(
    names: Sequence[str], words: Sequence[str], progress: Progress, manner: Manner, told: Line
) -> list[Ran]:
    """Runs a command at several agents at the same time, without input; each line goes to `told` as it comes."""

    def one(name: str) -> Ran:
        try:
            target, agent = reach(name, progress)
            line = commands.line(agent, ssh.command_line(words), manner)
            return Ran(agent.name, _follow(ssh.argv(target, remote=line), agent.name, told))
        except MngrError as error:
            return Ran(name, error=error)

    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(one, dict.fromkeys(names)))


def _follow(argv: Sequence[str], name: str, told: Line) -> int:
    from concurrent.futures import ThreadPoolExecutor

    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with process, ThreadPoolExecutor(1) as pool:
        assert process.stdout is not None and process.stderr is not None  # noqa: S101 (both are pipes)
        stderr = process.stderr

        def errors() -> None:
            for line in stderr:
                told(name, line, True)

        reading = pool.submit(errors)
        for line in process.stdout:
            told(name, line, False)
        reading.result()
    return process.returncode


def reach(name: str, progress: Progress) -> tuple[ssh.Target, Agent]:
    """As `finding.reach`; a host that is to outlive its sandboxes goes on first when its last has ended."""
    try:
        return finding.reach(name)
    except NotRunning:
        from mngr.operations.keeper import go_on, wants_to_go_on

        host, _agent = finding.find(name)
        if not wants_to_go_on(host):
            raise
        go_on(host, progress)
        return finding.reach(name)
