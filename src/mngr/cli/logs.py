"""`mngr logs`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import click

from mngr import durations
from mngr.cli import render
from mngr.cli.app import Output, common_options
from mngr.cli.escapes import Stripper
from mngr.cli.steps import steps
from mngr.errors import NotFound, UsageError
from mngr.hosts.host_dir import Where
from mngr.operations import logs
from mngr.operations.finding import Found, look

_ALL = "all"


@click.command("logs")
@click.argument("name", metavar="AGENT|HOST")
@click.option("-f", "--follow", is_flag=True, help="Go on with what is written, across ends and starts of the host.")
@click.option("-n", "--tail", type=click.IntRange(min=0), metavar="N", help="Only the last N lines.")
@click.option("--since", metavar="TIME", help="Only what was written in the last 10m, 2h, … (to about ten seconds).")
@click.option(
    "--source",
    type=click.Choice([*logs.AGENT_SOURCES, _ALL]),
    help="Which log.  [default: output of an agent, all of a host]",
)
@click.option("--raw", is_flag=True, help="Every byte as the program wrote it, with all control sequences.")
@common_options
@click.pass_obj
def command(
    output: Output, name: str, follow: bool, tail: int | None, since: str | None, source: str | None, raw: bool
) -> int:
    """Show what AGENT wrote to its terminal, or another log of it or its host, also when that does not run.

    Colours stay on a terminal; in a pipe all control sequences are taken out.
    """
    if tail is not None and since is not None:
        raise UsageError("--tail, --since: give one of them")
    where = Where(tail=tail, since_s=_seconds(since))
    if follow:
        return _follow(output, name, source or "output", where, raw=raw)
    return _show(output, look(name, destroyed=True), source, where, raw=raw)


def _seconds(since: str | None) -> int | None:
    try:
        return None if since is None else durations.parse(since)
    except ValueError as error:
        raise UsageError(f"--since {since}: {error}") from None


def _show(output: Output, named: Found, wanted: str | None, where: Where, *, raw: bool) -> int:
    render.check_format(output.form)
    known = logs.sources(named)
    wanted = wanted or ("output" if "output" in known else _ALL)
    sources = known if wanted == _ALL else (wanted,)
    found = []
    for source in sources:
        try:
            found.append(logs.read(named, source, where))
        except NotFound:
            # Nothing was built for a clone.
            if len(sources) == 1 or source != "build":
                raise
    if output.form == "human":
        for note in dict.fromkeys(one.note for one in found if one.note):
            steps(output).say(note)
        for one in found:
            if len(sources) > 1 and one.data:
                render.text(f"==> {one.source} <==\n".encode())
            render.text(one.data if raw else _clean(one.data, colours=sys.stdout.isatty()))
        return 0
    values = [_value(one, raw=raw) for one in found]
    if output.form == "jsonl":
        for one, value in zip(found, values, strict=True):
            for line in value["log"].splitlines():
                print(json.dumps({"source": one.source, "line": line}))
        return 0
    whole: dict[str, Any] = values[0] if len(sources) == 1 else {"logs": values}
    render.result(whole, output.form, "")
    return 0


def _clean(data: bytes, *, colours: bool) -> bytes:
    stripper = Stripper(colours=colours)
    return stripper.feed(data) + stripper.end()


def _value(one: logs.Read, *, raw: bool) -> dict[str, Any]:
    text = (one.data if raw else _clean(one.data, colours=False)).decode(errors="replace")
    value = {"source": one.source, "log": text, "place": one.place, "live": one.live}
    return value | {"as_of": one.as_of, "note": one.note or None}


def _follow(output: Output, name: str, source: str, where: Where, *, raw: bool) -> int:
    if source == _ALL:
        raise UsageError(f"--follow: needs one log; add --source {'|'.join(logs.AGENT_SOURCES)}")
    if output.form not in ("human", "jsonl"):
        raise UsageError(f"--follow: goes with --format human or jsonl, not {output.form}")
    pieces = logs.follow(name, source, where, steps(output).say)
    if not raw:
        pieces = _cleaned(pieces, colours=sys.stdout.isatty() and output.form == "human")
    if output.form == "human":
        for piece in pieces:
            render.text(piece)
    else:
        for line in lines_of(pieces):
            print(json.dumps({"source": source, "line": line.decode(errors="replace")}), flush=True)
    return 0


def _cleaned(pieces: Iterator[bytes], *, colours: bool) -> Iterator[bytes]:
    stripper = Stripper(colours=colours)
    for piece in pieces:
        yield stripper.feed(piece)
    yield stripper.end()


def lines_of(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Whole lines, and what is left at the end."""
    rest = b""
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        yield from lines
    if rest:
        yield rest
