"""Starts programs inside running containers: a small process of its own, forked from for each program.

`podman exec` costs 0.2 to 0.4 s and ``runc exec`` 0.06 to 0.09 s (measured); entering the namespaces of the
container's init ourselves costs a few milliseconds. This file is run by itself (``python -I -S spawn.py FD``) and
imports nothing of localmodal, so that the process stays small. Each program gets a runner, a child of this process,
that outlives it: a program goes on when the server is restarted, and its exit status is written to a file.

A request is one message on the socket: JSON, with open files beside it (standard input, output, error, the file for
the exit status). The reply is the runner's process id, or an error text.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import math
import os
import select
import signal
import socket
import struct
import sys
import termios
import time
from typing import Any

NAMESPACES = ("ipc", "uts", "net", "pid", "cgroup", "mnt")
# Modal's sandboxes have no more; above all no NET_ADMIN, with which a program could undo the rules of its network.
CAPABILITIES = 0x00000000A80425FB
LAST_CAPABILITY = 63
PR_CAPBSET_DROP = 24
# <asm-generic/ioctls.h>; Python's termios has them from 3.12 on.
_TIOCSPTLCK = 0x40045431
_TIOCGPTN = 0x80045430
# <linux/sched.h>
_PF_EXITING = 0x4
MAX_REQUEST = 1 << 20
EXIT_NO_START = 127
EXIT_KILLED = 128 + signal.SIGKILL

_libc = ctypes.CDLL(None, use_errno=True)


def serve(connection: socket.socket) -> None:
    """Forks a runner for each request until the server closes the connection. Runners go on."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # runners that end need no farewell
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        message, fds, _flags, _address = socket.recv_fds(connection, MAX_REQUEST, 8)
        if not message:
            return
        try:
            request = json.loads(message)
            pid = os.fork()
            if pid == 0:
                connection.close()
                _run(request, fds)
            reply: dict[str, Any] = {"pid": pid}
        except (OSError, ValueError) as error:
            reply = {"error": str(error)}
        for fd in fds:
            os.close(fd)
        connection.send(json.dumps(reply).encode())


def _run(request: dict[str, Any], fds: list[int]) -> None:
    """The runner: enters the container, starts the program, waits, writes the exit status. Never returns."""
    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    stdin, stdout, stderr, status = fds
    try:
        init = os.pidfd_open(request["init_pid"])
        cgroups, memory = _open_cgroups(request["init_pid"])
        init_stat = os.open(f"/proc/{request['init_pid']}/stat", os.O_RDONLY | os.O_CLOEXEC)
        _enter(request["init_pid"])
        master, slave = _open_terminal(request["terminal"]) if request.get("terminal") else (-1, -1)
        child = os.fork()
        if child == 0:
            streams = (slave, slave, slave) if slave >= 0 else (stdin, stdout, stderr)
            _become(request, streams, cgroups)
    except Exception as error:
        os.write(stderr, f"localmodal: the program could not be started: {error}\n".encode())
        os.write(status, f"{EXIT_NO_START}\n".encode())
        os._exit(1)
    for fd in cgroups:
        os.close(fd)
    exited = os.pidfd_open(child)
    limit = time.monotonic() + request["timeout_s"] if request.get("timeout_s") else math.inf
    if master >= 0:
        os.close(slave)
        _pump(master, stdin, stdout, exited, limit)
    os.close(stdin)
    code = _wait(child, exited, limit)
    # When the container's first process goes too, somebody ended all of it, whatever memory ran out before.
    out_of_memory = code == EXIT_KILLED and not _exiting(init_stat) and _oom_kills(memory) > 0
    os.write(status, f"{code}{' oom' if out_of_memory else ''}\n".encode())
    if request.get("ends_container"):
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(init, signal.SIGKILL)
    os._exit(0)


def _remaining(limit: float) -> float | None:
    """Seconds until `limit`, in the form that select takes."""
    return None if limit == math.inf else max(0.0, limit - time.monotonic())


def _wait(child: int, exited: int, limit: float) -> int:
    """The exit status of `child`; a program that outlasts its time is killed and counts as ended by SIGKILL."""
    if not select.select([exited], [], [], _remaining(limit))[0]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
    _pid, wait_status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(wait_status)
    return 128 - code if code < 0 else code


def _open_cgroups(pid: int) -> tuple[list[int], int]:
    """The files through which a process joins each of `pid`'s control groups, both versions of them, and the one that
    tells of memory that ran out (or -1)."""
    opened = []
    memory = -1
    with open(f"/proc/{pid}/cgroup") as file:  # noqa: PTH123 (pathlib would double this process)
        lines = file.read().splitlines()
    for line in lines:
        _number, controllers, path = line.split(":", 2)
        for root in _cgroup_roots(controllers):
            with contextlib.suppress(OSError):
                opened.append(os.open(f"{root}{path}/cgroup.procs", os.O_WRONLY | os.O_CLOEXEC))
                break
        for name in (f"/sys/fs/cgroup/memory{path}/memory.oom_control", f"/sys/fs/cgroup{path}/memory.events"):
            if memory < 0 and controllers in ("memory", ""):
                with contextlib.suppress(OSError):
                    memory = os.open(name, os.O_RDONLY | os.O_CLOEXEC)
    return opened, memory


def _cgroup_roots(controllers: str) -> list[str]:
    base = "/sys/fs/cgroup"
    if not controllers:
        return [f"{base}/unified", base]
    return [f"{base}/{controllers.removeprefix('name=')}"]


def _oom_kills(memory: int) -> int:
    """How often the kernel has killed for want of memory in this control group. `State.OOMKilled` of podman stays
    false on the first version of control groups (measured), so the kernel's own count is read."""
    if memory < 0:
        return 0
    try:
        words = os.pread(memory, 4096, 0).decode().split()
    except OSError:  # the control group is gone
        return 0
    return int(words[words.index("oom_kill") + 1]) if "oom_kill" in words else 0


def _exiting(stat: int) -> bool:
    """Whether a process is about to go. The first one of a container goes last: it waits for all others."""
    try:
        fields = os.pread(stat, 4096, 0).decode(errors="replace").rsplit(")", 1)[1].split()
    except OSError:
        return True
    return bool(int(fields[6]) & _PF_EXITING)


def _enter(pid: int) -> None:
    """Joins the namespaces of `pid`. All are opened first: after the mount namespace ``/proc`` is another."""
    opened = [os.open(f"/proc/{pid}/ns/{name}", os.O_RDONLY | os.O_CLOEXEC) for name in NAMESPACES]
    for fd in opened:
        if _libc.setns(fd, 0) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
        os.close(fd)


def _become(request: dict[str, Any], streams: tuple[int, int, int], cgroups: list[int]) -> None:
    """Turns this process into the program. Never returns."""
    try:
        for fd in cgroups:
            os.write(fd, b"0")
        os.setsid()
        if request.get("terminal"):
            fcntl.ioctl(streams[0], termios.TIOCSCTTY, 0)
        for number, fd in enumerate(streams):
            os.dup2(fd, number)
        for capability in range(LAST_CAPABILITY + 1):
            if not CAPABILITIES >> capability & 1:
                _libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
        os.umask(0o022)
        os.setgroups([])
        os.setgid(0)
        os.setuid(0)
        os.chdir(request["workdir"] or "/")
        for number in (signal.SIGPIPE, signal.SIGINT, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        os.closerange(3, 1024)
        environment = request["env"]
        os.environ["PATH"] = environment.get("PATH", os.defpath)
        os.execvpe(request["argv"][0], request["argv"], environment)  # noqa: S606 (no shell is wanted)
    except OSError as error:
        os.write(2, f"{request['argv'][0]}: {error.strerror}\n".encode())
    os._exit(EXIT_NO_START)


def _open_terminal(size: list[int]) -> tuple[int, int]:
    """A pseudo-terminal of the container's own, `size` being rows and columns."""
    master = os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    fcntl.ioctl(master, _TIOCSPTLCK, struct.pack("i", 0))
    number = struct.unpack("i", fcntl.ioctl(master, _TIOCGPTN, struct.pack("i", 0)))[0]
    slave = os.open(f"/dev/pts/{number}", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", size[0] or 24, size[1] or 80, 0, 0))
    return master, slave


def _pump(master: int, stdin: int, stdout: int, exited: int, limit: float) -> None:
    """Carries bytes between the terminal and the streams until the program has ended and its last output is read."""
    sources = [master, stdin, exited]
    while True:
        ready, _, _ = select.select(sources, [], [], _remaining(limit))
        if not ready:
            return
        if stdin in ready:
            data = os.read(stdin, 65536)
            os.write(master, data or b"\x04")
            if not data:
                sources.remove(stdin)
        if master in ready:
            try:
                data = os.read(master, 65536)
            except OSError:  # EIO: the other side is closed
                return
            os.write(stdout, data)
        elif exited in ready:
            return


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
