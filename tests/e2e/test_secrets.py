"""Secrets of a build: they work, and are nowhere afterwards."""

from __future__ import annotations

import json
import secrets
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from localmodal.home import Home
from tests.conftest import LocalModalServer, User
from tests.e2e.registries import registries

# The two RUNs are the spec's, with the test's own servers in them; above them is what they take for granted.
SPEC = """
FROM python:3.11-slim
RUN apt-get update && apt-get install -y --no-install-recommends git nodejs npm
RUN npm config set --location=global @myorg:registry http://127.0.0.1:{port}/

# Install a private npm package using NPM_TOKEN
RUN --mount=type=secret,id=NPM_TOKEN \\
    npm config set //127.0.0.1:{port}/:_authToken=$(cat /run/secrets/NPM_TOKEN) && \\
    npm install -g @myorg/private-package

# Install a private pip package using GH_TOKEN
RUN --mount=type=secret,id=GH_TOKEN \\
    pip install git+http://$(cat /run/secrets/GH_TOKEN)@127.0.0.1:{port}/myorg/private-repo.git
"""
CAREFUL = """
FROM debian:bookworm-slim
RUN --mount=type=secret,id=TOKEN test "$(cat /run/secrets/TOKEN)" = "$TOKEN"
RUN test -n "$TOKEN" && echo "told: $TOKEN" && head -c 40 /dev/urandom >/dev/null
RUN ["/bin/sh", "-c", "test -n \\"$TOKEN\\""]
RUN <<EOF
test -n "$TOKEN"
EOF
USER nobody
RUN test -n "$TOKEN"
"""


@contextmanager
def watched_command_lines(value: str) -> Iterator[list[str]]:
    """All command lines of the machine that `value` is seen in, looked at a hundred times a second."""
    seen: list[str] = []
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.01):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    line = path.read_bytes().decode(errors="replace")
                except OSError:
                    continue
                if value in line:
                    seen.append(line)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def _files_with(value: str, *folders: Path) -> set[Path]:
    grep = ["grep", "-rlaF", "--devices=skip", "--", value, *map(str, folders)]
    done = subprocess.run(grep, capture_output=True, text=True)
    return {Path(line) for line in done.stdout.splitlines()}


def _built(server: LocalModalServer) -> tuple[str, set[Path]]:
    """Of all images that the server has built: their description and history in full, and the folders of their
    layers, those of the steps between included."""
    listed = ["podman", "images", "--format", "{{.Repository}}:{{.Tag}}"]
    names = subprocess.run(listed, capture_output=True, text=True, check=True).stdout.split()
    mine = [name for name in names if name.startswith(f"localhost/localmodal/{Home(server.home).tag}:")]
    shown = subprocess.run(["podman", "image", "inspect", *mine], capture_output=True, text=True, check=True).stdout
    assert '"History"' in shown
    data = [image["GraphDriver"]["Data"] for image in json.loads(shown)]
    return shown, {
        Path(folder) for one in data for folder in (one["UpperDir"], *filter(None, one.get("LowerDir", "").split(":")))
    }


def test_the_two_examples_of_the_spec(user: User, tmp_path: Path) -> None:
    npm_token, git_token = secrets.token_hex(16), secrets.token_hex(16)
    with registries(tmp_path / "served", npm_token, git_token) as served:
        (user.project / "Dockerfile").write_text(SPEC.format(port=served.port))
        made = user.mngr(
            *("create", "my-agent", "--in", "modal", "-v", "-b", "dockerfile=./Dockerfile"),
            *("-b", "secret=NPM_TOKEN", "-b", "secret=GH_TOKEN", "--", "sleep 1000"),
            NPM_TOKEN=npm_token,
            GH_TOKEN=git_token,
        )
        assert served.right
    assert user.text("exec", "my-agent", "private-package; python -m private_repo") == "from npm\nfrom git\n"
    log = user.text("logs", "my-agent", "--source", "build")
    for token in (npm_token, git_token):
        assert token not in made.stderr.decode() + log
    # The spec's npm command has its token as an argument, and npm itself keeps that: its settings, its own log. Nothing
    # else has a token.
    grep = f"grep -rlsE '{npm_token}|{git_token}' /root /usr /etc /var /mngr /work"
    found = user.mngr("exec", "my-agent", grep, check=None).stdout.decode().splitlines()
    assert {path.split("/")[2] for path in found if path.startswith("/root/.npm")} == {".npm", ".npmrc"}
    assert [path for path in found if not path.startswith("/root/.npm")] == []


def test_a_secret_is_in_the_build_and_nowhere_else(user: User, localmodal_server: LocalModalServer) -> None:
    token = secrets.token_hex(16)
    (user.project / "Dockerfile").write_text(CAREFUL)
    args = ["-v", "-b", "dockerfile=Dockerfile", "-b", "secret=TOKEN"]
    with watched_command_lines(token) as seen:
        made = user.mngr("create", "one", *args, "--", "sleep 1000", TOKEN=token)
    assert seen == []
    assert b"told: ***\n" in made.stderr
    described, layers = _built(localmodal_server)
    places = {
        "image": user.mngr(
            "exec", "one", f"grep -rls {token} / --exclude-dir=proc --exclude-dir=sys", check=None
        ).stdout,
        "environment": user.mngr("exec", "one", "env").stdout,
        "output": made.stderr + made.stdout,
        "log": user.mngr("logs", "one", "--source", "build").stdout,
        "records": json.dumps(user.listed()).encode(),
        "images": described.encode(),
    }
    assert [name for name, data in places.items() if token.encode() in data] == []
    assert places["image"] == b""
    vault = localmodal_server.home / "secrets"
    found = _files_with(token, localmodal_server.home, user.home, *layers)
    assert [path for path in found if not path.is_relative_to(vault)] == []
    # Where the account's secrets are kept nobody else looks.
    assert {path.stat().st_mode & 0o077 for path in (vault, *vault.iterdir())} == {0}
    # A failed build keeps it to itself as well; another value of the secret is the same image.
    again = user.mngr("create", "two", *args, "--", "sleep 1000", TOKEN=secrets.token_hex(16))
    assert b"STEP" not in again.stderr
    (user.project / "Dockerfile").write_text('FROM debian:bookworm-slim\nRUN echo "no good: $TOKEN"; exit 1\n')
    failed = user.mngr("create", "bad", *args, "--", "x", check=1, TOKEN=token)
    assert b"no good: ***" in failed.stderr
    said = failed.stderr + user.mngr("logs", "bad", "--source", "build").stdout
    assert token.encode() not in said + json.dumps(user.listed()).encode()
