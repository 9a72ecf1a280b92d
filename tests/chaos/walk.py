"""What is the same in every test that cuts mngr off: where it is cut, and what must be so afterwards."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.conftest import BIN, User, clean_env

KILLED = Path(__file__).with_name("killed.py")
NOTE = "echo precious >note; sync"


@dataclass
class Walk:
    """Cuts a command off at one step after another. `every` leaves steps out, to be quicker."""

    user: User
    every: int = 1
    _at: int = field(default=0)

    def steps(self) -> Iterator[int]:
        """Numbers of steps, until a command has come to its end before the last one."""
        self._done = False
        step = 1
        while not self._done:
            yield step
            step += self.every
        assert step > self.every, "the command was never cut off"

    def cut(self, step: int, *args: str) -> bool:
        """Runs mngr up to a step, in turn just before and just after it; whether it was cut off."""
        moment = "after" if step // self.every % 2 else "before"
        command = [str(BIN / "python"), str(KILLED), str(step), moment, *args]
        env = clean_env(self.user.env)
        done = subprocess.run(command, cwd=self.user.project, env=env, capture_output=True, timeout=240)
        assert done.returncode in (0, -9), (step, args, done.stderr[-2000:])
        self._done = done.returncode == 0
        return not self._done


def settled(user: User) -> dict[str, dict[str, object]]:
    """Agents after `mngr gc`: as many sandboxes run as records say, these are true, and nothing more is to be done."""
    user.mngr("gc")
    again = json.loads(user.text("gc", "--format", "json"))["actions"]
    assert again == [], again
    agents = user.listed()
    hosts = {agent["host"]["id"]: agent["host"] for agent in agents.values()}  # type: ignore[index]
    states = {host["state"] for host in hosts.values()}
    assert states <= {"RUNNING", "STOPPED", "FAILED", "PAUSED", "CRASHED"}, hosts
    running = [host for host in hosts.values() if host["state"] == "RUNNING"]
    assert user.running_sandboxes() == len(running), hosts
    return agents
