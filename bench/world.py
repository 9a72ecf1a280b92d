"""A localmodal, a state folder and a project of the bench's own, and programs that are run and measured in it."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BIN = Path(sys.executable).parent
_SETTINGS = """[providers.modal]
default_timeout = "6h"
default_idle_mode = "disabled"
"""


@dataclass(frozen=True)
class Run:
    """One run of a program: seconds of wall time and of processor time, the peak of its memory in MiB, and what it
    printed."""

    wall_s: float
    cpu_s: float
    peak_mib: float
    stdout: str
    stderr: str


class Failed(Exception):
    """A program that is measured ended with another code than 0."""


@dataclass(frozen=True)
class World:
    """Where everything of one bench is."""

    folder: Path

    @property
    def home(self) -> Path:
        return self.folder / "mngr"

    @property
    def project(self) -> Path:
        return self.folder / "project"

    @property
    def env(self) -> dict[str, str]:
        plain = {name: value for name, value in os.environ.items() if not name.startswith("MODAL_")}
        return plain | {
            "PATH": f"{BIN}:{os.environ['PATH']}",
            "MNGR_HOME": str(self.home),
            "LOCALMODAL_HOME": str(self.folder / "localmodal"),
            "MODAL_CONFIG_PATH": "/nonexistent",
        }

    def run(self, *command: str, **extra: str) -> Run:
        """Runs a program and measures it, from its start to its end. Raises `Failed`."""
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            begun = time.perf_counter()
            process = subprocess.Popen(
                [str(BIN / command[0]), *command[1:]],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env=self.env | extra,
                cwd=self.project,
            )
            _pid, status, used = os.wait4(process.pid, 0)
            wall_s = time.perf_counter() - begun
            process.returncode = os.waitstatus_to_exitcode(status)
            out.seek(0)
            err.seek(0)
            stdout, stderr = out.read().decode(errors="replace"), err.read().decode(errors="replace")
        if process.returncode:
            raise Failed(f"{' '.join(command)[:200]} ended with {process.returncode}: {stderr[-400:]}")
        return Run(wall_s, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, stdout, stderr)

    def mngr(self, *args: str, **extra: str) -> Run:
        return self.run("mngr", *args, **extra)

    def bare(self, *args: str) -> Run:
        """Runs the lines of `bare.py`, which use the SDK alone."""
        env = json.loads(self.run("localmodal", "env", "--format", "json").stdout)
        return self.run("python", str(Path(__file__).with_name("bare.py")), *args, **env)

    def at(self, latency_ms: int) -> None:
        """Puts the server at a distance."""
        if latency_ms:
            self.run("localmodal", "faults", "set", "--latency", f"{latency_ms}ms")
        else:
            self.run("localmodal", "faults", "clear")

    def account(self, *args: str) -> dict[str, Any]:
        """What a command says of itself with ``--profile``."""
        at = 2 if args[0] == "snapshot" else 1
        said = self.mngr(*args[:at], "--profile", "--format", "json", *args[at:]).stderr.strip().splitlines()
        value: dict[str, Any] = json.loads(said[-1])["profile"]
        return value

    def hosts(self) -> dict[str, dict[str, Any]]:
        """The hosts of all agents, by the agent's name."""
        agents = json.loads(self.mngr("list", "--format", "json").stdout)["agents"]
        return {agent["name"]: agent["host"] for agent in agents}


@contextlib.contextmanager
def made() -> Iterator[World]:
    """A world with a running server and a small repository; all of it is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="mngr-bench-") as folder:
        world = World(Path(folder))
        world.home.mkdir(mode=0o700)
        world.project.mkdir()
        (world.home / "settings.toml").write_text(_SETTINGS)
        (world.project / "README.md").write_text("# measured\n")
        for command in ("init --quiet", "add .", "-c user.name=a -c user.email=a@example.com commit --quiet -m first"):
            subprocess.run(["git", *command.split()], cwd=world.project, check=True)
        world.run("localmodal", "up")
        try:
            yield world
        finally:
            for args in (("faults", "clear"), ("down", "--all"), ("purge", "--force")):
                try:
                    world.run("localmodal", *args)
                except Failed as error:
                    print(f"cleaning up: {error}", file=sys.stderr)
