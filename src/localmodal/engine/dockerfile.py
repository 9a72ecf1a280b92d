"""Dockerfile text as instructions, and back again in words that the buildah of Debian 12 (1.28) understands.

It knows no here-documents and no ``COPY --link``; Modal's builder does. What they do is said in other words here.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

HEREDOCS = "localmodal-heredocs"
_TOKEN = re.compile(r"(?:^|(?<=\s))(\d*)<<(-?)(['\"]?)([A-Za-z_][A-Za-z0-9_]*)\3(?=$|[\s;|&)>])")
_VARIABLE = re.compile(r"\\(\$)|\$(?:\{(\w+)(?::-([^}]*))?\}|(\w+))")
_TAKES_HEREDOCS = ("RUN", "COPY", "ADD")
_SHELL = ("/bin/sh", "-c")
# A here-document that names its interpreter is a program of its own.
_RUN_AS_FILE = (
    "f=$(mktemp) && cat >\"$f\" <<'LOCALMODAL_END'\n{body}LOCALMODAL_END\n"
    'chmod 700 "$f"; "$f"; code=$?; rm -f "$f"; exit $code'
)


@dataclass(frozen=True, slots=True)
class Heredoc:
    """A here-document: its token as written, its name, its text, and whether variables in it are filled in."""

    token: str
    name: str
    body: str
    strips_tabs: bool
    expands: bool


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction with its flags (``--from=x``) apart; continued lines are joined, comments are gone."""

    keyword: str
    flags: tuple[str, ...]
    text: str
    heredocs: tuple[Heredoc, ...] = ()

    def __str__(self) -> str:
        return " ".join([self.keyword, *self.flags, self.text])

    def flag(self, name: str) -> str | None:
        """The value of ``--name=value``, or None."""
        found = (flag.partition("=")[2] for flag in self.flags if flag.startswith(f"--{name}="))
        return next(found, None)

    def words(self) -> list[str] | None:
        """The words of the JSON form, None for the shell form."""
        try:
            words = json.loads(self.text) if self.text.startswith("[") else None
        except ValueError:
            return None
        return words if isinstance(words, list) and all(isinstance(word, str) for word in words) else None


@dataclass
class Stage:
    """What counts from here on in a stage: the shell, and the variables that are known from the file itself."""

    shell: tuple[str, ...] = _SHELL
    variables: dict[str, str] = field(default_factory=dict)


def parse(commands: Iterable[str]) -> list[Instruction]:
    """The instructions in lines of a Dockerfile. What is not understood stays as it is, for the builder to refuse."""
    lines = "\n".join(commands).split("\n")
    escape = "`" if re.match(r"\s*#\s*escape\s*=\s*`", lines[0]) else "\\"
    continued = re.compile(rf"{re.escape(escape)}[ \t]*$")
    found: list[Instruction] = []
    at = 0
    while at < len(lines):
        line = lines[at].strip()
        at += 1
        if not line or line.startswith("#"):
            continue
        while (mark := continued.search(line)) and at < len(lines):
            following = lines[at]
            at += 1
            if following.strip() and not following.lstrip().startswith("#"):
                line = f"{line[: mark.start()]}{following}"
        instruction = _split(continued.sub("", line).rstrip())
        if instruction.keyword in _TAKES_HEREDOCS:
            heredocs, at = _heredocs(instruction.text, lines, at)
            instruction = replace(instruction, heredocs=heredocs)
        found.append(instruction)
    return found


def _split(line: str) -> Instruction:
    keyword, _, rest = line.partition(" ")
    flags = []
    rest = rest.strip()
    while rest.startswith("--") and keyword.upper() != "ARG":
        flag, _, rest = rest.partition(" ")
        flags.append(flag)
        rest = rest.lstrip()
    return Instruction(keyword.upper(), tuple(flags), rest)


def _heredocs(text: str, lines: list[str], at: int) -> tuple[tuple[Heredoc, ...], int]:
    """The here-documents that `text` begins, and the line behind them. One that has no end is none."""
    found = []
    for match in _TOKEN.finditer(text):
        strips = match[2] == "-"
        ends = (n for n in range(at, len(lines)) if (lines[n].lstrip("\t") if strips else lines[n]) == match[4])
        end = next(ends, None)
        if end is None:
            break
        body = "".join(f"{line}\n" for line in lines[at:end])
        found.append(Heredoc(match[0], match[4], body, strips, expands=not match[3]))
        at = end + 1
    return tuple(found), at


def follow(stage: Stage, instruction: Instruction, build_args: Mapping[str, str], outside: Mapping[str, str]) -> None:
    """Takes what an instruction changes over into `stage`; FROM begins anew. `outside` are the ARGs before FROM."""
    if instruction.keyword == "FROM":
        stage.shell, stage.variables = _SHELL, {}
    elif instruction.keyword == "SHELL":
        stage.shell = tuple(instruction.words() or stage.shell)
    elif instruction.keyword == "ARG":
        for word in instruction.text.split():
            name, given, value = word.partition("=")
            default = value.strip("\"'") if given else outside.get(name, "")
            stage.variables[name] = build_args.get(name, default)
    elif instruction.keyword == "ENV":
        pairs = re.findall(r"(\w+)=(\"[^\"]*\"|'[^']*'|\S*)", instruction.text) or [instruction.text.split(None, 1)]
        # In the whole of one instruction variables have the values of before it.
        stage.variables |= {pair[0]: expand(pair[1].strip("\"'"), stage.variables) for pair in pairs if pair[1:]}


def expand(text: str, variables: Mapping[str, str]) -> str:
    """`text` with ``$NAME``, ``${NAME}`` and ``${NAME:-otherwise}`` filled in; an unknown one is empty."""
    return _VARIABLE.sub(lambda found: found[1] or variables.get(found[2] or found[4], "") or found[3] or "", text)


def without_heredocs(instruction: Instruction, stage: Stage) -> tuple[list[Instruction], dict[str, bytes]]:
    """The same in words that need no here-document, and the files of the context `HEREDOCS` that it needs for that."""
    if instruction.keyword != "RUN":
        instruction = replace(instruction, flags=tuple(flag for flag in instruction.flags if flag[:6] != "--link"))
    if not instruction.heredocs:
        return [instruction], {}
    if instruction.keyword == "RUN":
        text = json.dumps([*stage.shell, _script(instruction)])
        return [replace(instruction, text=text, heredocs=())], {}
    files: dict[str, bytes] = {}
    tokens = [heredoc.token for heredoc in instruction.heredocs]
    words = [word for word in instruction.text.split() if word not in tokens]
    if not words:
        # Nowhere to copy to: the builder says so in its own words.
        return [replace(instruction, heredocs=())], {}
    *sources, target = words
    for heredoc in instruction.heredocs:
        body = _body(heredoc)
        data = (expand(body, stage.variables) if heredoc.expands else body).encode()
        files[f"{hashlib.sha256(data).hexdigest()[:16]}/{heredoc.name}"] = data
    made = Instruction("COPY", (f"--from={HEREDOCS}", *instruction.flags), " ".join([*files, target]))
    rest = replace(instruction, text=" ".join([*sources, target]), heredocs=())
    return [rest, made] if sources else [made], files


def _script(instruction: Instruction) -> str:
    first = instruction.heredocs[0]
    if instruction.text == first.token:
        body = _body(first)
        return _RUN_AS_FILE.format(body=body) if body.startswith("#!") else body
    return f"{instruction.text}\n" + "".join(f"{one.body}{one.name}\n" for one in instruction.heredocs)


def _body(heredoc: Heredoc) -> str:
    return re.sub(r"^\t+", "", heredoc.body, flags=re.MULTILINE) if heredoc.strips_tabs else heredoc.body
