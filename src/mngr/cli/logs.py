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
from mngr.operations import following, logs
from mngr.operations.finding import Found, look


@click.command("logs")
@click.argument("name", metavar="AGENT|HOST")
@click.option("-f", "--follow", is_flag=True, help="Go on with what is written, across ends and starts of the host.")
@click.option("-n", "--tail", type=click.IntRange(min=0), metavar="N", help="Only the last N lines.")
@click.option("--since", metavar="TIME", help="Only what was written in the last 10m, 2h, …, and up to 2 s before.")
@click.option(
    "--source",
    type=click.Choice([*logs.AGENT_SOURCES, logs.ALL]),
    help="Which log.  [default: output of an agent, all of a host]",
)
@click.option("--raw", is_flag=True, help="Every byte as the program wrote it, with all control sequences.")
@common_options
@click.pass_obj
def command(
    output: Output, name: str, follow: bool, tail: int | None, since: str | None, source: str | None, raw: bool
) -> int:
    """Show what AGENT wrote to its terminal, or another log of it or its host, also when that does not run.

    Colours stay on a terminal; in a pipe all control sequences are taken out. With --follow and several sources each
    line begins with the name of its source.
    """
    if tail is not None and since is not None:
        raise UsageError("--tail, --since: give one of them")
    where = Where(tail=tail, since_s=_seconds(since))
    if follow:
        return _follow(output, name, source, where, raw=raw)
    return _show(output, look(name, destroyed=True), source, where, raw=raw)


def _seconds(since: str | None) -> int | None:
    try:
        return None if since is None else durations.parse(since)
    except ValueError as error:
        raise UsageError(f"--since {since}: {error}") from None


def _show(output: Output, named: Found, wanted: str | None, where: Where, *, raw: bool) -> int:
    render.check_format(output.form)
    sources = logs.chosen(named, wanted)
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


def _follow(output: Output, name: str, wanted: str | None, where: Where, *, raw: bool) -> int:
    if output.form not in ("human", "jsonl"):
        raise UsageError(f"--follow: goes with --format human or jsonl, not {output.form}")
    followed = following.follow(name, wanted, where, steps(output).say)
    colours = sys.stdout.isatty() and output.form == "human"
    cleaned = followed.pieces if raw else _cleaned(followed, colours=colours)
    if output.form == "human" and len(followed.sources) == 1:
        for _source, piece in cleaned:
            render.text(piece)
        return 0
    for source, line in lines_of(cleaned):
        if output.form == "jsonl":
            print(json.dumps({"source": source, "line": line.decode(errors="replace")}), flush=True)
            continue
        # What would go back to the beginning of the line would go over the name.
        for part in line.split(b"\r"):
            render.text(source.encode() + b"| " + part + b"\n")
    return 0


def _cleaned(followed: following.Followed, *, colours: bool) -> Iterator[following.Piece]:
    strippers = {source: Stripper(colours=colours) for source in followed.sources}
    for source, piece in followed.pieces:
        yield source, strippers[source].feed(piece)
    for source, stripper in strippers.items():
        yield source, stripper.end()


def lines_of(pieces: Iterator[following.Piece]) -> Iterator[following.Piece]:
    """Whole lines of each source, in the order in which they end, and what is left at the end."""
    rests: dict[str, bytes] = {}
    for source, piece in pieces:
        *lines, rests[source] = (rests.get(source, b"") + piece).split(b"\n")
        for line in lines:
            yield source, line
    for source, rest in rests.items():
        if rest:
            yield source, rest
