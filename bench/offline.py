"""A host with a large log whose container is killed, and one whose log is followed."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from typing import IO

from bench.world import BIN, Failed, World

_LINES = 10


def fill(world: World, name: str) -> None:
    """Gives an agent a log of 200 MB, committed to the host's volume."""
    world.mngr("exec", name, "seq 23456789 >$MNGR_AGENT_STATE_DIR/output.log; sync $MNGR_HOST_DIR")


def kill(world: World, name: str) -> None:
    """Ends an agent's container as a machine does whose power fails; it is over when this returns."""
    sandbox_id = world.hosts()[name]["sandbox_id"]
    subprocess.run(["podman", "kill", "--signal", "KILL", f"localmodal-{sandbox_id}"], check=True, capture_output=True)
    while subprocess.run(["podman", "container", "exists", f"localmodal-{sandbox_id}"]).returncode == 0:
        time.sleep(0.1)


def lines(world: World, name: str) -> Iterator[float]:
    """Seconds from the writing of a line in an agent's terminal until `mngr logs --follow` has shown it."""
    write = f"echo at $(date +%s.%N) >$(tmux display-message -p -t =mngr-{name}: '#{{pane_tty}}')"
    world.mngr("exec", name, write)
    with subprocess.Popen(
        [str(BIN / "mngr"), "logs", name, "--follow", "--tail", "1"],
        env=world.env,
        cwd=world.project,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        # It follows from now on; what is written sooner might come before its beginning.
        _shown(process.stdout)
        for _line in range(_LINES):
            world.mngr("exec", name, write)
            written = _shown(process.stdout)
            yield time.time() - written
        process.terminate()


def _shown(lines: IO[str]) -> float:
    """When the next of our lines was written. Raises `Failed` when there is none."""
    for line in lines:
        if line.startswith("at "):
            return float(line.split()[1])
    raise Failed("mngr logs --follow has ended")
