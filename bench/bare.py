"""The same as mngr does, with the SDK alone: what there is to compare with. Prints the seconds of each step as JSON."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import modal

_APP = "bare"
_SSHD = 'mkdir -p /root/.ssh /run/sshd; echo "$KEY" >/root/.ssh/authorized_keys; chmod 600 /root/.ssh/authorized_keys; '
_SSHD += "ssh-keygen -A >/dev/null; exec /usr/sbin/sshd -D -o StrictModes=no"
# As mngr has it on the way to this machine itself.
_KEX = "KexAlgorithms=^curve25519-sha256"
_OPTIONS = (_KEX, "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "BatchMode=yes", "LogLevel=ERROR")


def create(image_id: str, key: Path) -> modal.Sandbox:
    app = modal.App.lookup(_APP, create_if_missing=True)
    sandbox = modal.Sandbox.create(
        "sh",
        "-c",
        _SSHD,
        app=app,
        image=modal.Image.from_id(image_id),
        secrets=[modal.Secret.from_dict({"KEY": key.with_suffix(".pub").read_text().strip()})],
        unencrypted_ports=[22],
        readiness_probe=modal.Probe.with_tcp(22),
        timeout=3600,
        cpu=1.0,
        memory=1024,
        experimental_options={"enable_exit_snapshot": True},
    )
    sandbox.wait_until_ready()
    host, port = sandbox.tunnels()[22].tcp_socket
    options = [word for option in _OPTIONS for word in ("-o", option)]
    command = ["ssh", "-F", "/dev/null", *options, "-i", str(key), "-p", str(port), f"root@{host}", "true"]
    while subprocess.run(command, stdin=subprocess.DEVNULL).returncode:
        time.sleep(0.1)
    return sandbox


def main(what: str, image_id: str, folder: str) -> dict[str, Any]:
    key = Path(folder) / "bare-key"
    if not key.exists():
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    times: dict[str, float] = {}

    def timed(name: str, function: Any) -> Any:
        begun = time.perf_counter()
        result = function()
        times[name] = time.perf_counter() - begun
        return result

    if what == "life":
        sandbox = timed("create", lambda: create(image_id, key))
        image = timed("snapshot", lambda: sandbox.snapshot_filesystem(ttl=None))
        left = timed("stop", lambda: (sandbox.terminate(), sandbox._experimental_get_exit_snapshot())[1])
        again = timed("start", lambda: create(left.object_id, key))
        timed("destroy", lambda: (again.terminate(), modal.experimental.image_delete(left.object_id)))
        modal.experimental.image_delete(image.object_id)
    else:
        with ThreadPoolExecutor(20) as pool:
            made = timed("many", lambda: list(pool.map(lambda _: create(image_id, key), range(int(what)))))
            list(pool.map(lambda sandbox: sandbox.terminate(), made))
    return times


if __name__ == "__main__":
    import modal.experimental

    print(json.dumps(main(*sys.argv[1:])))
