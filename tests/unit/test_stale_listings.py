"""Lists of sandboxes as they were: what eventual consistency looks like on purpose."""

from __future__ import annotations

from pathlib import Path

from localmodal.services.images.backend import Image
from localmodal.services.sandboxes.spec import Sandbox, SandboxSpec, Status
from localmodal.services.sandboxes.table import SandboxTable
from localmodal.store import Store


def test_a_list_of_an_earlier_moment(tmp_path: Path) -> None:
    store = Store(tmp_path / "state.sqlite")
    table = SandboxTable(store)
    for number, created_at in enumerate((10.0, 20.0)):
        table.add(
            Sandbox(
                id=f"sb-{number}",
                task_id=f"ta-{number}",
                v2=True,
                app_id="ap-1",
                environment="main",
                name="",
                spec=SandboxSpec(timeout_s=300),
                image=Image(id="im-1", podman_ref="none"),
                tags={},
                created_at=created_at,
                host_ports={},
            )
        )
    table.update("sb-0", ready_at=12.0, ended_at=30.0, status=Status.TERMINATED, message="terminated")

    def listed(as_of: float | None, *, include_ended: bool = False) -> list[tuple[str, bool, float | None]]:
        page = table.page(
            environment="main", app_id="", before=99, include_ended=include_ended, tags={}, limit=100, as_of=as_of
        )
        return [(sandbox.id, sandbox.running, sandbox.ready_at) for sandbox in page]

    assert listed(None) == [("sb-1", True, None)]
    assert listed(40) == [("sb-1", True, None)]
    assert listed(40, include_ended=True) == [("sb-1", True, None), ("sb-0", False, 12.0)]
    assert listed(25) == [("sb-1", True, None), ("sb-0", True, 12.0)]
    assert listed(11) == [("sb-0", True, None)]
    assert listed(5) == []
    store.close()
