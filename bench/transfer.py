"""Times how a project of 50,000 files and about 500 MB of history reaches a running agent's host, against plain
`git push`, checkout and `rsync` by hand over the same kind of connection. Each is done ROUNDS times in turn.

    .venv/bin/python bench/transfer.py AGENT FOLDER [ROUNDS]

FOLDER is where the project is generated unless it is there. Needs an agent that runs; uses /work/bench-* on its host.
"""

from __future__ import annotations

import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from mngr.hosts import git, ssh, transfer
from mngr.operations.finding import reach

FILES, VERSIONS, BYTES = 50_000, 50, 9_000_000


def history() -> Iterator[bytes]:
    """A stream for `git fast-import`: many small files, and one large one in many versions that is gone in the end."""
    source = random.Random(1)  # noqa: S311 (sizes are what matters)
    for number in range(1, FILES + VERSIONS + 1):
        data = source.randbytes(600).hex().encode() if number <= FILES else source.randbytes(BYTES)
        yield b"blob\nmark :%d\ndata %d\n%s\n" % (number, len(data), data)
    for version in range(VERSIONS + 2):
        yield b"commit refs/heads/main\ncommitter A <a@example.com> %d +0000\ndata 2\nc\n" % (1_700_000_000 + version)
        if version == 0:
            for file in range(FILES):
                yield b"M 100644 :%d d%d/e%d/f%d\n" % (file + 1, file % 100, file // 100 % 50, file)
        elif version <= VERSIONS:
            yield b"M 100644 :%d large\n" % (FILES + version)
        else:
            yield b"D large\n"


def generate(folder: Path) -> None:
    folder.mkdir(parents=True)
    subprocess.run(["git", "init", "--quiet", "--initial-branch", "main", str(folder)], check=True)
    with subprocess.Popen(["git", "-C", str(folder), "fast-import", "--quiet"], stdin=subprocess.PIPE) as importer:
        assert importer.stdin is not None
        importer.stdin.writelines(history())
    subprocess.run(["git", "-C", str(folder), "reset", "--quiet", "--hard"], check=True)
    for number in range(2000):
        (folder / "d1" / f"new-{number}").write_text(f"not committed {number}\n")


def by_hand(target: ssh.Target, folder: Path, there: str) -> None:
    ssh.run(target, f"git init -q {there} && git -C {there} config receive.denyCurrentBranch ignore", what="making it")
    env = os.environ | git.environment(target)
    subprocess.run(["git", "push", "-q", git.url(target, there), "HEAD:refs/heads/x"], cwd=folder, check=True, env=env)
    ssh.run(target, f"git -C {there} checkout -q x", what="checking it out", timeout_s=600)
    names = subprocess.run(["git", "ls-files", "-o", "-z"], cwd=folder, check=True, capture_output=True).stdout
    shell = " ".join([*ssh.without_address(target), "-p", str(target.endpoint.port)]).replace('"', "")
    to = f"{target.endpoint.user}@{target.endpoint.address}:{there}/"
    subprocess.run(["rsync", "-a", "-0", "--files-from=-", "-e", shell, "./", to], cwd=folder, check=True, input=names)


def main() -> None:
    agent, folder, rounds = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 3
    if not folder.exists():
        generate(folder)
    target, _agent = reach(agent)
    times: dict[str, list[float]] = {"by hand": [], "mngr": []}
    for number in range(rounds):
        for way in times if number % 2 == 0 else reversed(times):
            ssh.run(target, "rm -rf /work/bench-*; sync", timeout_s=600)
            there = f"/work/bench-{number}"
            begun = time.monotonic()
            if way == "mngr":
                transfer.send_project(target, transfer.Project(folder, "x"), there, lambda _words: None)
            else:
                by_hand(target, folder, there)
            times[way].append(time.monotonic() - begun)
            sys.stdout.write(f"{way:8} {times[way][-1]:6.1f} s\n")
            sys.stdout.flush()
    ssh.run(target, "rm -rf /work/bench-*", timeout_s=600)
    ratio = statistics.median(times["mngr"]) / statistics.median(times["by hand"])
    sys.stdout.write(f"ratio of medians: {ratio:.2f}\n")


if __name__ == "__main__":
    main()
