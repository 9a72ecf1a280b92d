"""Reads Dockerfiles as far as is needed to tell a mistake before anything is built."""

from __future__ import annotations

import difflib
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

_KEYWORDS = (
    *("FROM", "ARG", "RUN", "CMD", "LABEL", "MAINTAINER", "EXPOSE", "ENV", "ADD", "COPY", "ENTRYPOINT", "VOLUME"),
    *("USER", "WORKDIR", "ONBUILD", "STOPSIGNAL", "HEALTHCHECK", "SHELL"),
)
_HEREDOC = re.compile(r"<<-?\s*(['\"]?)([A-Za-z_][A-Za-z0-9_]*)\1")


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction; `line` is where it begins, `text` what stands behind the keyword, continued lines joined."""

    line: int
    keyword: str
    text: str


class DockerfileError(ValueError):
    """The text is no Dockerfile. The message begins with the line."""


def parse(text: str) -> list[Instruction]:
    """The instructions of a Dockerfile. Raises `DockerfileError`."""
    escape = "`" if re.match(r"\s*#\s*escape\s*=\s*`", text) else "\\"
    found: list[Instruction] = []
    lines = text.splitlines()
    at = 0
    while at < len(lines):
        start = at
        joined = lines[at].strip()
        at += 1
        if not joined or joined.startswith("#"):
            continue
        while joined.endswith(escape) and at < len(lines):
            following = lines[at].strip()
            at += 1
            if not following.startswith("#"):
                joined = f"{joined[:-1].rstrip()} {following}"
        keyword, _, rest = joined.partition(" ")
        keyword = keyword.upper()
        if keyword not in _KEYWORDS:
            near = difflib.get_close_matches(keyword, _KEYWORDS, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise DockerfileError(f"line {start + 1}: unknown instruction {keyword}{hint}")
        if not rest.strip():
            raise DockerfileError(f"line {start + 1}: {keyword} needs something behind it")
        if keyword in ("RUN", "COPY", "ADD"):
            at = _skip_heredocs(lines, at, joined, start)
        found.append(Instruction(start + 1, keyword, rest.strip()))
    first = next((one for one in found if one.keyword != "ARG"), None)
    if first is None or first.keyword != "FROM":
        raise DockerfileError(f"line {first.line if first else 1}: there must be a FROM before anything else")
    return found


def _skip_heredocs(lines: list[str], at: int, text: str, start: int) -> int:
    for match in _HEREDOC.finditer(text):
        while at < len(lines) and lines[at].strip() != match[2]:
            at += 1
        if at == len(lines):
            raise DockerfileError(f"line {start + 1}: the end of <<{match[2]} is missing")
        at += 1
    return at


def check(file: Path, context: Path) -> list[str]:
    """What is wrong with a Dockerfile and its context, a line each."""
    problems = []
    if not context.is_dir():
        problems.append(f"build argument context-dir={context}: there is no such folder")
    if not file.is_file():
        return [*problems, f"build argument dockerfile={file}: there is no such file"]
    try:
        instructions = parse(file.read_text())
    except (DockerfileError, UnicodeDecodeError) as error:
        return [*problems, f"{file}: {error}"]
    if problems:
        return problems
    for instruction in instructions:
        if instruction.keyword in ("COPY", "ADD"):
            problems += [f"{file}: line {instruction.line}: {text}" for text in _check_copy(instruction, context)]
    return problems


def _check_copy(instruction: Instruction, context: Path) -> list[str]:
    try:
        words = shlex.split(instruction.text)
    except ValueError as error:
        return [f"{instruction.keyword}: {error}"]
    flags = [word for word in words if word.startswith("--")]
    sources = [word for word in words if not word.startswith("--")][:-1]
    if any(flag.startswith("--from=") for flag in flags) or instruction.text.lstrip("-").startswith("["):
        return []
    problems = []
    for source in sources:
        if "$" in source or "://" in source or source.startswith(("<<", "git@")):
            continue
        inside = (context / source.lstrip("/")).resolve()
        if not inside.is_relative_to(context.resolve()):
            problems.append(f"{instruction.keyword} {source}: lies outside of the build context {context}")
        elif not any(context.glob(source.lstrip("/") or "*")):
            problems.append(f"{instruction.keyword} {source}: there is no such file in the build context {context}")
    return problems
