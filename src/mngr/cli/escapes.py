"""Takes the control sequences of terminals out of what a program wrote to one."""

from __future__ import annotations

import re

# ECMA-48: CSI … final byte; OSC, DCS, SOS, PM and APC strings up to BEL or ST; two-byte and charset sequences.
_SEQUENCE = re.compile(
    rb"\x1b\[[0-?]*[ -/]*([@-~])|\x1b[\]PX^_].*?(?:\x07|\x1b\\)|\x1b[ -/]+[0-~]|\x1b[0-Z\\`-~]", re.DOTALL
)
_OTHER = re.compile(rb"[\x00-\x06\x07\x08\x0b-\x0c\x0e-\x1a\x1c-\x1f\x7f]")
_UNFINISHED = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*|[ -/]*|[\]PX^_][^\x07\x1b]{0,4096})?\x1b?\Z")


class Stripper:
    """Takes sequences out of a stream that comes in pieces; with `colours` those of colours stay."""

    def __init__(self, *, colours: bool) -> None:
        self._colours = colours
        self._rest = b""

    def feed(self, piece: bytes) -> bytes:
        """What can be shown of all so far that was not yet given; a sequence that is cut off waits for its rest."""
        data = self._rest + piece
        cut = _UNFINISHED.search(data)
        at = cut.start() if cut else len(data) - data.endswith(b"\r")
        self._rest, data = data[at:], data[:at]
        return self._clean(data)

    def end(self) -> bytes:
        data, self._rest = self._rest, b""
        return self._clean(data)

    def _clean(self, data: bytes) -> bytes:
        data = _SEQUENCE.sub(lambda found: found[0] if self._colours and found[1] == b"m" else b"", data)
        return _OTHER.sub(b"", data).replace(b"\r\n", b"\n").replace(b"\r", b"\n" if not self._colours else b"\r")
