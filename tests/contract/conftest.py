"""The SDK in this process, pointed at the tests' server, with sandboxes of either version."""

from __future__ import annotations

import os
from collections.abc import Iterator

import modal
import pytest

from tests.conftest import LocalModalServer


@pytest.fixture(scope="session", autouse=True)
def sdk(localmodal_server: LocalModalServer) -> Iterator[None]:
    """Points the SDK at the server. With `MNGR_CONTRACT_SERVER=modal` it is left alone, and Modal itself is tested."""
    if os.environ.get("MNGR_CONTRACT_SERVER") != "modal":
        os.environ.update(localmodal_server.env)
    yield
    for name in localmodal_server.env:
        os.environ.pop(name, None)


@pytest.fixture(params=["1", "0"], ids=["v2", "v1"])
def version(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Which version of sandboxes the SDK makes."""
    monkeypatch.setenv("MODAL_SANDBOX_V2", request.param)
    return str(request.param)


@pytest.fixture
def app(sdk: None) -> modal.App:
    return modal.App.lookup("contract", create_if_missing=True)


@pytest.fixture(scope="session")
def image(sdk: None) -> modal.Image:
    """A small image with what the tests run."""
    app = modal.App.lookup("contract", create_if_missing=True)
    return modal.Image.from_registry("debian:bookworm-slim").run_commands("echo built >/built").build(app)
