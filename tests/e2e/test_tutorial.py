"""A user's day: every command of docs/tutorial.md as it stands there, by a person whose agents are stand-ins."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.conftest import BIN, LocalModalServer, User, clean_env

_PAGE = Path(__file__).parents[2] / "docs" / "tutorial.md"
_SECTIONS = {
    heading: [line.removeprefix("$ ") for line in text.splitlines() if line.startswith("$ ")]
    for heading, text in re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", _PAGE.read_text(), flags=re.MULTILINE | re.DOTALL)
}
_LEFT = """
import modal, sys
app, *snapshots = sys.argv[1:]
assert not list(modal.Sandbox.list(app_id=modal.App.lookup(app).app_id))
assert [one.name for one in modal.Volume.objects.list() if one.name.startswith(app)] == [app]
left = modal.Volume.from_name(app).listdir('/', recursive=True)
assert not [entry.path for entry in left if entry.type.name == 'FILE'], left
for snapshot in snapshots:
    try:
        modal.Sandbox.create('true', app=modal.App.lookup(app), image=modal.Image.from_id(snapshot))
    except modal.exception.NotFoundError:
        continue
    raise AssertionError(snapshot)
"""


@dataclass
class Day:
    """Somebody who types the page, a section at a time."""

    user: User
    person: Path

    def section(self) -> Iterator[list[str]]:
        """Types the commands of the next section, and gives what each printed."""
        for commands in _SECTIONS.values():
            yield [self._type(command) for command in commands]

    def _type(self, command: str) -> str:
        env = clean_env(self.user.env | {"HOME": str(self.person), "GIT_PAGER": "cat"})
        done = subprocess.run(
            ["sh", "-c", command],
            cwd=self.user.project,
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=240,
        )
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        return done.stdout


def _states(listing: str) -> dict[str, str]:
    """Name and state of the rows of a list."""
    return {row.split()[0]: row.split()[1] for row in listing.splitlines()[1:]}


def _works(user: User, agent: str, file: str) -> None:
    """What an agent does when it is told to: a commit."""
    user.mngr("exec", agent, f"echo by {agent} >>{file}; git add {file}; git commit -qm 'The work of {agent}: {file}'")


def test_a_day(talker: User, localmodal_server: LocalModalServer, tmp_path: Path) -> None:
    user = talker
    user.env["MNGR__DEFAULT_AGENT_TYPE"] = "stand-in"
    person = tmp_path / "person"
    person.mkdir()
    (person / ".mngr").symlink_to(user.home)
    user.git("config", "user.name", "Ada")
    user.git("config", "user.email", "ada@example.com")
    (user.project / "TODO.md").write_text("not committed\n")
    sections = Day(user, person).section()

    # Three agents
    *_, listing = next(sections)
    assert _states(listing) == {"ann": "RUNNING", "bob": "WAITING", "cid": "WAITING"}
    hosts: dict[str, Any] = {name: agent["host"] for name, agent in user.listed().items()}
    assert hosts["ann"]["id"] == hosts["bob"]["id"] != hosts["cid"]["id"]
    assert user.running_sandboxes() == 2
    assert user.text("exec", "bob", "git branch --show-current; cat TODO.md") == "mngr/bob\nnot committed\n"

    # Tell them what to do, and look at them
    *_, busy, screen, _, _, said = next(sections)
    assert _states(busy) == {"ann": "RUNNING", "bob": "BLOCKED", "cid": "RUNNING"}
    assert "Do you want to run this?" in screen
    question = "pytest which tests fail, and fix them"
    assert said == f"user: ask {question}\n\nassistant: did {question}\n"
    assert user.listed()["bob"]["state"] == "WAITING"

    # Get their work
    for name, file in (("ann", "parser"), ("cid", "README.md")):
        _works(user, name, file)
        user.mngr("exec", name, f"touch ~/.stand-in/{name}/go")
    _, log, diff, *_ = next(sections)
    assert "The work of ann: parser" in log
    assert "+by cid" in diff
    # That came from here.
    assert "TODO.md" not in diff
    assert (user.project / "parser").read_text() == "by ann\n"
    assert (user.project / "README.md").read_text() == "hello\nby cid\n"
    assert (user.project / "TODO.md").read_text() == "not committed\n"

    # Go home
    *_, listing = next(sections)
    assert set(_states(listing).values()) == {"STOPPED"}
    assert user.running_sandboxes() == 0

    # The next morning
    _, remembered, transcript, _, _, listing = next(sections)
    assert _states(remembered) == {"ann": "STOPPED", "bob": "STOPPED", "cid": "STOPPED"}
    assert transcript == "user: work through TODO.md, and commit\n\nassistant: done\n"
    assert _states(listing) == {"ann": "STOPPED", "bob": "STOPPED", "cid": "WAITING"}
    assert user.running_sandboxes() == 1

    # Finish
    snapshots = {one["id"] for agent in user.listed().values() for one in agent["host"]["snapshots"]}  # type: ignore[index]
    assert len(snapshots) >= 2
    _works(user, "cid", "README.md")
    *_, listing = next(sections)
    assert next(sections, None) is None
    assert _states(listing) == {}
    assert (user.project / "README.md").read_text() == "hello\nby cid\nby cid\n"

    app = (user.home / "settings.toml").read_text().split('"')[1]
    left = subprocess.run(
        [str(BIN / "python"), "-c", _LEFT, app, *snapshots],
        env=clean_env(localmodal_server.env),
        capture_output=True,
        text=True,
    )
    assert left.returncode == 0, left.stderr
    of_hosts = [path for path in (user.home / "hosts").rglob("*") if path.is_file()]
    of_hosts += [path for path in user.home.rglob("*") if path.is_file() and b"PRIVATE KEY" in path.read_bytes()]
    assert of_hosts == []
    assert json.loads(user.text("gc", "--format", "json"))["actions"] == []
