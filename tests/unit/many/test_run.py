"""The schedule of a call for many, with work that needs no server."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextvars import ContextVar

import pytest

import kimbledb
from kimbledb.errors import TargetsError
from kimbledb.events import Event, OneOfMany, Watcher
from kimbledb.many.limits import Limits
from kimbledb.many.run import Run, Targets
from kimbledb.model.reports import MigrationReport, VerificationReport
from kimbledb.server.targets import Target

REPORT = MigrationReport((), kimbledb.Planner(kimbledb.Catalog([])).plan, 0.0, VerificationReport(()))
VARIABLE = ContextVar("variable", default="unset")


def dsn(server: str, database: str) -> str:
    """Return a DSN that nobody connects to."""
    return f"postgresql://{server}/{database}"


async def a_while() -> None:
    """Let every task go on as far as it can."""
    for _ in range(50):
        await asyncio.sleep(0)


class Work:
    """Work that ends when it is let go, and that notes what starts and how many are in flight."""

    def __init__(self, *failing: str, held: bool = True) -> None:
        self.started: list[str] = []
        self.in_flight: set[str] = set()
        self._failing = failing
        self._ends: dict[str, asyncio.Event] = {}
        self._is_held = held

    def end(self, name: str) -> None:
        """Let the work for a database end."""
        self._ends[name].set()

    def end_all(self) -> None:
        """Let all work end, from now on at once."""
        self._is_held = False
        for end in self._ends.values():
            end.set()

    async def __call__(
        self, target: Target, schema: str | None, _: kimbledb.Catalog, __: Watcher | None
    ) -> MigrationReport:
        name = target.label.rpartition("/")[2] + (f".{schema}" if schema else "")
        assert VARIABLE.get() == "unset"  # each has a context of its own
        VARIABLE.set(name)
        self.started.append(name)
        self.in_flight.add(name)
        try:
            if self._is_held:
                await self._ends.setdefault(name, asyncio.Event()).wait()
            else:
                await asyncio.sleep(0)
            if name in self._failing:
                raise kimbledb.ConnectionLostError("gone")
            return REPORT
        finally:
            self.in_flight.discard(name)


def run(
    work: Work,
    targets: Targets,
    concurrency: int = 3,
    *,
    per_server: int | None = None,
    halt_after: int | str | None = None,
    schemas: Sequence[str | None] = (None,),
    progress: Callable[[Event], object] | None = None,
) -> Run[MigrationReport]:
    """Return a run of two targets at once."""
    limits = Limits.of(concurrency, per_server, halt_after)
    return Run(work, targets, schemas, kimbledb.Catalog([]), limits, progress)


class Drawn:
    """An async generator that counts what is drawn, and knows whether it was closed."""

    def __init__(self, count: int, server: str = "one", *, error: BaseException | None = None) -> None:
        self.count = 0
        self.is_closed = False
        self.tasks: set[object] = set()
        self._most = count
        self._server = server
        self._error = error

    async def targets(self) -> AsyncIterator[str]:
        """Yield the DSNs of databases 1, 2, 3."""
        try:
            for number in range(1, self._most + 1):
                self.count += 1
                self.tasks.add(asyncio.current_task())
                yield dsn(self._server, str(number))
            if self._error is not None:
                raise self._error
        finally:
            await asyncio.sleep(0)
            self.is_closed = True


async def test_no_more_is_drawn_than_can_be_started() -> None:
    """Of an endless iterable as many targets are drawn as run at once, and a further one when one of them ends."""
    work, drawn = Work(), Drawn(1_000_000)
    call = asyncio.create_task(run(work, drawn.targets()).finish())

    await a_while()
    assert (drawn.count, work.in_flight) == (2, {"1", "2"})
    work.end("1")
    await a_while()
    assert (drawn.count, work.in_flight) == (3, {"2", "3"})

    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert (work.in_flight, drawn.is_closed) == (set(), True)
    assert len(drawn.tasks) == 1


async def test_a_target_that_comes_later() -> None:
    """A target starts when the iterable gives it, and the call ends with the iterable."""
    work, news = Work(held=False), asyncio.Queue[str | None]()

    async def targets() -> AsyncIterator[str]:
        while (given := await news.get()) is not None:
            yield given

    totals: list[int | None] = []
    call = asyncio.create_task(
        run(work, targets(), progress=lambda event: totals.append(getattr(event, "total", 0))).finish()
    )
    for name in ("a", "b"):
        await news.put(dsn("one", name))
        await a_while()
        assert work.started[-1] == name
    await news.put(None)

    assert len((await call).results) == 2
    assert totals == [None, None]


async def test_targets_of_other_servers_overtake() -> None:
    """A server has no more at once than its limit allows, and those of another one do not wait for it."""
    work = Work()
    names = [("slow", "a"), ("slow", "b"), ("slow", "c"), ("fast", "d"), ("fast", "e")]
    call = asyncio.create_task(run(work, [dsn(*name) for name in names], 5, per_server=2).finish())

    await a_while()
    assert work.in_flight == {"a", "d"}
    work.end("d")
    await a_while()
    assert work.in_flight == {"a", "e"}
    work.end("a")
    await a_while()
    assert work.in_flight == {"b", "e"}
    work.end_all()

    assert [each.target.rpartition("/")[2] for each in (await call).results] == ["a", "b", "c", "d", "e"]


async def test_a_bounded_number_is_held_for_a_server() -> None:
    """Where all targets are of one server, the drawing stops at the targets that may be held."""
    work, drawn = Work(), Drawn(1_000_000)
    call = asyncio.create_task(run(work, drawn.targets(), per_server=2).finish())
    while drawn.count < 1000:
        await a_while()
    await a_while()

    assert drawn.count == 1001
    assert work.in_flight == {"1"}
    call.cancel()
    await asyncio.wait([call])


@pytest.mark.parametrize(
    ("targets", "left"), [([dsn("one", name) for name in "abcde"], 3), ((dsn("one", name) for name in "abcde"), None)]
)
async def test_a_halt_starts_no_more(targets: Targets, left: int | None) -> None:
    """After the failures those in flight end, and the number of the others is known where the iterable has a length."""
    work = Work("a")
    call = asyncio.create_task(run(work, targets, halt_after=1).finish())
    await a_while()
    work.end("a")
    await a_while()
    assert work.in_flight == {"b"}
    work.end("b")
    report = await call

    assert (report.halted, report.not_started, report.ok) == ("1 failed, and the limit is 1", left, False)
    assert [each.ok for each in report.results] == [False, True]


async def test_a_halt_starts_none_that_is_held() -> None:
    """Targets that wait for their server are not started after a halt, and count."""
    report = await run(Work("a", held=False), [dsn("one", name) for name in "abc"], per_server=1, halt_after=1).finish()

    assert (len(report.results), report.not_started) == (1, 2)


async def test_failures_of_the_last_targets_halt_nothing() -> None:
    """Where every target is started already, there is nothing to halt."""
    report = await run(Work("a", "b", held=False), [dsn("one", name) for name in "ab"], halt_after=2).finish()

    assert (len(report.failures), report.halted, report.not_started) == (2, None, 0)


async def test_a_halt_does_not_wait_for_the_iterable() -> None:
    """An iterable that waits for its next target is closed by a halt, and a target that cannot be read is a failure."""
    is_closed = False

    async def targets() -> AsyncIterator[str]:
        nonlocal is_closed
        yield "postgresql:no dsn"
        try:
            await asyncio.Event().wait()
        finally:
            is_closed = True

    report = await asyncio.wait_for(run(Work(), targets(), halt_after=1).finish(), 10)

    assert is_closed
    assert (report.halted is None, report.not_started) == (False, None)
    assert isinstance(report.results[0].error, kimbledb.ConfigurationError)


@pytest.mark.parametrize("error", [RuntimeError("no table"), asyncio.CancelledError()], ids=["error", "cancelled"])
async def test_an_error_of_the_iterable(error: BaseException) -> None:
    """What runs ends, and the error of the iterable is raised with the results of the targets before it."""
    work = Work("1")
    call = asyncio.create_task(run(work, Drawn(1, error=error).targets()).finish())
    await a_while()
    assert work.in_flight == {"1"}
    work.end("1")

    with pytest.raises(
        TargetsError, match=rf"raised {type(error).__name__}; 1 schema .* is finished, 1 .*FAILED"
    ) as caught:
        await call

    assert caught.value.__cause__ is error
    assert [each.ok for each in caught.value.report.results] == [False]
    assert caught.value.report.not_started is None


async def test_all_schemas_of_a_target() -> None:
    """Each schema of each target is one result, in their order, and each event counts the finished ones."""
    work = Work(held=False)
    targets: Iterator[str] = itertools.chain([dsn("one", "a"), dsn("two", "b")])
    events: list[OneOfMany] = []

    def watch(event: Event) -> None:
        assert isinstance(event, OneOfMany)
        events.append(event)

    report = await run(work, targets, schemas=("x", "y"), progress=watch).finish()

    assert [(each.target[:3], each.schema) for each in report.results] == [
        ("one", "x"),
        ("one", "y"),
        ("two", "x"),
        ("two", "y"),
    ]
    assert [each.done for each in events] == [1, 2, 3, 4]
    assert str(events[0]).startswith("[1] one:5432/a x: done")


async def test_variables_of_failed_work_are_not_kept() -> None:
    """The error of a result keeps the lines of its traceback, and none of the variables, which hold a whole run."""
    report = await run(Work("a", held=False), [dsn("one", "a")]).finish()
    error = report.results[0].error
    assert error is not None
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next

    assert place is not None
    assert place.tb_frame.f_code.co_name == "__call__"
    assert not place.tb_frame.f_locals
