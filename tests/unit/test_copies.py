"""This machine's copies of records, read while other threads and programs replace them."""

from __future__ import annotations

import threading
from pathlib import Path

import msgspec
import pytest

from mngr.models import HostRecord, HostState, Policy
from mngr.providers import copies


def test_a_copy_that_is_replaced_meanwhile_is_read_as_it_is_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MNGR_HOME", str(tmp_path))
    folder = copies.folder("modal")
    record = HostRecord(
        id="host-a",
        name="a",
        provider="modal",
        revision=0,
        state=HostState.RUNNING,
        created_at=1.0,
        changed_at=1.0,
        options={},
        policy=Policy(),
        agents=(),
    )

    def write(revision: int) -> Path:
        path = folder / f"host-a.{revision:06d}-0.json"
        path.with_suffix(".new").write_bytes(msgspec.json.encode(msgspec.structs.replace(record, revision=revision)))
        return path.with_suffix(".new").rename(path)

    before = write(1)
    ended = threading.Event()

    def replace() -> None:
        nonlocal before
        for revision in range(2, 1500):
            after = write(revision)
            before.unlink()
            before = after
        ended.set()

    thread = threading.Thread(target=replace)
    thread.start()
    last = 0
    while not ended.is_set():
        (found,) = copies.read("modal")
        assert found.revision >= last
        last = found.revision
    thread.join()
    before.unlink()
    assert copies.read("modal") == []
