"""The only place that prints results: for people, as JSON, as JSON lines, or by a template."""

from __future__ import annotations

import json
import re
import shutil
import string
import sys
import time
from collections.abc import Sequence
from typing import Any, TextIO

from mngr.errors import MngrError, UsageError
from mngr.hosts import known, ssh
from mngr.models import AgentView, Host

# As podman's builds write it, and as Modal's do.
_BUILD_STEP = re.compile(r"(?:\[\d+/\d+\] )?STEP |=> Step ")
_COLUMNS = ("NAME", "STATE", "TYPE", "HOST", "AGE", "NOTE")


def agent_value(view: AgentView) -> dict[str, Any]:
    """An agent in the form that the documentation promises."""
    agent = view.agent
    return {
        "id": agent.id,
        "name": agent.name,
        "type": agent.type,
        "state": view.state.value,
        "created_at": agent.created_at,
        "work_dir": agent.work_dir,
        "command": agent.command,
        "exit_code": view.exit_code,
        "labels": agent.labels,
        "host": host_value(view.host),
    }


def host_value(host: Host) -> dict[str, Any]:
    record = host.record
    return {
        "id": record.id,
        "name": record.name,
        "provider": record.provider,
        "state": host.state.value,
        "reason": host.reason or record.reason,
        "sandbox_id": record.sandbox_id,
        "options": record.options,
        "snapshots": list(record.snapshot_ids),
        "ssh": _ssh_value(host),
    }


def _ssh_value(host: Host) -> dict[str, Any] | None:
    if host.endpoint is None:
        return None
    endpoint = host.endpoint
    try:
        command = " ".join(ssh.argv(known.target(host.record, endpoint)))
    except MngrError:
        command = ""
    return {"host": endpoint.address, "port": endpoint.port, "user": endpoint.user, "command": command}


def listing(views: Sequence[AgentView], errors: Sequence[str], form: str) -> None:
    """Prints `mngr list`."""
    if form == "human":
        for error in errors:
            print(f"mngr: {error}", file=sys.stderr)
        _table([_row(view) for view in views])
        return
    values = [agent_value(view) for view in views]
    _structured(form, {"agents": values, "errors": list(errors)}, values)


def agent(view: AgentView, form: str, human: str) -> None:
    """Prints what became of one agent: `human` is the line for people, empty for none."""
    value = agent_value(view)
    if form == "human":
        if human:
            print(human)
        return
    _structured(form, {"agent": value}, [value])


def result(value: dict[str, Any], form: str, human: str) -> None:
    """Prints another result: `human` is the text for people, empty for none."""
    if form == "human":
        if human:
            print(human)
        return
    _structured(form, value, [value])


def _structured(form: str, whole: dict[str, Any], items: Sequence[dict[str, Any]]) -> None:
    if form == "json":
        print(json.dumps(whole))
    elif form == "jsonl":
        for item in items:
            print(json.dumps(item))
    else:
        for item in items:
            print(_fill(form, item))


def _fill(template: str, item: dict[str, Any]) -> str:
    """`template` with ``{name}`` or ``{host.state}`` filled in. Raises `UsageError` for a field that is not there."""
    filled = []
    for literal, field, _spec, _conversion in string.Formatter().parse(template):
        filled.append(literal)
        if field is None:
            continue
        value: Any = item
        for part in field.split("."):
            if not isinstance(value, dict) or part not in value:
                raise UsageError(f"--format: there is no field {field!r}; there are: {', '.join(sorted(item))}")
            value = value[part]
        filled.append(value if isinstance(value, str) else json.dumps(value))
    return "".join(filled)


def check_format(form: str) -> str:
    """A form of output. Raises `UsageError` for one that is none."""
    if form in ("human", "json", "jsonl"):
        return form
    try:
        fields = [field for _text, field, _spec, _conversion in string.Formatter().parse(form)]
    except ValueError as error:
        raise UsageError(f"--format {form!r}: {error}") from error
    if not any(fields):
        raise UsageError(f"--format {form!r}: must be human, json, jsonl or a template such as '{{name}} {{state}}'")
    return form


def _row(view: AgentView) -> tuple[str, ...]:
    note = view.host.reason or view.host.record.reason
    if view.exit_code is not None:
        note = f"exit code {view.exit_code}"
    age = _age(time.time() - view.agent.created_at)
    return (view.agent.name, view.state.value, view.agent.type, view.host.state.value, age, note.split("\n")[0])


def _table(rows: Sequence[tuple[str, ...]]) -> None:
    if not rows:
        print("no agents; make one: mngr create NAME --in modal --type command -- COMMAND")
        return
    widths = [max(len(row[column]) for row in [_COLUMNS, *rows]) for column in range(len(_COLUMNS))]
    for row in [_COLUMNS, *rows]:
        print("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())


def _age(seconds: float) -> str:
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= size:
            return f"{int(seconds // size)}{unit}"
    return f"{int(seconds)}s"


def failure(error: MngrError, form: str) -> None:
    """Prints why a command failed: a line for each problem, or JSON, on standard error."""
    if form in ("json", "jsonl"):
        value = {"error": {"kind": type(error).__name__, "message": str(error), "exit_code": error.exit_code}}
        print(json.dumps(value), file=sys.stderr)
        return
    for line in str(error).splitlines() or [type(error).__name__]:
        print(f"mngr: {line}", file=sys.stderr)


class Steps:
    """Shows a person what is being done, on one line of the terminal. Silent elsewhere and with ``-q``."""

    def __init__(self, *, quiet: bool, verbose: bool, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._lines = verbose
        self._shown = (self._stream.isatty() or verbose) and not quiet
        self._open = False
        self._step = ""

    def __call__(self, step: str) -> None:
        if not self._shown:
            return
        if self._lines:
            print(f"mngr: {step}", file=self._stream)
            return
        self._step = step
        self._show(f"{step} …")

    def log(self, text: str) -> None:
        """What a build writes: whole with ``-v``, else only the step that it is at."""
        if not self._shown:
            return
        if self._lines:
            self._stream.write(text)
            self._stream.flush()
            return
        for line in text.splitlines():
            begun = _BUILD_STEP.match(line)
            if begun:
                self._show(f"{self._step}: {line[begun.end() :]}")

    def _show(self, text: str) -> None:
        width = shutil.get_terminal_size().columns - 1
        self._stream.write(f"\r\033[K{text[:width]}")
        self._stream.flush()
        self._open = True

    def done(self) -> None:
        """Clears the line."""
        if self._open:
            self._stream.write("\r\033[K")
            self._stream.flush()
            self._open = False
