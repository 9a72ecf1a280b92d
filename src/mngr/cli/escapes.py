"""Takes the control sequences of terminals out of what a program wrote to one."""

from __future__ import annotations

import re

# ECMA-48: CSI … final byte; OSC, DCS, SOS, PM and APC strings up to BEL or ST; two-byte and charset sequences.
_SEQUENCE = re.compile(
    rb"\x1b\[[0-?]*[ -/]*([@-~])|\x1b[\]PX^_].*?(?:\x07|\x1b\\)|\x1b[ -/]+[0-~]|\x1b[0-Z\\`-~]", re.DOTALL
)
_OTHER = re.compile(rb"[\x00-\x06\x07\x08\x0b-\x0c\x0e-\x1a\x1c-\x1f\x7f]")
_UNFINISHED = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*|[ -/]*|[\]PX^_][^\x07\x1b]{0,4096})?\x1b?\Z")
_RIGHT = re.compile(rb"\x1b\[(\d*)([CG`])")
_COLOUR = re.compile(rb"\x1b\[[0-?]*m")
_WIDEST = 250
"""Columns. Who moves further to the right wants to know how wide the terminal is."""
_LONGEST = 1024
"""Bytes. What is before these is not counted as columns: a screen that is painted over has no lines."""


class Stripper:
    """Takes sequences out of a stream that comes in pieces; with `colours` those of colours stay. A move to the right
    within a line, by which some programs part their words, is spaces."""

    def __init__(self, *, colours: bool) -> None:
        self._colours = colours
        self._rest = b""
        self._line = b""
        self._returns = b""

    def feed(self, piece: bytes) -> bytes:
        """What can be shown of all so far that was not yet given; a sequence that is cut off waits for its rest."""
        data = self._rest + piece
        cut = _UNFINISHED.search(data)
        at = cut.start() if cut else len(data)
        self._rest, data = data[at:], data[:at]
        shown = self._returns + self._clean(data)
        ended = shown.rstrip(b"\r")
        self._returns = shown[len(ended) :]
        return self._with_newlines(ended)

    def end(self) -> bytes:
        data, self._rest = self._rest, b""
        return self._with_newlines(self._returns + self._clean(data))

    def _clean(self, data: bytes) -> bytes:
        """Continues the line that is begun, whose last bytes are kept to know its length."""
        shown = bytearray(self._line)
        at = 0
        for found in _SEQUENCE.finditer(data) if _RIGHT.search(data) else ():
            shown += _OTHER.sub(b"", data[at : found.start()])
            shown += self._replacement(found, shown)
            at = found.end()
        shown += _OTHER.sub(b"", _SEQUENCE.sub(self._colour, data[at:]))
        begun, self._line = len(self._line), _open_line(shown)
        return bytes(shown[begun:])

    def _with_newlines(self, text: bytes) -> bytes:
        """Terminals are told to return to the begin of a line before they go to the next, some programs tell it too."""
        while b"\r\n" in text:
            text = text.replace(b"\r\n", b"\n")
        return text if self._colours else text.replace(b"\r", b"\n")

    def _colour(self, found: re.Match[bytes]) -> bytes:
        return found[0] if self._colours and found[1] == b"m" else b""

    def _replacement(self, found: re.Match[bytes], shown: bytearray) -> bytes:
        right = _RIGHT.fullmatch(found[0])
        if right is None:
            return self._colour(found)
        columns = max(int(right[1] or 1), 1)
        if right[2] != b"C":
            columns -= 1 + len(_COLOUR.sub(b"", _open_line(shown)).decode(errors="replace"))
        return b" " * columns if columns <= _WIDEST else b""


def _open_line(shown: bytearray) -> bytes:
    """The line that is not ended yet, or the end of it."""
    last = bytes(shown[-_LONGEST:])
    return last[max(last.rfind(b"\n"), last.rfind(b"\r")) + 1 :]
