"""Control sequences are taken out of what programs write to terminals, however it is cut into pieces."""

from __future__ import annotations

import pytest

from mngr.cli.escapes import Stripper

SHOWN = (
    b"plain\r\n\x1b[1;31mred\x1b[0m\r\n\x1b]0;a title\x07after\x1b[2K\x1b[10;5H moved\x1b(B\r\n"
    b"\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\\x1b7\x1b[?25l bell\x07 back\x08\r\n"
    b"\x1bPq#0\x1b\\sixel\rnext \xc3\xa4\r\n"
    b"\x1b[2G\x1b[31mn\xc3\xb6\x1b[0m\x1b[6Gfar\x1b[2Gback\x1b[Cone\x1b[999Cout\x1b[999G\r\x1b[K\r\n"
)
PLAIN = "plain\nred\nafter moved\nlink bell back\nsixel\nnext ä\n nö  farback oneout\n".encode()


def strip(pieces: list[bytes], *, colours: bool) -> bytes:
    stripper = Stripper(colours=colours)
    return b"".join([*map(stripper.feed, pieces), stripper.end()])


def test_in_a_pipe_text_is_left() -> None:
    assert strip([SHOWN], colours=False) == PLAIN


def test_on_a_terminal_colours_stay() -> None:
    assert strip([b"\x1b[2J\x1b[1;31mred\x1b[0m\x1b[H\r\n"], colours=True) == b"\x1b[1;31mred\x1b[0m\n"


@pytest.mark.parametrize("colours", [True, False])
def test_where_it_is_cut_makes_no_difference(colours: bool) -> None:
    whole = strip([SHOWN], colours=colours)
    for at in range(len(SHOWN)):
        assert strip([SHOWN[:at], SHOWN[at:]], colours=colours) == whole
    assert strip([SHOWN[at : at + 1] for at in range(len(SHOWN))], colours=colours) == whole


def test_a_sequence_that_never_ends_is_shown_in_the_end() -> None:
    assert strip([b"text \x1b]0;", b"x" * 5000, b" more"], colours=False).endswith(b" more")
