"""What comes back from a snapshot is what was there, to the last attribute, and as if the power had been cut."""

from __future__ import annotations

from pathlib import Path

import modal
import pytest

SCRIPTS = Path(__file__).with_name("trees")
SHOW = "find /a /etc/apt /etc/shadow /usr/share/doc 2>/dev/null; cat /a /etc/apt 2>/dev/null || :"


@pytest.fixture(scope="module")
def tools(sdk: None) -> modal.Image:
    """An image with a database and git, and with scripts that change and list trees."""
    app = modal.App.lookup("contract", create_if_missing=True)
    image = modal.Image.from_registry("debian:bookworm-slim").run_commands(
        "apt-get update -q && apt-get install -qy --no-install-recommends sqlite3 git attr python3-minimal",
    )
    return image.add_local_dir(SCRIPTS, "/trees", copy=True).build(app)


def _run(sandbox: modal.Sandbox, *command: str) -> str:
    process = sandbox.exec(*command)
    text: str = process.stdout.read()
    assert process.wait() == 0, process.stderr.read()
    return text


def _listing(sandbox: modal.Sandbox) -> list[str]:
    return _run(sandbox, "python3", "/trees/list.py", "/tree").splitlines()


def test_trees_come_back(app: modal.App, tools: modal.Image) -> None:
    sandbox = modal.Sandbox.create("sleep", "600", app=app, image=tools)
    taken = []
    for number in (0, 1):
        _run(sandbox, "sh", f"/trees/change-{number}.sh", str(number))
        taken.append((sandbox.snapshot_filesystem(ttl=None), _listing(sandbox)))
    sandbox.terminate()
    assert len(taken[0][1]) > 20_000
    for snapshot, listing in taken:
        restored = modal.Sandbox.create("sleep", "600", app=app, image=snapshot)
        assert _listing(restored) == listing
        restored.terminate()


def test_an_image_built_on_a_chain_of_snapshots(app: modal.App, tools: modal.Image) -> None:
    """What was deleted stays deleted, and what took the place of something else shows nothing of that."""
    image = tools
    shown = "\n"
    for change in (
        "mkdir -p /a/b; touch /a/b/c; rm -r /etc/apt; mkdir -p /etc/apt/own; rm /etc/shadow",
        "rm -r /a; echo file >/a; mkdir /etc/shadow; rm -r /usr/share/doc; ln -s /tmp /usr/share/doc",
        "rm /a; mkdir -p /a/b; rm -r /etc/apt; echo file >/etc/apt",
        "rm /usr/share/doc; mkdir /usr/share/doc; rm -r /etc/shadow",
    ):
        sandbox = modal.Sandbox.create("sleep", "600", app=app, image=image)
        assert _run(sandbox, "sh", "-c", SHOW) == shown or image is tools
        _run(sandbox, "sh", "-c", change)
        image = sandbox.snapshot_filesystem(ttl=None)
        shown = _run(sandbox, "sh", "-c", SHOW)
        sandbox.terminate()
    assert shown == "/a\n/a/b\n/etc/apt\n/usr/share/doc\nfile\n"
    built = modal.Image.from_id(image.object_id).run_commands(f"({SHOW}) >/in-build")
    again = modal.Sandbox.create("sh", "-c", f"cat /in-build; {SHOW}", app=app, image=built)
    assert again.stdout.read() == shown * 2


def test_as_if_the_power_was_cut(app: modal.App, tools: modal.Image) -> None:
    """A database and a repository that are written to all the time are whole in each snapshot."""
    options = {"enable_exit_snapshot": True}
    sandbox = modal.Sandbox.create("sh", "/trees/write.sh", app=app, image=tools, experimental_options=options)
    sandbox.exec("sh", "-c", "until test -e /begun; do sleep 0.05; done").wait()
    snapshots = [sandbox.snapshot_filesystem(ttl=None) for _ in range(3)]
    assert sandbox.exec("sh", "/trees/goes-on.sh").wait() == 0
    sandbox.terminate()
    snapshots.append(sandbox._experimental_get_exit_snapshot())
    commits = []
    for snapshot in snapshots:
        checked = modal.Sandbox.create("sh", "/trees/check.sh", app=app, image=snapshot)
        checked.wait(raise_on_termination=False)
        output = checked.stdout.read()
        assert checked.returncode == 0, output + checked.stderr.read()
        integrity, rows, count = output.split()
        assert integrity == "ok"
        assert int(rows) > 0
        commits.append(int(count))
    assert commits[0] > 0
    assert commits == sorted(commits)
    # It went on while snapshots were taken.
    assert commits[-1] > commits[0]
