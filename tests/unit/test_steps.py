"""What a person sees of a build: what a step is for, not the script that it is."""

from __future__ import annotations

import io

import pytest

from mngr.cli.steps import Steps
from mngr.providers.modal import images


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("begins", ["STEP 3/7: ", "[1/2] STEP 3/7: ", "=> Step 3: "], ids=["podman", "stages", "Modal"])
def test_steps_of_a_build_are_named(begins: str) -> None:
    shown = _Terminal()
    steps = Steps(quiet=False, verbose=False, stream=shown)
    steps("building the image")
    lines = ["FROM debian", *images.layer(["sh /usr/local/bin/x 'two words'"])]
    steps.log("".join(f"{begins}{line}\n" for line in lines))
    number = begins.removeprefix("[1/2] ").removeprefix("STEP ").removeprefix("=> Step ")
    assert shown.getvalue().split("\r\033[K")[2:] == [
        f"building the image: {number}{words}"
        for words in (
            "FROM debian",
            "USER root",
            "ssh, tmux, git and rsync",
            "what installs from npm",
            "sh /usr/local/bin/x 'two words'",
            "mngr's scripts",
            "ENTRYPOINT []",
        )
    ]
