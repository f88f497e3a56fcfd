"""One call for many schemas: it draws the targets, starts as many as its limits allow, and gathers the results.

No more targets are drawn than can be started. Only where a server has as many as its limit allows, further ones are
drawn, so that those of other servers overtake; a bounded number of targets is then held.
"""

from __future__ import annotations

import asyncio
import traceback
from collections import Counter, deque
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Sequence, Sized
from contextlib import aclosing, asynccontextmanager, nullcontext
from contextvars import copy_context
from typing import Final, Generic, NamedTuple, TypeAlias

from kimbledb.catalog.catalog import Catalog
from kimbledb.errors import TargetsError
from kimbledb.events import Done, Event, OneOfMany, Stopped, Watcher
from kimbledb.many.limits import Limits
from kimbledb.many.sharing import Shared
from kimbledb.model.clock import stopwatch
from kimbledb.model.many_report import Each, ManyReport, ManyResult
from kimbledb.server.notifications import notify
from kimbledb.server.options import Options
from kimbledb.server.session import Session
from kimbledb.server.targets import Target, TargetLike, target_of

#: The work for one schema: a function of its database, its name, the catalog and the progress callable.
Work: TypeAlias = Callable[[Target, str | None, Catalog, Watcher | None], Awaitable[Each]]
#: Several targets.
Targets: TypeAlias = Iterable[TargetLike] | AsyncIterable[TargetLike]

#: The most schemas that are held because their server has as many as its limit allows.
_MOST_HELD: Final = 1000


class _Job(NamedTuple):
    """One schema of one target."""

    #: The place among the results, counted from 0.
    place: int
    #: The target, or the error of reading it.
    target: Target | Exception
    schema: str | None
    #: What it shares with other jobs, its server and a caller's connection, each with the most jobs at once.
    shares: tuple[tuple[object, int], ...]


class Run(Generic[Each]):
    """One call: its schemas that wait, those in flight, and the results."""

    def __init__(
        self,
        work: Work[Each],
        targets: Targets,
        schemas: Sequence[str | None],
        catalog: Catalog,
        limits: Limits,
        progress: Watcher | None,
    ) -> None:
        """Begin with nothing drawn.

        Args:
            work: The work for one schema.
            targets: The targets.
            schemas: The schemas of each target.
            catalog: The migrations.
            limits: The limits of the call.
            progress: The progress callable, or None.
        """
        self._work = work
        self._targets = targets
        self._schemas = schemas
        self._catalog = catalog
        self._limits = limits
        self._progress = progress
        self._shared = Shared()
        #: The one reserved connection of the whole call.
        self._spare = asyncio.Semaphore(1)
        #: The jobs that are drawn and not started, by what they share.
        self._held: dict[tuple[tuple[object, int], ...], deque[_Job]] = {}
        #: The number of jobs in flight: all, and by what they share.
        self._in_flight = 0
        self._sharing: Counter[object] = Counter()
        self._drawn = 0
        self._all_drawn = False
        #: Whether a further job is wanted.
        self._wanted = asyncio.Event()
        self._results: dict[int, ManyResult[Each]] = {}
        self._failed = 0
        self._halted: str | None = None
        #: The error of the iterable.
        self._broken: BaseException | None = None

    async def finish(self) -> ManyReport[Each]:
        """Do all the work.

        Returns:
            The results, in the order of the targets.

        Raises:
            TargetsError: The iterable of targets raised an error.
        """
        clock = stopwatch()
        self._context = copy_context()
        async with asyncio.TaskGroup() as self._group:
            self._drawing = self._group.create_task(self._draw())
        total = self._total
        left = None if total is None else total - len(self._results)
        results = tuple(self._results[place] for place in sorted(self._results))
        report = ManyReport(results, clock(), None if left == 0 else self._halted, left)
        if self._broken is not None:
            raise TargetsError(report, type(self._broken).__name__) from self._broken
        return report

    @property
    def _total(self) -> int | None:
        """The number of schemas, or None as long as it is not known."""
        if self._all_drawn:
            return self._drawn
        return len(self._targets) * len(self._schemas) if isinstance(self._targets, Sized) else None

    async def _draw(self) -> None:
        """Draw the targets, in one task from the first to the last: a generator may hold what belongs to its task."""
        try:
            async with aclosing(_each(self._targets)) as given:
                async for each in given:
                    await self._take(each)
            self._all_drawn = True
        except (Exception, asyncio.CancelledError) as error:
            task = asyncio.current_task()
            if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
                raise  # this call is cancelled, or it halts
            self._broken = error

    async def _take(self, given: TargetLike) -> None:
        """Hold the jobs of a target, and return when a further one is wanted."""
        try:
            target: Target | Exception = target_of(given)
        except Exception as error:  # noqa: BLE001 - it is the result of this target
            target = error
        shares: list[tuple[object, int]] = []
        if isinstance(target, Target):
            if self._limits.per_server is not None:
                shares.append((target.server, self._limits.per_server))
            if not target.can_reconnect:
                shares.append((id(given), 1))  # it is kept by the job
        for schema in self._schemas:
            job = _Job(self._drawn, target, schema, tuple(shares))
            self._drawn += 1
            self._held.setdefault(job.shares, deque()).append(job)
            self._start()
            await self._wanted.wait()

    def _start(self) -> None:
        """Start the jobs for which there is room."""
        while self._halted is None and self._in_flight < self._limits.targets and (job := self._next()) is not None:
            self._in_flight += 1
            self._sharing.update(share for share, _ in job.shares)
            # In the context of the call: not in that of the job that ended, which may have changed its own.
            self._group.create_task(self._finish(job), context=self._context.copy())
        held = sum(map(len, self._held.values()))
        if self._in_flight < self._limits.targets and held < _MOST_HELD:
            self._wanted.set()
        else:
            self._wanted.clear()

    def _next(self) -> _Job | None:
        """Return the first of the held jobs that has room, and hold it no longer."""
        ready = [
            jobs for shares, jobs in self._held.items() if all(self._sharing[each] < most for each, most in shares)
        ]
        if not ready:
            return None
        job = min(ready, key=lambda jobs: jobs[0].place).popleft()
        if not self._held[job.shares]:
            del self._held[job.shares]
        return job

    async def _finish(self, job: _Job) -> None:
        """Do one job, note its result, and start what there is room for now."""
        clock = stopwatch()
        label = f"target {job.place // len(self._schemas) + 1}"
        shown = job.schema or "public"

        def notified(event: Event) -> None:
            if self._progress is not None:
                notify(self._progress, OneOfMany(label, shown, event, len(self._results), self._total))

        def watcher(event: Event) -> None:
            if not isinstance(event, Done | Stopped):  # sent below, with the count of finished schemas
                notified(event)

        try:
            if isinstance(job.target, Exception):
                raise job.target
            label = job.target.label
            bounded = _Bounded(job.target, self._spare)
            # Without a watcher a schema that is current need not be planned.
            report = await self._work(bounded, job.schema, self._catalog, watcher if self._progress else None)
            report = self._shared.report(report)
            result: ManyResult[Each] = ManyResult(label, shown, report, seconds=clock())
            end: Event = Done(result.seconds, report)
        except Exception as error:  # noqa: BLE001 - any error stops this schema alone
            _forget_variables(error)
            result = ManyResult(label, shown, error=error, seconds=clock())
            end = Stopped(error)
        self._results[job.place] = result
        self._failed += not result.ok
        notified(end)
        self._in_flight -= 1
        self._sharing.subtract(share for share, _ in job.shares)
        self._sharing = +self._sharing
        if self._limits.halt is not None and self._halted is None:
            self._halted = self._limits.halt.reason(self._failed, len(self._results))
            if self._halted is not None:
                self._drawing.cancel()
        self._start()


class _Bounded(Target):
    """A target whose second session waits for the one reserved connection of the whole call."""

    def __init__(self, target: Target, spare: asyncio.Semaphore) -> None:
        super().__init__(target.label, target.source)
        self._spare = spare
        self._open = 0

    @asynccontextmanager
    async def session(self, options: Options) -> AsyncIterator[Session]:
        async with self._spare if self._open else nullcontext():
            self._open += 1
            try:
                async with Target.session(self, options) as session:
                    yield session
            finally:
                self._open -= 1

    @asynccontextmanager
    async def reserved(self) -> AsyncIterator[Target]:
        async with self._spare:
            yield Target(self.label, self.source)


async def _each(targets: Targets) -> AsyncGenerator[TargetLike, None]:
    try:
        if isinstance(targets, AsyncIterable):
            async for target in targets:
                yield target
        else:
            for target in targets:
                yield target
    finally:
        # What an async generator holds, such as a connection, is given back before the call returns.
        close = getattr(targets, "aclose", None)
        if close is not None:
            await close()


def _forget_variables(error: BaseException) -> None:
    """Clear the local variables in the traceback of an error: they would keep the state of a whole run in memory."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        each = waiting.pop()
        if each is not None and id(each) not in seen:
            seen.add(id(each))
            traceback.clear_frames(each.__traceback__)
            waiting += [each.__cause__, each.__context__]
