"""What is measured: the rows of the table, in an order in which each finds what it needs."""

from __future__ import annotations

import contextlib
import json
import statistics
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

from bench import offline, records, watching
from bench.world import Run, World

_TYPE = ("--type", "command")
_SLEEP = ("--", "sleep 1d")
_WATCH_S = 30.0


@dataclass
class Figure:
    """Seconds of each run of one thing, the highest peak of memory in MiB, and the SDK alone beside it: `bare` its
    calls, `bare_whole` with the start of its process and its imports."""

    name: str
    walls: list[float] = field(default_factory=list)
    cpus: list[float] = field(default_factory=list)
    peak_mib: float = 0.0
    calls: int | None = None
    sequential: int | None = None
    bare: list[float] = field(default_factory=list)
    bare_whole: list[float] = field(default_factory=list)

    def add(self, run: Run) -> Run:
        self.walls.append(run.wall_s)
        self.cpus.append(run.cpu_s)
        self.peak_mib = max(self.peak_mib, run.peak_mib)
        return run

    def counted(self, world: World, *args: str) -> None:
        """Notes the calls of one more run; that one is not timed."""
        account = world.account(*args)
        self.calls, self.sequential = len(account["calls"]), account["sequential_calls"]

    @property
    def median(self) -> float:
        return statistics.median(self.walls)


@dataclass(frozen=True)
class Size:
    """How much of everything."""

    runs: int
    running: int
    stopped: int
    many: int
    most: int


Measure = Callable[[World, Size], list[Figure]]


@dataclass(frozen=True)
class Row:
    """One line of the table: what is asked for here and at 100 ms, in words, and how it is measured."""

    key: str
    title: str
    must: str
    must_far: str
    measure: Measure


def _times(size: Size, figure: Figure, one: Callable[[], Run]) -> Figure:
    one()
    for _ in range(size.runs):
        figure.add(one())
    return figure


def _start_up(world: World, size: Size) -> list[Figure]:
    words = {"_MNGR_COMPLETE": "bash_complete", "COMP_WORDS": "mngr cr", "COMP_CWORD": "1"}
    name = {"COMP_WORDS": "mngr exec kno", "COMP_CWORD": "2"}
    return [
        _times(size, Figure("python -c pass"), lambda: world.run("python", "-c", "pass")),
        _times(size, Figure("mngr --help"), lambda: world.mngr("--help")),
        _times(size, Figure("mngr --version"), lambda: world.mngr("--version")),
        _times(size, Figure("completion of a command"), lambda: world.mngr(**words)),
        _times(size, Figure("completion of a name"), lambda: world.mngr(**words | name)),
    ]


def _exec(world: World, size: Size) -> list[Figure]:
    with _agent(world, "known") as name:
        figure = _times(size, Figure("mngr exec A true"), lambda: world.mngr("exec", name, "true"))
        figure.counted(world, "exec", name, "true")
    return [figure]


def _message(world: World, size: Size) -> list[Figure]:
    with _agent(world, "told", ("--", "cat")) as name:
        figure = _times(size, Figure("mngr message A hello"), lambda: world.mngr("message", name, "hello"))
        figure.counted(world, "message", name, "hello")
    return [figure]


def _list_one(world: World, size: Size) -> list[Figure]:
    with _agent(world, "one"):
        figure = _times(size, Figure("mngr list"), lambda: world.mngr("list"))
        figure.counted(world, "list")
    return [figure]


def _list_many(world: World, size: Size) -> list[Figure]:
    with _agent(world, "crowd") as name, records.stopped(world, name, size.stopped):
        world.mngr("clone", name, "crowd", "--count", str(size.running - 1))
        figure = Figure(f"mngr list, {size.running} running, {size.stopped} stopped, warm")
        _times(size, figure, lambda: world.mngr("list"))
        figure.counted(world, "list")
        cold = Figure(f"mngr list, {size.running} running, {size.stopped} stopped, cold")
        for _ in range(size.runs):
            records.forget(world)
            cold.add(world.mngr("list"))
        watched = Figure(f"--watch, {size.running} running, {size.stopped} stopped: ms of processor a second")
        watched.walls = [watching.share(world, _WATCH_S)]
        world.mngr("destroy", *(f"crowd-{number}" for number in range(1, size.running)), "--force")
    return [figure, cold, watched]


def _growth(world: World, size: Size) -> list[Figure]:
    figures = []
    count = 10
    while count <= size.most:
        with _agent(world, "grow") as name, records.stopped(world, name, count):
            figures.append(_times(size, Figure(f"list, {count} stopped"), lambda: world.mngr("list")))
        count *= 10
    return figures


def _life(world: World, size: Size) -> list[Figure]:
    create, kept, stop, start, gone = figures = [
        Figure(f"mngr {name}") for name in ("create", "snapshot create", "stop", "start", "destroy")
    ]
    steps = (
        (create, ("create", "life", "--no-connect", *_TYPE, *_SLEEP)),
        (kept, ("snapshot", "create", "life")),
        (stop, ("stop", "life")),
        (start, ("start", "life")),
        (gone, ("destroy", "life", "--force")),
    )
    with _agent(world, "base") as name:
        image_id = _image_of(world, name)
        for number in range(size.runs + 1):
            for figure, args in steps:
                run = world.mngr(*args)
                if number:
                    figure.add(run)
            bare = world.bare("life", image_id, str(world.folder))
            if number:
                times = json.loads(bare.stdout)
                overhead = bare.wall_s - sum(times.values())
                for figure, key in zip(figures, ("create", "snapshot", "stop", "start", "destroy"), strict=True):
                    figure.bare.append(times[key])
                    figure.bare_whole.append(times[key] + overhead)
        for figure, args in steps:
            figure.counted(world, *args)
    return figures


def _many(world: World, size: Size) -> list[Figure]:
    figure = Figure(f"{size.many} hosts by mngr clone --count")
    with _agent(world, "seed") as name:
        world.mngr("stop", name)
        image_id = _image_of(world, name)
        for _ in range(max(1, size.runs // 2)):
            figure.add(world.mngr("clone", name, "many", "--count", str(size.many)))
            world.mngr("destroy", *(f"many-{number}" for number in range(1, size.many + 1)), "--force")
            bare = world.bare(str(size.many), image_id, str(world.folder))
            figure.bare.append(json.loads(bare.stdout)["many"])
            figure.bare_whole.append(bare.wall_s)
    return [figure]


def _repository(world: World, size: Size) -> list[Figure]:
    figures = []
    for mib in (1, 10, 50):
        big = world.project / "big"
        subprocess.run(["dd", "if=/dev/urandom", f"of={big}", "bs=1M", f"count={mib}"], check=True, capture_output=True)
        figure = Figure(f"create, {mib} MiB of project")
        for _ in range(max(1, size.runs // 2)):
            figure.add(world.mngr("create", "sized", "--no-connect", *_TYPE, *_SLEEP))
            world.mngr("destroy", "sized", "--force")
        big.unlink()
        figures.append(figure)
    return figures


def _changed(world: World, size: Size) -> list[Figure]:
    figures = []
    with _agent(world, "fat") as name:
        for mib in (1, 10, 100):
            world.mngr("exec", name, f"head -c {mib}M /dev/urandom >/root/changed")
            figure = Figure(f"snapshot, {mib} MiB changed")
            for _ in range(max(1, size.runs // 2)):
                figure.add(world.mngr("snapshot", "create", name))
            figures.append(figure)
    return figures


def _offline(world: World, size: Size) -> list[Figure]:
    first, tail, events, listed, line = figures = [
        Figure("mngr logs --tail 100 of 200 MB, first after kill -9"),
        *(Figure(f"mngr {words}, none running") for words in ("logs --tail 100 of 200 MB", "events", "list")),
        Figure("from a line's writing to logs --follow"),
    ]
    with _agent(world, "gone") as name:
        for number in range(size.runs + 1):
            if number:
                world.mngr("start", name)
            for seconds in offline.lines(world, name) if number == 1 else ():
                line.walls.append(seconds)
                line.cpus.append(0.0)
            offline.fill(world, name)
            offline.kill(world, name)
            first.add(world.mngr("logs", name, "--tail", "100"))
        for figure, words in ((tail, ("logs", name, "--tail", "100")), (events, ("events", name)), (listed, ("list",))):
            _times(size, figure, partial(world.mngr, *words))
            figure.counted(world, *words)
    return figures


@contextlib.contextmanager
def _agent(world: World, name: str, command: tuple[str, ...] = _SLEEP) -> Iterator[str]:
    """A running agent, which is gone afterwards."""
    world.mngr("create", name, "--no-connect", *_TYPE, *command)
    try:
        world.mngr("list")
        yield name
    finally:
        world.mngr("destroy", name, "--force")


def _image_of(world: World, name: str) -> str:
    """What the agent's host started from: the newest copy of its record says so."""
    host_id = world.hosts()[name]["id"]
    found = sorted((world.home / "cache" / "records-modal").glob(f"{host_id}.*"))
    return str(json.loads(found[-1].read_text())["image_id"])


ROWS = (
    Row("start", "`mngr --help`, `--version`, completion", "80 ms", "the same, no call", _start_up),
    Row("exec", "`mngr exec A true`, host known", "150 ms", "350 ms, no call", _exec),
    Row("message", "`mngr message`", "200 ms", "400 ms", _message),
    Row("list-1", "`mngr list`, 1 host", "300 ms", "600 ms, at most 2 calls in sequence", _list_one),
    Row(
        "list-many",
        "`mngr list`, many hosts",
        "warm 1.0 s, cold 3 s, --watch 5 % of one core",
        "warm 1.5 s in 2 calls, cold 6 s",
        _list_many,
    ),
    Row(
        "life",
        "`create`, `snapshot create`, `stop`, `start`, `destroy`",
        "bare + 0.6 s, + 0.2 s, + 0.4 s",
        "create at most 8 round trips more than bare, snapshot 3",
        _life,
    ),
    Row(
        "offline",
        "Logs and events of a host whose container was killed",
        "1.0 s; a line is shown within 1.0 s",
        "stated",
        _offline,
    ),
    Row("many", "20 creates at once", "1.3 times bare", "stated", _many),
    Row("growth", "`mngr list` by stopped hosts", "grows as the work does", "", _growth),
    Row("repository", "`mngr create` by size of the project", "grows as the work does", "", _repository),
    Row("changed", "`mngr snapshot create` by changed bytes", "grows as the work does", "", _changed),
)
NEAR_ONLY = ("start", "growth", "repository", "changed")
PLOTS = {"growth": "stopped hosts", "repository": "MiB of project", "changed": "MiB changed"}
