"""Modal's public examples, with the SDK that is installed and with the one before."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import LocalModalServer, clean_env

EXAMPLES = Path(__file__).with_name("public_examples.py")


@pytest.fixture(scope="module")
def older_sdk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python with the newest of the SDK's 1.5 series."""
    folder = tmp_path_factory.mktemp("sdk") / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    install = [str(folder / "bin" / "python"), "-m", "pip", "install", "-q", "modal==1.5.4"]
    subprocess.run(install, check=True, capture_output=True)
    return folder / "bin" / "python"


def _run(python: Path, server: LocalModalServer, v2: str) -> str:
    env = clean_env(server.env | {"MODAL_SANDBOX_V2": v2})
    done = subprocess.run([str(python), str(EXAMPLES)], env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("v2", ["1", "0"], ids=["v2", "v1"])
def test_with_the_installed_sdk(localmodal_server: LocalModalServer, v2: str) -> None:
    assert _run(Path(sys.executable), localmodal_server, v2).startswith("ok 1.6.")


@pytest.mark.parametrize("v2", ["1", "0"], ids=["v2", "v1"])
def test_with_the_sdk_before(localmodal_server: LocalModalServer, older_sdk: Path, v2: str) -> None:
    assert _run(older_sdk, localmodal_server, v2).startswith("ok 1.5.4 ")
