"""What a shell is told when somebody types TAB."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mngr.providers import known_names
from tests.conftest import BIN, clean_env, imported

_SCRIPT = Path(__file__).parents[2] / "scripts" / "completion.py"


def _record(home: Path, name: str, revision: int = 1, **fields: Any) -> Path:
    """A copy of a record, as commands leave them."""
    host_id = f"host-{name}"
    agents = [{"id": f"agent-{name}", "name": name, "type": "command", "command": "x", "work_dir": "/w"}]
    record = {"id": host_id, "name": name, "provider": "modal", "state": "RUNNING", "agents": agents} | fields
    path = home / "cache" / "records-modal" / f"{host_id}.{revision:06d}-0123456789ab.json"
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.write_text(json.dumps(record))
    return path


def _snapshot(image_id: str, created_at: float, name: str = "") -> dict[str, Any]:
    return {"id": image_id, "kind": "manual", "created_at": created_at, "name": name}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A machine that knows two hosts that run, one that does not, and one that is gone but for a snapshot."""
    made = tmp_path / "home"
    made.mkdir(mode=0o700)
    (made / "settings.toml").write_text('[providers.work]\napp = "work"\n')
    _record(made, "ann", snapshots=[_snapshot("im-1", 1.0), _snapshot("im-2", 2.0, "good")])
    _record(made, "anton")
    _record(made, "bob", state="STOPPED", snapshots=[_snapshot("im-3", 1.0, "bobs")])
    _record(made, "gone", state="DESTROYED", snapshots=[_snapshot("im-4", 1.0)])
    return made


def _asked(home: Path, line: str, shell: str = "bash", **extra: str) -> subprocess.CompletedProcess[str]:
    words = line.split(" ")
    told = {"COMP_WORDS": line, "COMP_CWORD": words[-1] if shell == "fish" else f"{len(words) - 1}"}
    env = clean_env({"MNGR_HOME": str(home), "_MNGR_COMPLETE": f"{shell}_complete", **told, **extra})
    return subprocess.run([str(BIN / "mngr")], env=env, capture_output=True, text=True, cwd=home)


def _words(home: Path, line: str) -> list[str]:
    return [one.split(",")[1] for one in _asked(home, line).stdout.split()]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("mngr exe", ["exec"]),
        ("mngr exec an", ["ann", "anton"]),
        ("mngr exec ann an", ["anton"]),
        ("mngr exec ann -- an", []),
        ("mngr stop ann@", ["ann@ann"]),
        ("mngr clone b", ["bob"]),
        ("mngr git diff a", ["ann", "anton"]),
        ("mngr snapshot de", ["destroy"]),
        ("mngr snapshot destroy ann --snapshot ", ["good", "im-1"]),
        ("mngr create new --snapshot ", ["good", "im-1", "bobs", "im-4"]),
        ("mngr start bob --snapshot b", ["bobs"]),
        ("mngr create --in ", ["work", "modal"]),
        ("mngr create new -b cpu", ["cpu=", "cpu-limit="]),
        ("mngr create new --idle-mode s", ["ssh", "start"]),
        ("mngr list --host=b", ["bob"]),
        ("mngr rsync an", ["ann:", "anton:"]),
        ("mngr start --sn", ["--snapshot"]),
        ("mngr start --pro", ["--profile"]),
        ("mngr -q exec an", ["ann", "anton"]),
        ("mngr completion f", ["fish"]),
        ("mngr nothing an", []),
        ("mngr exec --timeout an", []),
    ],
)
def test_words_go_on(home: Path, line: str, words: list[str]) -> None:
    assert _words(home, line) == words


def test_other_shells_are_told_more(home: Path) -> None:
    assert _asked(home, "mngr exec an", "zsh").stdout.split() == [
        "plain",
        "ann",
        "running",
        "plain",
        "anton",
        "running",
    ]
    shown = _asked(home, "mngr exec an", "fish").stdout.split()
    assert [one.partition("\t")[0].split(",")[:2] for one in shown if one.startswith("plain")] == [
        ["plain", "ann"],
        ["plain", "anton"],
    ]


def test_what_is_known_follows_the_copies_of_records(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MNGR_HOME", str(home))
    assert [one.name for one in known_names.read()] == ["ann", "anton", "bob"]
    kept = home / "cache" / "names"
    assert len(kept.read_text().splitlines()) == 4
    before = kept.stat().st_mtime_ns
    assert [one.state for one in known_names.read()] == ["RUNNING", "RUNNING", "STOPPED"]
    assert kept.stat().st_mtime_ns == before

    _record(home, "ann", 2, state="STOPPED")
    next((home / "cache" / "records-modal").glob("host-anton.*")).unlink()
    assert [(one.name, one.state) for one in known_names.read()] == [("ann", "STOPPED"), ("bob", "STOPPED")]

    # Somebody else's form, and a file that was cut off, are no error.
    _record(home, "odd").write_text('{"name": ')
    kept.write_text("what is this\n")
    assert [one.name for one in known_names.read()] == ["ann", "bob"]


def test_a_machine_that_knows_nothing_and_settings_that_are_wrong_have_no_answer(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    assert not _words(tmp_path, "mngr exec ")
    (tmp_path / "settings.toml").write_text("what = ")
    found = _asked(tmp_path, "mngr create --in ")
    assert (found.stdout, found.stderr) == ("", "")


def test_the_commands_are_not_imported(home: Path) -> None:
    names = _asked(home, "mngr exec an", PYTHONPROFILEIMPORTTIME="1")
    assert "ann" in names.stdout
    found = imported(names.stderr)
    expected = {
        "cli",
        "cli.app",
        "cli.completing",
        "cli.completion_shells",
        "cli.interrupts",
        "cli.leaving",
        "errors",
        "paths",
    }
    expected |= {"providers", "providers.known_names", "__main__"}
    assert {name for name in found if name.startswith("mngr.")} == {f"mngr.{name}" for name in expected}
    assert not found & {"msgspec", "modal", "rich", "asyncio", "subprocess", "tomllib", "concurrent.futures", "logging"}


def test_the_table_is_that_of_the_commands() -> None:
    subprocess.run([sys.executable, str(_SCRIPT), "--check"], check=True)


@pytest.fixture
def bash(home: Path, tmp_path: Path) -> Iterator[Callable[[str, str], None]]:
    """A person at a real bash who types, TAB too; what then stands on the screen is waited for."""
    tmux = ["tmux", "-S", str(tmp_path / "tmux"), "-f", "/dev/null"]
    env = clean_env({"MNGR_HOME": str(home), "TERM": "xterm", "PS1": "$ ", "HISTFILE": ""})
    start = [*tmux, "new-session", "-d", "-s", "main", "-x", "100", "-y", "20", "bash --norc --noprofile -i"]
    subprocess.run(start, check=True, env=env, cwd=home)

    def screen() -> str:
        return subprocess.run(
            [*tmux, "capture-pane", "-p", "-t", "main"], check=True, capture_output=True, text=True
        ).stdout

    def until(text: str) -> None:
        deadline = time.monotonic() + 60
        while text not in screen():
            assert time.monotonic() < deadline, f"{text!r} never came:\n{screen()}"

    def typed(keys: str, shown: str) -> None:
        subprocess.run([*tmux, "send-keys", "-t", "main", "C-u"], check=True)
        subprocess.run([*tmux, "send-keys", "-t", "main", "-l", keys], check=True)
        until(shown)

    typed('PS1="$ "; eval "$(mngr completion bash)"; complete -p mngr\r', "complete -o nosort -F _mngr_completion mngr")
    yield typed
    subprocess.run([*tmux, "kill-server"], check=True)


def test_bash_completes(bash: Callable[[str, str], None]) -> None:
    bash("mngr exec b\t#", "mngr exec bob #")
    bash("mngr start ann@a\t#", "mngr start ann@ann #")
    bash("mngr list --host=b\t#", "mngr list --host=bob #")
    bash("mngr create x -b off\t#", "mngr create x -b offline=#")
    bash("mngr capt\tant\t#", "mngr capture anton #")
    bash("mngr snapshot des\tbob --snapsh\tb\t#", "mngr snapshot destroy bob --snapshot bobs #")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_is_printed_in_both_ways(home: Path, shell: str) -> None:
    env = clean_env({"MNGR_HOME": str(home)})
    said = subprocess.run([str(BIN / "mngr"), "completion", shell], env=env, capture_output=True, text=True, check=True)
    own = subprocess.run(
        [str(BIN / "mngr")], env=env | {"_MNGR_COMPLETE": f"{shell}_source"}, capture_output=True, text=True
    )
    assert said.stdout == own.stdout
    assert "_MNGR_COMPLETE" in said.stdout
