"""What commands import before they do anything: each import is time that every call pays."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
from pathlib import Path

import pytest

import mngr
from mngr import profiling
from tests.conftest import BIN, imported

_SITE = f"lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"
_ONLY_CLICK = {
    "mngr",
    "mngr.__main__",
    "mngr.cli",
    "mngr.cli.app",
    "mngr.cli.interrupts",
    "mngr.cli.leaving",
    "mngr.errors",
}
_ASKED = {"mngr.cli.completing", "mngr.cli.completion_shells"}


@pytest.mark.parametrize(
    ("args", "variables"),
    [
        (("--help",), {}),
        (("--version",), {}),
        ((), {"_MNGR_COMPLETE": "bash_complete", "COMP_WORDS": "mngr cr", "COMP_CWORD": "1"}),
    ],
    ids=["help", "version", "completion"],
)
def test_what_needs_no_command_imports_click_and_no_more(
    args: tuple[str, ...], variables: dict[str, str], tmp_path: Path
) -> None:
    env = os.environ | {"MNGR_HOME": str(tmp_path), "PYTHONPROFILEIMPORTTIME": "1"} | variables
    done = subprocess.run([str(BIN / "mngr"), *args], env=env, capture_output=True, text=True, check=True)
    assert done.stdout
    found = imported(done.stderr)
    assert {name for name in found if name.split(".")[0] == "mngr"} - (_ASKED if variables else set()) == _ONLY_CLICK
    outside = {name.split(".")[0] for name in found if (BIN.parent / _SITE / name.split(".")[0]).is_dir()}
    assert outside <= {"click", "_distutils_hack"}  # the latter is setuptools, in any virtual environment
    assert not found & {"importlib.metadata", "asyncio", "logging", "concurrent.futures", "subprocess", "tomllib"}


def test_the_version_is_the_packages_own() -> None:
    assert mngr.__version__ == importlib.metadata.version("mngr")


def test_sequential_calls_are_counted_by_their_times() -> None:
    account = profiling.Account(zero=0.0, import_s=0.0)
    for begun, end in [(0, 1), (0, 1.2), (1, 2), (2.1, 3), (2.2, 2.9), (3, 9)]:
        account.spans.append(profiling.Span("call", "X", begun, end))
    assert account.value()["sequential_calls"] == 4
    assert len(account.value()["calls"]) == 6
