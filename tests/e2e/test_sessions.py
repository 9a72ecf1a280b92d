"""Lines for hosts go over the connection that is open, without a program for each."""

from __future__ import annotations

import os
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from typing import NoReturn

import pytest

from mngr.errors import HostCommandFailed, HostUnreachable
from mngr.hosts import ssh
from mngr.operations.finding import reach
from tests.conftest import User


def _none(*_args: object, **_more: object) -> NoReturn:
    raise AssertionError("a program was started")


def test_sessions(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    user.mngr("create", "ann", "--", "sleep 1000")
    monkeypatch.setenv("MNGR_HOME", str(user.home))
    target, _agent = reach("ann")
    with monkeypatch.context() as patched:
        patched.setattr(subprocess, "run", _none)
        patched.setattr(subprocess, "Popen", _none)

        much = os.urandom(3 << 20)
        done = ssh.run(target, "cat; echo 'ä and \"more\"' >&2; exit 3", stdin=much)
        assert (done.exit_code, done.stdout == much, done.stderr.decode()) == (3, True, 'ä and "more"\n')
        assert ssh.run(target, "cat").stdout == b""
        assert ssh.run(target, "exec <&-; sleep 0.1; echo through", stdin=much).stdout == b"through\n"

        # Unlike ssh's own, the code 255 of a line is one like others.
        assert ssh.run(target, "exit 255").exit_code == 255
        with pytest.raises(HostCommandFailed, match="trying failed"):
            ssh.run(target, "echo why >&2; exit 255", what="trying")

        with ThreadPoolExecutor(64) as pool:
            lines = list(pool.map(lambda number: ssh.run(target, f"echo {number}").stdout, range(150)))
        assert lines == [f"{number}\n".encode() for number in range(150)]

        begun = time.monotonic()
        with pytest.raises(HostUnreachable, match=r"no answer within 0\.5 s"):
            ssh.run(target, "sleep 60", timeout_s=0.5)
        assert time.monotonic() - begun < 30

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(ssh.run, target, "echo here >/tmp/here; sleep 60")
        while b"here" not in ssh.run(target, "cat /tmp/here").stdout:
            pass
        ssh.close(target)
        with pytest.raises(HostUnreachable, match="the connection was lost"):
            waiting.result()
    assert not ssh.is_open(target)
    # Where none is open, ssh opens one.
    assert ssh.run(target, "echo again").stdout == b"again\n"
    assert ssh.is_open(target)
