"""The only place that prints results: for people, as JSON, as JSON lines, or by a template."""

from __future__ import annotations

import json
import string
import sys
import time
from collections.abc import Sequence
from typing import Any

from mngr import durations
from mngr.cli.shapes import agent_value, snapshot_value
from mngr.errors import MngrError, PartialFailure, UsageError
from mngr.models import AgentView, Host, HostFile, HostRecord, Snapshot

_COLUMNS = ("NAME", "STATE", "TYPE", "HOST", "HOST STATE", "AGE", "IDLE", "NOTE")
_NO_AGENTS = "no agents; make one: mngr create NAME --in modal"
_SNAPSHOT_COLUMNS = ("ID", "NAME", "KIND", "CREATED", "SIZE", "HOST", "BASED ON", "NOTE")


def listing(agents: Sequence[tuple[dict[str, Any], AgentView]], errors: Sequence[str], form: str) -> None:
    """Prints `mngr list`, of agents as they are in JSON and as they are."""
    if form == "human":
        for error in errors:
            print(f"mngr: {error}", file=sys.stderr)
        rows = [_row(view) for _value, view in agents]
        _table(_COLUMNS, rows, _NO_AGENTS)
        return
    values = [value for value, _view in agents]
    _structured(form, {"agents": values, "errors": list(errors)}, values)


def ids(found: Sequence[str], form: str) -> None:
    """Prints ids, one a line for people and for other commands."""
    if form == "json":
        print(json.dumps({"ids": list(found)}))
    elif found:
        print("\n".join(found))


def fields(values: Sequence[dict[str, Any]], names: Sequence[str], errors: Sequence[str], form: str) -> None:
    """Prints chosen fields of each. Raises `UsageError` for one that is not there."""
    rows = [{name: field_of(value, name, "--fields") for name in names} for value in values]
    if form == "human":
        for error in errors:
            print(f"mngr: {error}", file=sys.stderr)
        _table([name.upper() for name in names], [[_plain(cell) for cell in row.values()] for row in rows], _NO_AGENTS)
        return
    _structured(form, {"agents": rows, "errors": list(errors)}, rows)


def _plain(value: Any) -> str:
    return "-" if value is None else value if isinstance(value, str) else json.dumps(value)


def transcript(entries: Sequence[dict[str, Any]], form: str) -> None:
    """Prints what was said: for people each with who said it in front."""
    if form == "human":
        print("\n\n".join(_spoken(entry) for entry in entries))
        return
    _structured(form, {"transcript": list(entries)}, entries)


def _spoken(entry: dict[str, Any]) -> str:
    if entry["role"] == "screen":
        return str(entry["text"])
    return f"{entry['role']}: {entry['text']}"


def prefixed(name: str, line: str, *, error: bool = False) -> None:
    """Prints a line of one of several at once."""
    stream = sys.stderr if error else sys.stdout
    stream.write(f"{name}| {line}\n")
    stream.flush()


def agent(view: AgentView, form: str, human: str) -> None:
    """Prints what became of one agent: `human` is the line for people, empty for none."""
    value = agent_value(view)
    if form == "human":
        if human:
            print(human)
        return
    _structured(form, {"agent": value}, [value])


def changed(view: AgentView, now: Sequence[str], later: Sequence[str], form: str, *, quiet: bool) -> None:
    """Prints an agent after a change, with what of it counts at once and what from the next start on."""
    value = {"agent": agent_value(view), "now": list(now), "at_next_start": list(later)}
    parts = [f"changed now: {', '.join(map(_in_words, now))}"] if now else []
    parts += [f"at the next start: {', '.join(map(_in_words, later))}"] if later else []
    result(value, form, "" if quiet else f"{view.agent.name}: {'; '.join(parts) or 'nothing to change'}")


def _in_words(field: str) -> str:
    """``idle timeout`` for ``idle_timeout_s``; what is words already stays."""
    return field.removesuffix("_s").replace("_", " ") if field.islower() and " " not in field else field


def result(value: dict[str, Any], form: str, human: str) -> None:
    """Prints another result: `human` is the text for people, empty for none."""
    if form == "human":
        if human:
            print(human)
        return
    _structured(form, value, [value])


def items(key: str, values: Sequence[dict[str, Any]], form: str, human: str) -> None:
    """Prints a list of things: ``{key: […]}`` as JSON."""
    if form == "human":
        if human:
            print(human)
        return
    _structured(form, {key: list(values)}, values)


def text(data: bytes) -> None:
    """Prints what a program wrote, at once."""
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def files(found: Sequence[HostFile], form: str) -> None:
    """Prints `mngr file ls`."""
    if form == "human":
        for one in found:
            changed = time.strftime("%Y-%m-%d %H:%M", time.localtime(one.changed_at))
            print(f"{human_bytes(one.size):>8}  {changed}  {one.path}{'/' if one.is_folder else ''}")
        return
    values = [
        {"name": one.path, "is_folder": one.is_folder, "size": one.size, "changed_at": one.changed_at} for one in found
    ]
    _structured(form, {"files": values}, values)


def volumes(found: Sequence[tuple[str, str, Host | None]], form: str) -> None:
    """Prints `mngr volume list`."""
    values = [
        {
            "name": name,
            "host_id": host_id,
            "host": host.record.name if host else None,
            "host_state": host.state.value if host else None,
        }
        for name, host_id, host in found
    ]
    if form == "human":
        rows = [(one["name"] or "", one["host"] or "-", one["host_state"] or "no such host: mngr gc") for one in values]
        _table(("NAME", "HOST", "STATE"), rows, "no host volumes")
        return
    _structured(form, {"volumes": values}, values)


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
        value = field_of(item, field, "--format")
        filled.append(value if isinstance(value, str) else json.dumps(value))
    return "".join(filled)


def field_of(item: dict[str, Any], field: str, option: str) -> Any:
    """A field such as ``host.state`` of a value; a label that is not there is None. Raises `UsageError`."""
    value: Any = item
    before = ""
    for part in field.split("."):
        if before == "labels" and isinstance(value, dict):
            return value.get(part)
        if not isinstance(value, dict) or part not in value:
            raise UsageError(f"{option}: there is no field {field!r}; there are: {', '.join(sorted(item))}")
        value, before = value[part], part
    return value


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
        note = f"exit code {view.exit_code}{', out of memory' if view.out_of_memory else ''}"
    age = durations.ago(time.time() - view.agent.created_at)
    idle = "-" if view.idle_s is None else durations.ago(view.idle_s)
    first = note.split("\n")[0]
    host = view.host
    return (view.agent.name, view.state.value, view.agent.type, host.record.name, host.state.value, age, idle, first)


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]], nothing: str) -> None:
    if not rows:
        print(nothing)
        return
    widths = [max(len(row[column]) for row in [columns, *rows]) for column in range(len(columns))]
    for row in [columns, *rows]:
        print("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())


def snapshots(found: Sequence[tuple[HostRecord, Snapshot]], form: str) -> None:
    """Prints `mngr snapshot list`."""
    if form == "human":
        _table(_SNAPSHOT_COLUMNS, [_snapshot_row(*one) for one in found], "no snapshots")
        return
    values = [snapshot_value(*one) for one in found]
    _structured(form, {"snapshots": values}, values)


def _snapshot_row(record: HostRecord, snapshot: Snapshot) -> tuple[str, ...]:
    now = time.time()
    size = "-" if snapshot.size is None else human_bytes(snapshot.size)
    note = snapshot.description
    if snapshot.expires_at is not None:
        note = f"expires in {durations.ago(snapshot.expires_at - now)} {note}".strip()
    age = f"{durations.ago(now - snapshot.created_at)} ago"
    name = snapshot.name or "-"
    return (snapshot.id, name, snapshot.kind.value, age, size, record.name, snapshot.based_on or "-", note)


def counted(count: int, thing: str) -> str:
    """``1 file``, ``2 files``."""
    return f"{count} {thing}{'' if count == 1 else 's'}"


def human_bytes(count: int) -> str:
    """``512B``, ``1.5MB``, ``2.0GB``."""
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            break
        size /= 1000
    return f"{size:.0f}B" if unit == "B" else f"{size:.1f}{unit}"


def outcomes(form: str, key: str, values: Sequence[dict[str, Any]], errors: Sequence[MngrError], human: str) -> int:
    """Prints what became of several; the exit code. A single value is printed as ``{key: value}``, several as
    ``{keys: […], "errors": […]}``."""
    if form == "human":
        if human:
            print(human)
        for error in errors:
            failure(error, form)
    elif len(values) == 1 and not errors:
        _structured(form, {key: values[0]}, values)
    else:
        several = key if key.endswith(("ed", "told")) else f"{key}s"
        _structured(form, {several: list(values), "errors": [str(error) for error in errors]}, values)
    if not errors:
        return 0
    return PartialFailure.exit_code if values else errors[0].exit_code


def failure(error: MngrError, form: str) -> None:
    """Prints why a command failed: a line for each problem, or JSON, on standard error."""
    if form in ("json", "jsonl"):
        value = {"error": {"kind": type(error).__name__, "message": str(error), "exit_code": error.exit_code}}
        print(json.dumps(value), file=sys.stderr)
        return
    for line in str(error).splitlines() or [type(error).__name__]:
        print(f"mngr: {line}", file=sys.stderr)
