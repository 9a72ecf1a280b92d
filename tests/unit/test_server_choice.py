"""Which server mngr talks to: a listener of the test's own sees the call arrive."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import grpclib.server
from modal_proto.api_grpc import ModalClientBase

from localmodal.errors import PermissionDenied
from localmodal.rpc import Call, Router

MNGR = Path(sys.executable).with_name("mngr")


class Recorder:
    """Refuses every call and remembers whose token it carried."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []

    async def gate(self, call: Call) -> None:
        self.calls.append((call.rpc, call.metadata.get("x-modal-token-id", "")))
        raise PermissionDenied("this listener only records")


async def _list(tmp_path: Path, env: dict[str, str]) -> tuple[int, str]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith("MODAL_")}
    home = {"MNGR_HOME": str(tmp_path / "mngr"), "LOCALMODAL_HOME": str(tmp_path / "never-started")}
    process = await asyncio.create_subprocess_exec(
        str(MNGR), "list", env=plain | home | env, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    _stdout, stderr = await process.communicate()
    return process.returncode or 0, stderr.decode()


async def test_a_configured_token_goes_to_the_configured_server(tmp_path: Path) -> None:
    recorder = Recorder()
    server = grpclib.server.Server([Router(ModalClientBase, [], recorder.gate)])
    await server.start("127.0.0.1", 0)
    assert server._server is not None
    port = server._server.sockets[0].getsockname()[1]
    config = tmp_path / "modal.toml"
    config.write_text(
        f'[default]\nactive = true\ntoken_id = "ak-mine"\ntoken_secret = "as-mine"\n'
        f'server_url = "http://127.0.0.1:{port}"\n'
    )
    try:
        code, stderr = await _list(tmp_path, {"MODAL_CONFIG_PATH": str(config)})
    finally:
        server.close()
        await server.wait_closed()
    assert code == 4
    assert "this listener only records" in stderr
    assert recorder.calls
    assert {token for _rpc, token in recorder.calls} == {"ak-mine"}
    assert not (tmp_path / "never-started").exists()
