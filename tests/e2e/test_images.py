"""Images: Dockerfiles of every kind, what a build says, and what is added to an image."""

from __future__ import annotations

import io
import socket
import tarfile
from pathlib import Path

from tests.conftest import Terminal, User

EVERYTHING = r"""
# syntax=docker/dockerfile:1
ARG BASE=bookworm
ARG WHO=nobody

FROM debian:${BASE}-slim AS first
RUN mkdir /out && echo made >/out/made && echo more >/out/more

from debian:$BASE-slim
ARG WHO
ENV COLOUR=blue \
    # a comment between continued lines
    OTHER=green
ENV SHAPE="round ${COLOUR}"
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
RUN [[ $WHO == ann ]] && echo "$WHO" >/who
RUN <<EOF
: '
FROM here on nothing is an instruction
'
EOF
RUN <<EOF
set -e
[[ -n $COLOUR ]]
echo "$COLOUR one" >/heredoc
EOF
RUN cat <<-'A' - <<B >/two && echo end >>/two
	first $COLOUR
	A
second
B
RUN <<EOF
#!/usr/bin/perl
print "a program\n";
open my $file, ">", "/perl"; print $file "perl\n";
EOF
COPY --from=first /out/made /out/more /from/
COPY --link --chown=daemon:daemon *.txt /texts/
COPY --chown=daemon ["with space.txt", "a.txt", "/spaced/"]
COPY ["with space.txt", "/spaced too"]
COPY <<EOF <<"RAW" /copied/
colour $COLOUR, ${SHAPE}
EOF
colour $COLOUR
RAW
ADD plain.md things.tar /added/
COPY . /context/
RUN --mount=type=cache,target=/var/cache/mine --mount=type=bind,from=first,source=/out,target=/bound \
    echo cached >/var/cache/mine/x && cat /bound/made >/bound-made
RUN ["/bin/cp", "/who", "/who too"]
WORKDIR /srv/deep
USER daemon
RUN id -un >/tmp/user && pwd >>/tmp/user
ENTRYPOINT ["/bin/false"]
CMD ["nothing"]
"""


def _folder(folder: Path) -> Path:
    """A build context."""
    folder.mkdir()
    for name in ("a.txt", "b.txt", "with space.txt", "plain.md", "left-out.log", ".env"):
        (folder / name).write_text(f"{name}\n")
    (folder / "sub").mkdir()
    (folder / "sub" / "deep.txt").write_text("deep\n")
    (folder / ".dockerignore").write_text("*.log\n.env\n")
    with tarfile.open(folder / "things.tar", "w") as archive:
        member = tarfile.TarInfo("unpacked")
        member.size = 3
        archive.addfile(member, io.BytesIO(b"yes"))
    return folder


def test_a_dockerfile_with_everything(user: User, tmp_path: Path) -> None:
    folder = _folder(tmp_path / "context")
    (tmp_path / "Dockerfile.agent").write_text(EVERYTHING)
    args = [
        "-b",
        f"file={tmp_path / 'Dockerfile.agent'}",
        "-b",
        f"context-dir={folder}",
        "-b",
        "docker-build-arg=WHO=ann",
    ]
    made = user.mngr("create", "every", "-v", *args, "--", "echo $COLOUR >colour; sleep 1000")
    assert b": RUN mkdir /out" in made.stderr
    looked = user.text(
        *("exec", "every", "cat /from/made /from/more /who '/who too' /heredoc /two /perl /bound-made /tmp/user"),
    )
    assert looked.splitlines() == [
        *("made", "more", "ann", "ann", "blue one", "second", "end", "perl", "made", "daemon", "/srv/deep")
    ]
    assert user.text("exec", "every", "cat /copied/EOF /copied/RAW") == "colour blue, round blue\ncolour $COLOUR\n"
    assert user.text("exec", "every", "stat -c '%U %n' /texts/*") == (
        "daemon /texts/a.txt\ndaemon /texts/b.txt\ndaemon /texts/with space.txt\n"
    )
    assert (
        user.text(*("exec", "every", "cat '/spaced/with space.txt' '/spaced too' /added/plain.md; cat /added/unpacked"))
        == "with space.txt\nwith space.txt\nplain.md\nyes"
    )
    assert user.text("exec", "every", "cd /context; find . -type f | sort").splitlines() == [
        *("./.dockerignore", "./a.txt", "./b.txt", "./plain.md", "./sub/deep.txt", "./things.tar", "./with space.txt")
    ]
    assert user.text("exec", "every", "ls /var/cache/mine 2>&1; true") == ""
    # What the image sets is the agent's and exec's, whoever the image's user is and whatever its entrypoint.
    user.mngr("exec", "every", "until [ -s colour ]; do sleep 0.1; done")
    assert user.text("exec", "every", "cat colour; echo $SHAPE; id -un") == "blue\nround blue\nroot\n"
    # Unchanged it builds nothing: there is no step to be told of and no log.
    again = user.mngr("create", "again", "-v", *args, "--", "sleep 1000")
    assert b"STEP" not in again.stderr
    assert b"nothing was built for again" in user.mngr("logs", "again", "--source", "build", check=3).stderr


def test_an_image_that_has_all_gets_no_packages(user: User, tmp_path: Path) -> None:
    """And the spec's own Dockerfile for sandboxes without network."""
    (tmp_path / "Dockerfile").write_text(
        "FROM debian:bookworm-slim\nRUN apt-get update && apt-get install -y --no-install-recommends \\\n"
        "    openssh-server tmux curl rsync git jq \\\n    && rm -rf /var/lib/apt/lists/*\n"
    )
    made = user.mngr(
        *("create", "ready", "-v", "-b", f"dockerfile={tmp_path / 'Dockerfile'}", "-b", "offline", "--", "sleep 1000")
    )
    # Its ca-certificates are what is missing then; no program is.
    assert b"mngr: installing ca-certificates\n" in made.stderr
    user.mngr("exec", "ready", "git log --oneline")
    (tmp_path / "Dockerfile.2").write_text(
        f"{(tmp_path / 'Dockerfile').read_text()}RUN apt-get update && apt-get install -y ca-certificates\n"
    )
    made = user.mngr("create", "more", "-v", "-b", f"dockerfile={tmp_path / 'Dockerfile.2'}", "--", "sleep 1000")
    assert b"mngr: installing" not in made.stderr


def test_a_failed_step_is_told_and_its_log_is_kept(user: User, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(
        "FROM debian:bookworm-slim\nRUN true\nRUN seq 100; echo the reason; exit 3\nRUN echo never\n"
    )
    failed = user.mngr("create", "bad", "-b", f"dockerfile={tmp_path / 'Dockerfile'}", "--", "x", check=1)
    lines = failed.stderr.decode().splitlines()
    assert lines[0].startswith("mngr: the image could not be built: step 3 of 4: RUN seq 100; echo the reason; exit 3")
    assert "mngr: the reason" in lines
    assert len(lines) < 20
    log = user.text("logs", "bad", "--source", "build")
    assert "\n1\n2\n3\n" in log
    assert "the reason" in log
    assert user.listed()["bad"]["host"]["state"] == "FAILED"  # type: ignore[index]


def test_a_build_is_watched_in_a_terminal(user: User, terminal: Terminal, tmp_path: Path) -> None:
    """Its steps come while it runs: this one runs until it is let go, over the network that a build has."""
    with socket.socket() as gate:
        gate.bind(("127.0.0.1", 0))
        port = gate.getsockname()[1]
        (tmp_path / "Dockerfile").write_text(
            'FROM debian:bookworm-slim\nSHELL ["/bin/bash", "-c"]\n'
            f"RUN until (: >/dev/tcp/127.0.0.1/{port}) 2>/dev/null; do sleep 0.1; done\nRUN echo over {tmp_path}\n"
        )
        terminal.type(f"mngr create seen --no-connect -b dockerfile={tmp_path / 'Dockerfile'} -- 'sleep 1000'", "Enter")
        terminal.until("building the image: 3/4: RUN until")
        gate.listen()
        terminal.until("seen is running")
    # The line of the progress is gone from the screen.
    assert "building" not in terminal.screen()


def test_a_list_of_arguments_of_the_spec(user: User) -> None:
    """``-b image=python:3.11-slim -b timeout=3600``, as printed there."""
    user.mngr("create", "my-agent", "--in", "modal", "-b", "image=python:3.11-slim", "-b", "timeout=3600", "--", "sh")
    shown = user.text("exec", "my-agent", "python --version; python3 -c 'import sys; print(sys.version_info[:2])'")
    assert shown.endswith("(3, 11)\n")
    assert user.listed()["my-agent"]["host"]["options"]["timeout"] == 3600  # type: ignore[index]
