"""Names of host volumes: within Modal's limit, and read back only by those whose records the host is in."""

from __future__ import annotations

import pytest

from mngr import ids
from mngr.providers.modal.volumes import host_of, name_of


@pytest.mark.parametrize("state_volume", ["mngr-state", "x", "a" * 36, "a" * 37, "a" * 38, "b" * 64])
def test_names(state_volume: str) -> None:
    host_id = ids.new_host_id()
    name = name_of(state_volume, host_id)
    # The SDK refuses names that are not shorter than 64.
    assert len(name) < 64
    assert host_of(state_volume, name) == host_id
    for other in ("mngr", "mngr-state-host", "a" * 35, f"{state_volume}2", f"a{state_volume}"):
        assert host_of(other, name) is None
    assert host_of(state_volume, f"{name}x") is None
    assert host_of(state_volume, host_id) is None
