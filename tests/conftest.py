"""What all tests share: one localmodal of the run's own, and `mngr` as a user runs it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

BIN = Path(sys.executable).parent
_MODAL_VARIABLES = ("MODAL_SERVER_URL", "MODAL_TOKEN_ID", "MODAL_TOKEN_SECRET", "MODAL_SANDBOX_V2")


def pytest_configure() -> None:
    """A shell has what it runs in the background ignore Ctrl-C, and all that is started from there."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@dataclass(frozen=True)
class LocalModalServer:
    """A running localmodal. `env` points a Modal SDK at it and says where its home is."""

    url: str
    home: Path
    env: dict[str, str]

    def run(self, *args: str) -> subprocess.CompletedProcess[str]:
        """Runs `localmodal` with this home."""
        return subprocess.run([str(BIN / "localmodal"), *args], capture_output=True, text=True, env=clean_env(self.env))


def clean_env(extra: dict[str, str]) -> dict[str, str]:
    """The environment of a person who has configured nothing, and `extra`."""
    values = {name: value for name, value in os.environ.items() if name not in _MODAL_VARIABLES}
    return values | {"PATH": f"{BIN}:{os.environ['PATH']}", "MODAL_CONFIG_PATH": "/nonexistent/modal.toml"} | extra


def imported(stderr: str) -> set[str]:
    """The modules that a Python imported which ran with PYTHONPROFILEIMPORTTIME."""
    lines = [line for line in stderr.splitlines() if line.startswith("import time:")]
    return {line.rsplit("|", 1)[1].strip() for line in lines[1:]}


@pytest.fixture(scope="session")
def localmodal_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalModalServer]:
    """A server with an empty home, removed with all that it made when the tests are over."""
    yield from serving(tmp_path_factory.mktemp("localmodal") / "home")


def serving(home: Path) -> Iterator[LocalModalServer]:
    """Runs a server while it is not asked for more."""
    env = clean_env({"LOCALMODAL_HOME": str(home)})
    command = str(BIN / "localmodal")
    subprocess.run([command, "up"], check=True, env=env, capture_output=True)
    try:
        shown = subprocess.run([command, "env", "--format", "json"], check=True, env=env, capture_output=True)
        values = json.loads(shown.stdout)
        yield LocalModalServer(values["MODAL_SERVER_URL"], home, {"LOCALMODAL_HOME": str(home), **values})
    finally:
        subprocess.run([command, "down", "--all"], env=env, check=True)
        subprocess.run([command, "purge", "--force"], env=env, check=True)


@dataclass
class User:
    """Somebody at a shell: a state folder and a project of their own."""

    home: Path
    project: Path
    env: dict[str, str] = field(default_factory=dict)

    def mngr(
        self, *args: str, stdin: bytes = b"", check: int | None = 0, timeout_s: float = 240, **extra: str
    ) -> subprocess.CompletedProcess[bytes]:
        """Runs `mngr`; `check` is the exit code that it must end with, None for any."""
        done = subprocess.run(
            [str(BIN / "mngr"), *args],
            input=stdin,
            capture_output=True,
            cwd=self.project,
            env=clean_env(self.env | extra),
            timeout=timeout_s,
        )
        if check is not None:
            assert done.returncode == check, (args, done.returncode, done.stdout[-2000:], done.stderr[-2000:])
        for word in (b"Traceback", b"was destroyed but", b"was never awaited", b"never retrieved"):
            assert word not in done.stderr, (args, done.stderr[-4000:])
        return done

    def text(self, *args: str, **extra: str) -> str:
        return self.mngr(*args, **extra).stdout.decode()

    def listed(self) -> dict[str, dict[str, object]]:
        """What `mngr list` says of each agent, by name."""
        return {agent["name"]: agent for agent in json.loads(self.text("list", "--format", "json"))["agents"]}

    def running_sandboxes(self) -> int:
        """How many sandboxes of this user's run, by the SDK's own account."""
        app = (self.home / "settings.toml").read_text().split('"')[1]
        code = "import modal, sys\nprint(len(list(modal.Sandbox.list(app_id=modal.App.lookup(sys.argv[1]).app_id))))"
        shown = subprocess.run(
            [str(BIN / "localmodal"), "env", "--format", "json"],
            env=clean_env(self.env),
            capture_output=True,
            check=True,
        )
        env = clean_env(json.loads(shown.stdout))
        counted = subprocess.run([str(BIN / "python"), "-c", code, app], env=env, capture_output=True, check=True)
        return int(counted.stdout)

    def elsewhere(self, home: Path) -> User:
        """The same person on another machine of the account, which has no more than the settings."""
        home.mkdir(mode=0o700)
        (home / "settings.toml").write_text((self.home / "settings.toml").read_text())
        return User(home, self.project, self.env | {"MNGR_HOME": str(home)})

    def git(self, *args: str) -> str:
        identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com"]
        done = subprocess.run(["git", *identity, *args], cwd=self.project, check=True, capture_output=True, text=True)
        return done.stdout


@pytest.fixture
def user(localmodal_server: LocalModalServer, tmp_path: Path) -> Iterator[User]:
    """A user with an empty home and a git repository with one commit, who meets nobody else's agents."""
    home, project = tmp_path / "mngr", tmp_path / "project"
    home.mkdir(mode=0o700)
    project.mkdir()
    app = f"test-{tmp_path.name}"[:60]
    (home / "settings.toml").write_text(f'[providers.modal]\napp = "{app}"\nstate_volume = "{app}"\n')
    someone = User(
        home,
        project,
        {
            "MNGR_HOME": str(home),
            "LOCALMODAL_HOME": str(localmodal_server.home),
            # Most tests are about hosts, and what runs there is any command.
            "MNGR__DEFAULT_AGENT_TYPE": "command",
        },
    )
    someone.git("init", "--quiet", "--initial-branch", "main")
    (project / "README.md").write_text("hello\n")
    someone.git("add", ".")
    someone.git("commit", "--quiet", "-m", "first commit")
    yield someone
    for name in someone.listed():
        someone.mngr("destroy", name, "--force")


def until(condition: Callable[[], object], *, within_s: float = 60) -> None:
    """Waits for what happens when nobody waits for it."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@dataclass
class Terminal:
    """A person's terminal: a tmux of the test's own, with a shell in it."""

    socket: Path
    env: dict[str, str]

    def tmux(self, *args: str) -> str:
        """Runs tmux; the first call starts its server, which takes the environment over."""
        command = ["tmux", "-S", str(self.socket), "-f", "/dev/null", *args]
        return subprocess.run(command, check=True, capture_output=True, text=True, env=self.env).stdout

    def type(self, *keys: str) -> None:
        """Types keys, by tmux's names for them."""
        self.tmux("send-keys", "-t", "main", *keys)

    def screen(self) -> str:
        return self.tmux("capture-pane", "-p", "-t", "main")

    def until(self, text: str, *, within_s: float = 60) -> None:
        """Looks at the screen until `text` is a line of it, or begins one."""
        deadline = time.monotonic() + within_s
        while not any(line.startswith(text) for line in self.screen().splitlines()):
            assert time.monotonic() < deadline, f"{text!r} never came:\n{self.screen()}"


@pytest.fixture
def terminal(user: User, tmp_path: Path) -> Iterator[Terminal]:
    """A terminal in which `user` sits, in the project's folder."""
    made = Terminal(tmp_path / "terminal", clean_env(user.env | {"TERM": "xterm"}))
    made.tmux("new-session", "-d", "-s", "main", "-x", "120", "-y", "40", "-c", str(user.project), "sh")
    # What is typed before the shell is there is shown before its prompt.
    until(lambda: made.screen().strip())
    yield made
    made.tmux("kill-server")
