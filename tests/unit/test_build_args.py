"""Build arguments: what is understood, and what is said of the rest."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mngr.config import ModalSettings
from mngr.errors import UsageError
from mngr.providers.modal.build_args import Options, parse, split

DEFAULTS = Options(cpu=1.0, memory=1.0, image="debian:bookworm-slim", timeout=900)


def test_defaults() -> None:
    assert parse([], ModalSettings()) == DEFAULTS


@pytest.mark.parametrize("form", ["cpu=2", "--cpu=2", "--cpu 2"])
def test_forms(form: str) -> None:
    assert parse([form], ModalSettings()).cpu == 2.0


def test_a_later_one_wins_over_an_earlier_and_over_settings() -> None:
    assert parse(["cpu=2", "cpu=3"], ModalSettings(default_cpu=9.0)).cpu == 3.0
    assert parse([], ModalSettings(default_cpu=9.0)).cpu == 9.0


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(UsageError) as raised:
        parse(["cpus=1", "memory=none", "timeout=86401"], ModalSettings())
    lines = str(raised.value).splitlines()
    assert len(lines) == 3
    assert "did you mean 'cpu'?" in lines[0]


def test_many_in_one() -> None:
    assert split("cpu=2 'image=a b'") == ["cpu=2", "image=a b"]
    with pytest.raises(UsageError):
        split("cpu='2")


@given(st.lists(st.text(max_size=30), max_size=6))
def test_anything_else_is_a_clean_error(words: list[str]) -> None:
    try:
        assert isinstance(parse(words, ModalSettings()), Options)
    except UsageError as error:
        assert str(error)
