"""Build arguments: every form, and what is said of what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mngr.config import ModalSettings
from mngr.errors import UsageError
from mngr.providers.modal.build_args import ARGUMENTS, plan, split
from mngr.providers.modal.options import Options, Plan

PLAIN = ModalSettings()


def options(*words: str, **defaults: object) -> Options:
    return plan(words, ModalSettings(**defaults), {"TOKEN": "x"}).options  # type: ignore[arg-type]


def problems(*words: str, **defaults: object) -> list[str]:
    with pytest.raises(UsageError) as raised:
        options(*words, **defaults)
    return str(raised.value).splitlines()


def test_defaults() -> None:
    assert options() == Options(cpu=1.0, memory=1.0, image="debian:bookworm-slim", timeout=900)


@pytest.mark.parametrize("form", ["gpu=h100", "--gpu=h100", "--gpu h100", "gpu h100"])
def test_forms_of_a_value(form: str) -> None:
    assert options(form).gpu == "H100"


@pytest.mark.parametrize("form", ["offline", "--offline", "offline=true"])
def test_forms_of_a_flag(form: str) -> None:
    assert options(form).offline is True


def test_many_in_one() -> None:
    assert split("gpu=h100 cpu=2 'memory=8'") == ["gpu=h100", "cpu=2", "memory=8"]
    assert split("--gpu h100 --offline --cpu=2") == ["--gpu=h100", "--offline", "--cpu=2"]
    assert split("""env='A=two words'""") == ["env=A=two words"]
    with pytest.raises(UsageError):
        split("cpu='2")


@pytest.mark.parametrize(
    ("word", "field", "value"),
    [
        ("gpu=H100:2", "gpu", "H100:2"),
        ("gpu=a100-80gb", "gpu", "A100-80GB"),
        ("gpu=any", "gpu", "any"),
        ("gpu=t4:1", "gpu", "T4"),
        ("cpu=0.5", "cpu", 0.5),
        ("memory=8", "memory", 8.0),
        ("memory=512MB", "memory", 0.5),
        ("memory=2GiB", "memory", 2.0),
        ("timeout=2h", "timeout", 7200),
        ("timeout=90m", "timeout", 5400),
        ("timeout=86400", "timeout", 86400),
        ("region=us-east", "region", "us-east"),
        ("cloud=aws", "cloud", "aws"),
        ("cpu-limit=4", "cpu_limit", 4.0),
        ("memory-limit=4GB", "memory_limit", 4.0),
        ("cidr-allowlist=203.0.113.0/24,2001:db8::/32", "cidr_allowlist", ("203.0.113.0/24", "2001:db8::/32")),
        ("secret=TOKEN", "secrets", ("TOKEN",)),
        ("docker-build-arg=A=b=c", "docker_build_args", ("A=b=c",)),
        ("volume=my-data:/data/", "volumes", ("my-data:/data",)),
        ("env=A=1", "env", ("A",)),
    ],
)
def test_values(word: str, field: str, value: object) -> None:
    assert getattr(options(word), field) == value


def test_values_of_env_are_apart_from_what_is_kept() -> None:
    made = plan(["env=KEY=private"], PLAIN)
    assert made.env == {"KEY": "private"}
    assert "private" not in repr(made.options)


def test_repeatable_ones_add_up_and_others_are_replaced() -> None:
    assert options("volume=a:/a", "volume=b:/b").volumes == ("a:/a", "b:/b")
    made = plan(["cpu=2", "cpu=3"], PLAIN)
    assert made.options.cpu == 3.0
    assert made.notes == ("build argument cpu was given twice; 3 counts",)


def test_settings_are_defaults() -> None:
    assert options(default_cpu=9.0, default_memory="512MB", default_timeout="2h").timeout == 7200
    assert options("cpu=2", default_cpu=9.0).cpu == 2.0
    assert options("cidr-allowlist=10.0.0.0/8", default_offline=True).offline is False
    assert options(default_volume=["a:/a"]).volumes == ("a:/a",)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["cpus=1"], "did you mean 'cpu'?"),
        (["cpu=lots"], "must be a number of cores"),
        (["cpu=0"], "must be from 0.125"),
        (["memory=8XB"], "must be an amount of memory"),
        (["timeout=0"], "must be from 1 to 86400"),
        (["timeout=25h"], "must be from 1 to 86400"),
        (["gpu=h100:99"], "at most 8"),
        (["gpu="], "must be a GPU"),
        (["cidr-allowlist=300.0.0.0/8"], "must be a range"),
        (["cidr-allowlist=10.0.0.1/8"], "host bits set"),
        (["volume=data"], "must be name:/path"),
        (["volume=data:rel"], "the path must be absolute"),
        (["volume=data:/"], "over everything"),
        (["volume=data:/mngr/x"], "the host's own folder"),
        (["volume=a:/x", "volume=b:/x"], "/x is in volume=a:/x already"),
        (["volume=a:/x", "volume=a:/y"], "a is in volume=a:/x already"),
        (["volume=bad name:/x"], "the name of at most 64"),
        (["secret=NOPE"], "no such variable in the environment"),
        (["secret=A=b"], "must be the name of an environment variable"),
        (["offline", "cidr-allowlist=10.0.0.0/8"], "can not both be given"),
        (["image=a:1", "dockerfile=D"], "can not both be given"),
        (["dockerfile=/nonexistent/D"], "there is no such file"),
        (["context-dir=/"], "needs a dockerfile"),
        (["offline=5"], "takes no value"),
        (["cpu=4", "cpu-limit=2"], "is below cpu"),
        (["docker-build-arg=A"], "must be KEY=VALUE"),
    ],
)
def test_problems(words: list[str], says: str) -> None:
    assert says in "\n".join(problems(*words))


def test_all_problems_are_told_at_once() -> None:
    assert len(problems("cpus=1", "memory=none", "timeout=86401", "volume=x")) == 4


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("RUN true\n", "line 1: there must be a FROM"),
        ("FROM x\nRNU true\n", "line 2: unknown instruction RNU; did you mean RUN?"),
        ("FROM x\nCOPY ../secret /x\n", "line 2: COPY ../secret: lies outside of the build context"),
        ("FROM x\nRUN a \\\n  b\nADD nosuch /x\n", "line 4: ADD nosuch: there is no such file"),
        ("FROM x\nRUN <<EOF\ntrue\n", "line 2: the end of <<EOF is missing"),
        ("", "line 1: there must be a FROM"),
    ],
)
def test_dockerfiles_that_are_wrong(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "Dockerfile").write_text(text)
    assert says in "\n".join(problems(f"dockerfile={tmp_path / 'Dockerfile'}"))


def test_a_dockerfile_that_is_right(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    (tmp_path / "Dockerfile").write_text(
        "# syntax=docker/dockerfile:1\nARG V=1\nFROM x:$V AS one\nFROM y\nCOPY --from=one /etc /e\n"
        'COPY --chown=1:1 *.txt /t/\nCOPY ["a.txt", "/b"]\nRUN <<EOF\nRNU is no instruction here\nEOF\n'
        "RUN a && \\\n# no\n b\n"
    )
    made = options(f"file={tmp_path / 'Dockerfile'}")
    assert made.dockerfile == str(tmp_path / "Dockerfile")
    assert made.context_dir == str(tmp_path)


NAMES = st.sampled_from([argument.name for argument in ARGUMENTS])
WORDS = st.one_of(
    st.text(max_size=30),
    st.builds("{}={}".format, NAMES, st.text(max_size=20)),
    st.builds("--{} {}".format, NAMES, st.from_regex(r"[0-9a-z./:,=-]{0,20}", fullmatch=True)),
)


@example(["dockerfile=~0"])
@example(["dockerfile=x", "context-dir=~0"])
@settings(max_examples=10_000, deadline=None)
@given(st.lists(WORDS, max_size=6))
def test_anything_is_a_plan_or_a_clean_error(words: list[str]) -> None:
    try:
        assert isinstance(plan(words, PLAIN, {}), Plan)
    except UsageError as error:
        assert str(error)
