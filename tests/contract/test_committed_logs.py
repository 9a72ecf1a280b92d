"""Logs on volumes, read to their end and on from there."""

from __future__ import annotations

import io
from pathlib import Path

import modal
import pytest

from mngr.config import ModalSettings
from mngr.hosts.host_dir import Where
from mngr.models import HostVolume
from mngr.operations.offline import HostFiles
from mngr.providers.modal.provider import ModalProvider

FIRST, SECOND = b"created\nstarted\nstopped\n", b"booted\n"
PATH = "events.jsonl"


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> HostFiles:
    monkeypatch.setenv("MNGR_HOME", str(tmp_path))
    name = f"logs-{tmp_path.name}"[:40]
    volume = HostVolume(name=name, version=2)
    modal.Volume.from_name(name, create_if_missing=True, version=2).hydrate()
    return HostFiles(ModalProvider("modal", ModalSettings(app=name, state_volume=f"{name}-state")), volume)


def _write(files: HostFiles, **contents: bytes) -> None:
    with modal.Volume.from_name(files.volume.name).batch_upload(force=True) as batch:
        for suffix, content in contents.items():
            batch.put_file(io.BytesIO(content), f"{PATH}.{suffix}" if suffix != "log" else PATH)


def test_nothing_is_read_twice_when_the_next_boot_has_begun(files: HostFiles) -> None:
    """The next boot's first words may be committed before it has written down anything else of itself."""
    _write(files, log=FIRST, boots=b"one 0\n")
    seen = files.log(PATH, Where())
    assert (seen.boot(), b"".join(seen.pieces)) == ("one", FIRST)

    _write(files, log=FIRST + SECOND, boots=b"one 0\ntwo %d\n" % len(FIRST))
    rest = files.log(PATH, Where(boot="one", place=len(FIRST)))
    assert (rest.boot(), rest.place, b"".join(rest.pieces)) == ("two", len(FIRST), SECOND)
    again = files.log(PATH, Where(boot=rest.boot(), place=len(FIRST + SECOND)))
    assert b"".join(again.pieces) == b""

    # One that did not commit what it wrote is read from where the next began.
    anew = files.log(PATH, Where(boot="one", place=len(FIRST + SECOND)))
    assert (anew.place, b"".join(anew.pieces)) == (len(FIRST), SECOND)


def test_a_boot_that_is_noted_before_its_first_words_does_not_count(files: HostFiles) -> None:
    _write(files, log=FIRST, boots=b"one 0\ntwo %d\n" % (len(FIRST) + 9))
    assert files.log(PATH, Where()).boot() == "one"
    _write(files, boots=b"")
    assert files.log(PATH, Where()).boot() == ""
