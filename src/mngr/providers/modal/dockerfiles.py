"""Reads Dockerfiles as far as is needed to tell a mistake before anything is built."""

from __future__ import annotations

import difflib
import json
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

_KEYWORDS = (
    *("FROM", "ARG", "RUN", "CMD", "LABEL", "MAINTAINER", "EXPOSE", "ENV", "ADD", "COPY", "ENTRYPOINT", "VOLUME"),
    *("USER", "WORKDIR", "ONBUILD", "STOPSIGNAL", "HEALTHCHECK", "SHELL"),
)
_HEREDOC = re.compile(r"(?:^|(?<=\s))\d*<<-?(['\"]?)([A-Za-z_][A-Za-z0-9_]*)\1(?=$|[\s;|&)>])")
_VARIABLE = re.compile(r"\$(?:\{[^}]*\}|\w+)")
_CONTEXT_STAGE = "mngr-context"


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction, from line `line` to line `end`; `text` stands behind the keyword, continued lines joined."""

    line: int
    end: int
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
        found.append(Instruction(start + 1, at, keyword, rest.strip()))
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
    if not context.is_dir() and context != file.parent:
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
        sources = _sources(instruction)
    except ValueError as error:
        return [f"{instruction.keyword}: {error}"]
    problems = []
    for source in sources:
        what = f"{instruction.keyword} {source}"
        if "$" in source:
            if source.startswith("$") and instruction.keyword == "COPY":
                problems.append(f"{what}: a path can not begin with a variable here; write ./{source}")
            continue
        inside = (context / source.lstrip("/")).resolve()
        if not inside.is_relative_to(context.resolve()):
            problems.append(f"{what}: lies outside of the build context {context}")
        elif not (inside.exists() or _matches(context, source)):
            problems.append(f"{what}: there is no such file in the build context {context}")
    return problems


def _matches(context: Path, pattern: str) -> bool:
    try:
        return any(context.glob(pattern.lstrip("/")))
    except (ValueError, IndexError, NotImplementedError):  # what glob makes of text that is no pattern
        return False


def _sources(instruction: Instruction) -> list[str]:
    """What COPY or ADD takes from the build context. Raises `ValueError` for text that is not understood."""
    text = instruction.text
    while text.startswith("--"):
        flag, _, text = text.partition(" ")
        text = text.lstrip()
        if flag.startswith("--from="):
            return []
    words = _json_words(text) or shlex.split(text)
    return [word for word in words[:-1] if "://" not in word and not word.startswith(("<<", "git@"))]


def _json_words(text: str) -> list[str] | None:
    if not text.startswith("["):
        return None
    words = json.loads(text)
    return words if isinstance(words, list) and all(isinstance(word, str) for word in words) else None


def for_sdk(text: str) -> str:
    """The same Dockerfile, with all that its build takes from the context in words that the SDK reads.

    The SDK (1.6) sends the files that COPY names. It reads neither ADD nor variables, for which a stage of its own that
    nothing uses names the files; and it stumbles over the JSON form, which becomes the other one. Raises
    `DockerfileError`.
    """
    instructions = parse(text)
    lines = text.splitlines(keepends=True)
    unread: list[str] = []
    for instruction in reversed(instructions):
        if instruction.keyword not in ("COPY", "ADD"):
            continue
        sources = _sources(instruction)
        if instruction.keyword == "COPY" and sources and instruction.text.endswith("]"):
            lines[instruction.line - 1 : instruction.end] = [_in_shell_form(instruction)]
        unread += [source for source in sources if lines[instruction.line - 1].lstrip()[:4].upper() != "COPY"]
        unread += [source for source in sources if "$" in source]
    if unread:
        # A glob stands for what can not be said: a space, and a variable that only the builder knows.
        patterns = dict.fromkeys(_globbed(_VARIABLE.sub("*", source)) for source in unread)
        at = next(one.line for one in instructions if one.keyword == "FROM") - 1
        lines.insert(at, f"FROM scratch AS {_CONTEXT_STAGE}\nCOPY {' '.join(patterns)} /\n")
    return "".join(lines)


def _globbed(path: str) -> str:
    return re.sub(r"\s", "?", path)


def _in_shell_form(instruction: Instruction) -> str:
    """COPY without JSON. A target with a space has no other form; ADD does the same with it for all but archives."""
    at = instruction.text.index("[")
    flags = instruction.text[:at]
    *sources, target = _json_words(instruction.text[at:]) or [""]
    if re.search(r"\s", target):
        return f"ADD {instruction.text}\n"
    return f"COPY {flags}{' '.join([*map(_globbed, sources), target])}\n"


def ignored(file: Path, context: Path) -> list[str]:
    """The lines of the .dockerignore that counts, the Dockerfile's own before the folder's; none without one."""
    places = (file.with_name(f"{file.name}.dockerignore"), file.with_name(".dockerignore"), context / ".dockerignore")
    found = next((place for place in places if place.is_relative_to(context) and place.exists()), None)
    return found.read_text().splitlines() if found else []
