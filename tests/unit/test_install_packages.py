"""The script that installs what an image lacks, by itself: no registry gives the tests an Alpine or Fedora image, so
package managers that only write down what they are asked for, and make the programs, stand in for the real ones."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from mngr import resources

PROGRAMS = ("sshd", "tmux", "curl", "rsync", "git", "jq")
PACKAGES = ("openssh-server", "tmux", "curl", "rsync", "git", "jq", "ca-certificates")
# Paths of the image that the script looks at, below a folder of the test's here.
ROOTED = ("/usr/sbin/", "/usr/bin/", "/etc/ssl/", "/etc/pki/", "/etc/ssh/", "/var/lib/")


def _run(folder: Path, *managers: str, has: tuple[str, ...] = (), code: int = 0) -> tuple[int, str, list[str]]:
    """The script's exit code and output, and each call of a package manager, in an image that `has` programs."""
    tools = folder / "tools"
    tools.mkdir(parents=True)
    for name in ("sh", "rm", "cat", "mkdir"):
        (tools / name).symlink_to(f"/bin/{name}")
    for name in has:
        _program(tools / name, "")
    for manager in managers:
        _program(tools / manager, f'echo "{manager} $*" >>{folder}/calls\nexit {code}\n')
    script = resources.read("install-packages.sh").decode()
    for path in ROOTED:
        script = script.replace(path, f"{folder}/root{path}")
    done = subprocess.run(
        ["/bin/sh", "-c", script], env={"PATH": str(tools)}, capture_output=True, text=True, cwd=folder
    )
    calls = folder / "calls"
    return done.returncode, done.stdout + done.stderr, calls.read_text().splitlines() if calls.exists() else []


def _program(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}")
    path.chmod(0o755)


ALL = " ".join(PACKAGES)


@pytest.mark.parametrize(
    ("managers", "calls"),
    [
        (["apt-get"], ["apt-get update -qq", f"apt-get install -y -qq --no-install-recommends {ALL}"]),
        (["apk"], [f"apk add --no-cache --quiet {ALL}"]),
        (["dnf"], [f"dnf install -y -q {ALL}", "dnf clean all"]),
        (["microdnf"], [f"microdnf install -y {ALL}", "microdnf clean all"]),
        (["microdnf", "dnf"], [f"microdnf install -y {ALL}", "microdnf clean all"]),
    ],
)
def test_each_package_manager_gets_its_own_words(tmp_path: Path, managers: list[str], calls: list[str]) -> None:
    code, shown, called = _run(tmp_path, *managers)
    assert (code, called) == (0, calls), shown
    assert shown == f"mngr: installing {ALL}\n"


def test_only_what_is_missing_is_asked_for(tmp_path: Path) -> None:
    _code, shown, called = _run(tmp_path, "apk", has=("sshd", "git", "curl"))
    assert called == ["apk add --no-cache --quiet tmux rsync jq ca-certificates"], shown


def test_an_image_that_has_all_is_left_alone(tmp_path: Path) -> None:
    certificates = tmp_path / "root" / "etc" / "ssl" / "certs" / "ca-certificates.crt"
    certificates.parent.mkdir(parents=True)
    certificates.touch()
    assert _run(tmp_path, "apt-get", has=PROGRAMS) == (0, "", [])


def test_what_can_not_be_installed_is_named(tmp_path: Path) -> None:
    code, shown, _called = _run(tmp_path / "one", "apk", code=1)
    assert code == 1
    assert f"these packages are missing and could not be installed: {ALL} (apk add failed)" in shown
    code, shown, _called = _run(tmp_path / "two")
    assert code == 1
    assert "none of apt-get, apk, dnf and microdnf" in shown
