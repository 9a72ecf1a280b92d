"""What is drawn over, and which lines are news."""

from __future__ import annotations

import os

import pytest

from mngr.cli import watching


def test_a_table_stays_in_its_place(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching.shutil, "get_terminal_size", lambda: os.terminal_size((80, 4)))
    with watching.place() as place:
        place.draw("one\ntwo\n")
        first = capsys.readouterr().out
        place.draw("one\ntwo\n")
        assert not capsys.readouterr().out
        place.draw("one\n")
        second = capsys.readouterr().out
        place.draw("1\n2\n3\n4\n5\n")
        third = capsys.readouterr().out
    assert first.endswith("\rone\033[K\ntwo\033[K\n\033[J")
    assert second.endswith("\033[2A\rone\033[K\n\033[J")
    assert third.endswith("\033[1A\r1\033[K\n2\033[K\n… 3 more\033[K\n\033[J")
    # The cursor and the wrapping of lines are as before.
    assert capsys.readouterr().out.endswith("\033[?7h\033[?25h")


def test_lines_are_printed_when_they_are_new(capsys: pytest.CaptureFixture[str]) -> None:
    changes = watching.Changes()

    def shown(timeless: str, lines: str) -> list[str]:
        changes.show(timeless, lambda: lines)
        return capsys.readouterr().out.splitlines()

    assert shown("a 1\nb 1\n", "a 1 0s\nb 1 0s\n") == ["a 1 0s", "b 1 0s"]
    assert shown("a 1\nb 1\n", "a 1 3s\nb 1 3s\n") == []
    assert shown("b 2\na 1\n", "b 2 0s\na 1 6s\n") == ["b 2 0s"]
    assert shown("a 1\n", "a 1 9s\n") == []
    assert shown("a 1\nb 2\n", "a 1 9s\nb 2 1s\n") == ["b 2 1s"]
