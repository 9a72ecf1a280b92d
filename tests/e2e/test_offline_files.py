"""Files of the data directory of a host that does not run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import User

FILES = """
cd $MNGR_AGENT_STATE_DIR && mkdir -p data/deep 'data/with space' && cd data
echo one >one; echo two >deep/two; echo three >'with space/th*ree'; : >empty; seq 2000000 >large; ln -s one link
"""


@pytest.fixture
def stopped(user: User) -> User:
    """A user whose host `off` is stopped and has files of its agent's on its volume."""
    user.mngr("create", "off", "--", "sleep 1000")
    user.mngr("exec", "off", FILES)
    user.mngr("stop", "off")
    return user


def contents(folder: Path) -> dict[str, bytes]:
    return {
        f"{path.relative_to(folder)}": path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink()
    }


def test_the_data_directory_is_pulled_from_the_volume(stopped: User) -> None:
    user, here = stopped, stopped.project
    data = f"/mngr/agents/{user.listed()['off']['id']}/data"
    done = user.mngr("pull", "off", data)
    assert done.stdout == b"5 files copied\n"
    assert b"mngr: off is STOPPED; this is all that it wrote until its end" in done.stderr
    found = contents(here / "data")
    assert found.keys() == {"one", "deep/two", "with space/th*ree", "empty", "large"}
    assert (found["one"], found["with space/th*ree"], found["empty"]) == (b"one\n", b"three\n", b"")
    assert found["large"] == b"".join(b"%d\n" % number for number in range(1, 2_000_001))
    # As on the host, nobody else can read it.
    assert {(here / "data" / name).stat().st_mode & 0o777 for name in found} == {0o600}
    assert (here / "data").stat().st_mode & 0o777 == 0o700
    # What is there already is not read again; what was changed here is.
    (here / "data" / "one").write_text("changed here\n")
    again = json.loads(user.text("pull", "off", data, "--format", "json"))["copied"]
    assert [change["path"] for change in again["changes"] if change["kind"] == "send"] == ["one"]
    assert "until its end" in again["note"]
    assert (here / "data" / "one").read_text() == "one\n"

    # The address in one word, a file, another name, and the whole of it.
    user.mngr("pull", f"off:{data}/deep/two", "renamed")
    assert (here / "renamed").read_text() == "two\n"
    assert b"takes one more argument" in user.mngr("pull", "off:/mngr/logs", "one", "two", check=2).stderr
    user.mngr("pull", "off:/mngr")
    assert contents(here / "mngr" / data.removeprefix("/mngr/")) == found
    assert json.loads((here / "mngr" / "status.json").read_text())["ended"] is True
    host = user.listed()["off"]["host"]["id"]  # type: ignore[index]
    user.mngr("pull", host, "logs", "of-host")
    assert "Accepted publickey" in (here / "of-host" / "sshd.log").read_text()
    user.mngr("file", "get", "off", data, "got")
    assert contents(here / "got") == found
    assert (here / "got" / "one").stat().st_mode & 0o777 == 0o600

    # The options are those of any copy.
    dry = user.text("pull", "off", data, "dry", "--dry-run", "--exclude", "large")
    assert "'deep/two'" in dry and dry.endswith("4 files would be copied\n")
    assert not (here / "dry").exists()
    (here / "data" / "mine").write_text("only here\n")
    assert b"--force" in user.mngr("pull", "off", data, "--delete", check=2).stderr
    assert (here / "data" / "mine").exists()
    assert user.text("pull", "off", data, "--delete", "--force") == "0 files copied, 1 deleted\n"
    assert contents(here / "data") == found
    user.mngr("rsync", f"off:{data}/deep", f"off:{data}/one", "apart")
    assert contents(here / "apart") == {"deep/two": b"two\n", "one": b"one\n"}
    user.mngr("rsync", f"off:{data}/", "inside")
    assert contents(here / "inside") == found

    # What is on the disk of the host needs it.
    for words in (["pull", "off"], ["pull", "off", "README.md"], ["file", "cat", "off", "/etc/hostname"]):
        refused = user.mngr(*words, check=1).stderr.decode()
        assert "is STOPPED; its newest snapshot holds it; start it with: mngr start off" in refused
    assert b"there is no such file" in user.mngr("pull", "off", "/mngr/nothing", check=2).stderr
    user.mngr("start", "off")
    user.mngr("pull", "off", data, "live")
    assert contents(here / "live") == found
    user.mngr("pull", "off", "README.md", "of-work")
    assert (here / "of-work").read_text() == "hello\n"


def test_any_machine_of_the_account_reads_what_a_host_left(stopped: User, tmp_path: Path) -> None:
    user, other = stopped, stopped.elsewhere(tmp_path / "another")
    for words in (["logs", "off", "--source", "all"], ["events", "off"], ["file", "ls", "off", "/mngr"]):
        assert other.text(*words) == user.text(*words) != ""
    other.mngr("pull", "off", "/mngr/logs", "elsewhere")
    assert "Accepted publickey" in (user.project / "elsewhere" / "sshd.log").read_text()

    # A destroyed host keeps its volume on request.
    user.mngr("destroy", "off", "--force", "--keep-volume")
    user.mngr("pull", "off", "/mngr/logs", "kept")
    assert "Accepted publickey" in (user.project / "kept" / "sshd.log").read_text()
    assert b"which is DESTROYED; only its volume, /mngr, can be read" in user.mngr("pull", "off", check=1).stderr
    user.mngr("volume", "destroy", "off", "--force")
