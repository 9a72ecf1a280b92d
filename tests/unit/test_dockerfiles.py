"""Dockerfiles: as the SDK gets them from mngr, and as buildah gets them from localmodal."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from localmodal.engine import dockerfile
from mngr.providers.modal import dockerfiles


def _plain(text: str, **build_args: str) -> tuple[list[str], list[bytes]]:
    """What buildah is given for a Dockerfile, and the here-documents that go with it."""
    stage, lines, files = dockerfile.Stage(), [], {}
    for instruction in dockerfile.parse(text.split("\n")):
        dockerfile.follow(stage, instruction, build_args, {})
        plain, more = dockerfile.without_heredocs(instruction, stage)
        lines += [str(one) for one in plain]
        files |= more
    return lines, list(files.values())


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("RUN a \\\n  # no\n\n  b", ["RUN a   b"]),
        (
            "run --mount=type=cache,target=/c \\\n --network=none x",
            ["RUN --mount=type=cache,target=/c --network=none x"],
        ),
        ("RUN <<EOF\nFROM x\nEOF\nRUN y", ['RUN ["/bin/sh", "-c", "FROM x\\n"]', "RUN y"]),
        (
            'SHELL ["/bin/bash", "-c"]\nRUN cat <<A\nx\nA',
            ['SHELL ["/bin/bash", "-c"]', 'RUN ["/bin/bash", "-c", "cat <<A\\nx\\nA\\n"]'],
        ),
        ("RUN cat <<<word", ["RUN cat <<<word"]),
        ("COPY --link a b", ["COPY a b"]),
        ("RUN <<-EOF\n\techo x\n\tEOF", ['RUN ["/bin/sh", "-c", "echo x\\n"]']),
    ],
)
def test_words_for_buildah(text: str, lines: list[str]) -> None:
    assert _plain(text)[0] == lines


def test_variables_of_a_copied_here_document() -> None:
    text = "ARG V=1\nENV A=$V B=$A\nCOPY <<X <<'Y' /d/\n$V $A ${B} ${C:-c} \\$A\nX\n$A\nY\n"
    lines, files = _plain(text, V="2")
    assert files == [b"2 2  c $A\n", b"$A\n"]
    assert lines[-1].startswith("COPY --from=localmodal-heredocs ")
    assert lines[-1].endswith("/Y /d/")


@pytest.mark.parametrize(
    ("text", "becomes"),
    [
        ("FROM x\nCOPY a b /c\n", "FROM x\nCOPY a b /c\n"),
        ('FROM x\nCOPY --chown=1 ["a b", "c", "/d"]\nRUN y\n', "FROM x\nCOPY --chown=1 a?b c /d\nRUN y\n"),
        ('FROM x\nCOPY --from=y ["a b", "/d"]\n', 'FROM x\nCOPY --from=y ["a b", "/d"]\n'),
        ("ARG A\nFROM x\nADD a /\n", "ARG A\nFROM scratch AS mngr-context\nCOPY a /\nFROM x\nADD a /\n"),
        ("FROM x\nADD https://example.com/a /\n", "FROM x\nADD https://example.com/a /\n"),
        ("FROM x\nCOPY ./$A /\n", "FROM scratch AS mngr-context\nCOPY ./* /\nFROM x\nCOPY ./$A /\n"),
        ("FROM x\nCOPY <<E /a\nx\nE\n", "FROM x\nCOPY <<E /a\nx\nE\n"),
    ],
)
def test_words_for_the_sdk(text: str, becomes: str) -> None:
    assert dockerfiles.for_sdk(text) == becomes


LINES = st.lists(
    st.sampled_from([*"\\ <>-'\"[]$\n\t#", "FROM x\n", "RUN ", "COPY ", "ADD ", "<<EOF", "\nEOF\n", "a", "ENV "])
)


@example("COPY <<EOF\nEOF\n")
@settings(max_examples=2_000, deadline=None)
@given(LINES.map("".join))
def test_any_text_is_read_or_refused(text: str) -> None:
    _plain(text)
    try:
        dockerfiles.for_sdk(f"FROM x\n{text}")
    except ValueError as error:
        assert str(error)
