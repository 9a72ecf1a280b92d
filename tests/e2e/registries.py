"""A registry of npm packages and a git server, both of which ask for a token, as the tests' own processes."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PACKAGE = "@myorg/private-package"
REPOSITORY = "myorg/private-repo.git"
# A package that needs nothing to be built but itself, so that pip asks no other index.
PYPROJECT = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
BACKEND = """
import zipfile
def build_wheel(folder, config_settings=None, metadata_directory=None):
    name = "private_repo-1.0-py3-none-any.whl"
    info = "private_repo-1.0.dist-info/"
    files = {
        "private_repo.py": "print('from git')",
        info + "METADATA": "Metadata-Version: 2.1\\nName: private-repo\\nVersion: 1.0\\n",
        info + "WHEEL": "Wheel-Version: 1.0\\nGenerator: it\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    }
    files[info + "RECORD"] = "".join(path + ",,\\n" for path in [*files, info + "RECORD"])
    with zipfile.ZipFile(folder + "/" + name, "w") as wheel:
        for path, text in files.items():
            wheel.writestr(path, text)
    return name
"""


@dataclass
class Registries:
    """Where they listen, and how many requests came with the right token and without it."""

    port: int
    npm_token: str
    git_token: str
    files: Path
    right: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def answer(self, path: str, authorization: str) -> bytes | None:
        """What is at `path`; None for one who must not see it."""
        basic = base64.b64encode(f"{self.git_token}:".encode()).decode()
        allowed = (f"Basic {basic}",) if REPOSITORY in path else (f"Bearer {self.npm_token}",)
        (self.right if authorization in allowed else self.wrong).append(path)
        if authorization not in allowed:
            return None
        if REPOSITORY in path:
            file = self.files / path.split("?")[0].lstrip("/")
            return file.read_bytes() if file.is_file() else b""
        return tarball() if path.endswith(".tgz") else self._packument()

    def _packument(self) -> bytes:
        archive = tarball()
        version = {
            "name": PACKAGE,
            "version": "1.0.0",
            "bin": {"private-package": "main.js"},
            "dist": {
                "tarball": f"http://127.0.0.1:{self.port}/{PACKAGE}/-/it.tgz",
                "integrity": f"sha512-{base64.b64encode(hashlib.sha512(archive).digest()).decode()}",
            },
        }
        packument = {"name": PACKAGE, "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": version}}
        return json.dumps(packument).encode()


def tarball() -> bytes:
    """The npm package, the same bytes each time."""
    files = {
        "package/package.json": json.dumps(
            {"name": PACKAGE, "version": "1.0.0", "bin": {"private-package": "main.js"}}
        ),
        "package/main.js": "#!/usr/bin/env node\nconsole.log('from npm')\n",
    }
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(text), 0o755
            archive.addfile(member, io.BytesIO(text.encode()))
    return gzip.compress(made.getvalue(), mtime=0)


def _repository(folder: Path) -> None:
    """A git repository that plain HTTP serves."""
    work = folder / "work"
    work.mkdir(parents=True)
    (work / "pyproject.toml").write_text(PYPROJECT)
    (work / "backend.py").write_text(BACKEND)
    git = ["git", "-c", "user.name=Ada", "-c", "user.email=ada@example.com", "-C", str(work)]
    for args in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-q", "-m", "it"]):
        subprocess.run([*git, *args], check=True)
    bare = folder / REPOSITORY
    subprocess.run(["git", "clone", "-q", "--bare", str(work), str(bare)], check=True)
    subprocess.run(["git", "-C", str(bare), "update-server-info"], check=True)


@contextmanager
def registries(folder: Path, npm_token: str, git_token: str) -> Iterator[Registries]:
    """Both on one port of the loopback address, which builds reach since they use the machine's own network."""
    _repository(folder)

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = made.answer(self.path.replace("%2f", "/"), self.headers.get("Authorization", ""))
            self.send_response(401 if found is None else 200 if found else 404)
            if found is None:
                self.send_header("WWW-Authenticate", 'Basic realm="private"')
            self.send_header("Content-Length", str(len(found or b"")))
            self.end_headers()
            self.wfile.write(found or b"")

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        made = Registries(server.server_port, npm_token, git_token, folder)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield made
        finally:
            server.shutdown()
            thread.join()
