"""The same for many schemas and databases at once: one result each, and one that fails fails alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, nullcontext
from typing import Generic

from attrs import field, frozen

from kimbledb.catalog.catalog import Catalog
from kimbledb.errors import ConfigurationError
from kimbledb.events import Done, Event, OneOfMany, Stopped, Verifying, Watcher
from kimbledb.model.clock import stopwatch
from kimbledb.model.operator_reports import Each, ManyReport, ManyResult
from kimbledb.model.plan import Plan
from kimbledb.model.reports import MigrationReport, VerificationReport
from kimbledb.operations.migrate import migrate
from kimbledb.operations.plan import plan
from kimbledb.operations.verify import verify as verify_one
from kimbledb.server.drivers import asyncpg as driver
from kimbledb.server.in_process_lock import running_loop
from kimbledb.server.notifications import call, tell
from kimbledb.server.options import Options
from kimbledb.server.session import Session
from kimbledb.server.targets import Target, TargetLike, target_of

#: What is done with one schema: it gets the target, the schema, the catalog and who watches.
_Work = Callable[[Target, str | None, Catalog, Watcher], Awaitable[Each]]


async def migrate_many(
    targets: TargetLike | Iterable[TargetLike] = None,
    *,
    schemas: Iterable[str | None] = (None,),
    catalog: Catalog | None = None,
    to: str | int | None = None,
    phase: int | None = None,
    prefer: Iterable[str] = (),
    verify: bool = True,
    allow_data_loss: bool = False,
    concurrency: int = 8,
    progress: Watcher | None = None,
    options: Options | None = None,
) -> ManyReport[MigrationReport]:
    """Bring many schemas, or many databases, to what a catalog describes.

    Each is migrated as :func:`kimbledb.migrate` does it. One that fails keeps nobody
    else from going on; call again to go on where it stopped, which costs those
    that are done one question each.

    Args:
        targets: A DSN, an ``asyncpg.Connection`` outside of a transaction, an ``asyncpg.Pool``, or several
            of these. None reads ``KIMBLEDB_DSN``, then ``DATABASE_URL``.
        schemas: The names of the target schemas, in each of the targets; None is ``public``.
        catalog: The migrations; None for the built-in ones.
        to: A migration's name or number: apply that one and all it needs, no more. None for all.
        phase: A phase's number: apply its migrations and all they need, no more. None for all.
        prefer: Names of alternatives to take instead of the default.
        verify: Whether each migration's checks run in its transaction and must pass.
        allow_data_loss: Whether rows and values that are there may go, also where the migration that
            takes them does not say so (``deletes`` in migration.toml).
        concurrency: How many connections are open at once, over all targets. One of them is kept for
            looking who blocks the others, and for steps outside of transactions, which need a
            second one; the least is 2.
        progress: Called with :class:`~kimbledb.events.OneOfMany` for all that happens, and with
            :class:`~kimbledb.events.Done` at the end; None for nobody.
        options: Deadline, timeouts and the like, in seconds, for each schema by itself; None for the defaults.

    Returns:
        One result for each target and schema; ``report.ok`` is the verdict.

    Raises:
        ConfigurationError: ``concurrency`` is no number above 0.
    """
    prefer = tuple(prefer)

    async def work(target: Target, schema: str | None, chosen: Catalog, watcher: Watcher) -> MigrationReport:
        return await migrate(
            target,
            catalog=chosen,
            schema=schema,
            to=to,
            phase=phase,
            prefer=prefer,
            verify=verify,
            allow_data_loss=allow_data_loss,
            progress=watcher,
            options=options,
        )

    return await _many(work, targets, schemas, catalog, concurrency, progress)


async def verify_many(
    targets: TargetLike | Iterable[TargetLike] = None,
    *,
    schemas: Iterable[str | None] = (None,),
    catalog: Catalog | None = None,
    only: str | int | Iterable[str | int] | None = None,
    concurrency: int = 8,
    progress: Watcher | None = None,
    options: Options | None = None,
) -> ManyReport[VerificationReport]:
    """Ask of many schemas, or many databases, whether what is applied is really there. It never writes.

    Args:
        targets: A DSN, an ``asyncpg.Connection`` outside of a transaction, an ``asyncpg.Pool``, or several
            of these. None reads ``KIMBLEDB_DSN``, then ``DATABASE_URL``.
        schemas: The names of the target schemas, in each of the targets; None is ``public``.
        catalog: The migrations; None for the built-in ones.
        only: A migration's name or number, or several: run their checks alone, applied or not. None for all.
        concurrency: How many connections are open at once, over all targets. One of them is kept for
            looking who blocks the others, and for steps outside of transactions, which need a
            second one; the least is 2.
        progress: Called with :class:`~kimbledb.events.OneOfMany` for all that happens, and with
            :class:`~kimbledb.events.Done` at the end; None for nobody.
        options: Deadline, timeouts and the like, in seconds, for each schema by itself; None for the defaults.

    Raises:
        ConfigurationError: ``concurrency`` is no number above 0.
    """
    wanted = only if only is None or isinstance(only, str | int) else tuple(only)

    async def work(target: Target, schema: str | None, chosen: Catalog, watcher: Watcher) -> VerificationReport:
        with call() as about:
            about(target.label, schema or "public")
            tell(watcher, Verifying())
        return await verify_one(target, catalog=chosen, schema=schema, only=wanted, options=options)

    return await _many(work, targets, schemas, catalog, concurrency, progress)


async def plan_many(
    targets: TargetLike | Iterable[TargetLike] = None,
    *,
    schemas: Iterable[str | None] = (None,),
    catalog: Catalog | None = None,
    to: str | int | None = None,
    phase: int | None = None,
    prefer: Iterable[str] = (),
    concurrency: int = 8,
    progress: Watcher | None = None,
    options: Options | None = None,
) -> ManyReport[Plan]:
    """Say what :func:`migrate_many` would do, and why. It only reads.

    Args:
        targets: A DSN, an ``asyncpg.Connection`` outside of a transaction, an ``asyncpg.Pool``, or several
            of these. None reads ``KIMBLEDB_DSN``, then ``DATABASE_URL``.
        schemas: The names of the target schemas, in each of the targets; None is ``public``.
        catalog: The migrations; None for the built-in ones.
        to: A migration's name or number: plan that one and all it needs, no more. None for all.
        phase: A phase's number: plan its migrations and all they need, no more. None for all.
        prefer: Names of alternatives to take instead of the default.
        concurrency: How many connections are open at once, over all targets. One of them is kept for
            looking who blocks the others, and for steps outside of transactions, which need a
            second one; the least is 2.
        progress: Called with :class:`~kimbledb.events.OneOfMany` for all that happens, and with
            :class:`~kimbledb.events.Done` at the end; None for nobody.
        options: Deadline, timeouts and the like, in seconds, for each schema by itself; None for the defaults.

    Raises:
        ConfigurationError: ``concurrency`` is no number above 0.
    """
    prefer = tuple(prefer)

    async def work(target: Target, schema: str | None, chosen: Catalog, _: Watcher) -> Plan:
        return await plan(target, catalog=chosen, schema=schema, to=to, phase=phase, prefer=prefer, options=options)

    return await _many(work, targets, schemas, catalog, concurrency, progress)


async def _many(
    work: _Work[Each],
    targets: TargetLike | Iterable[TargetLike],
    schemas: Iterable[str | None],
    catalog: Catalog | None,
    concurrency: int,
    progress: Watcher | None,
) -> ManyReport[Each]:
    if concurrency < 1:
        raise ConfigurationError(f"concurrency is {concurrency!r}; it wants a number above 0")
    running_loop()
    clock = stopwatch()
    names = (schemas,) if isinstance(schemas, str) else tuple(schemas)
    jobs = [(target, schema) for target in _several(targets) for schema in names]
    # Read beside the loop, which others use, too.
    chosen = catalog if catalog is not None else await asyncio.to_thread(Catalog.builtin)
    run = _Run(work, chosen, jobs, progress, asyncio.Semaphore(1))
    places = iter(range(len(jobs)))

    async def worker() -> None:
        for place in places:  # shared: each takes the next one
            await run.one(place)

    async with asyncio.TaskGroup() as group:
        for _ in range(min(max(1, concurrency - 1), len(jobs))):
            group.create_task(worker())
    report = ManyReport(tuple(result for result in run.results if result is not None), clock())
    tell(progress, Done(report.seconds, report))
    return report


class _Run(Generic[Each]):
    """One call for many: what is to be done, and what has become of it."""

    def __init__(
        self,
        work: _Work[Each],
        catalog: Catalog,
        jobs: Sequence[tuple[TargetLike, str | None]],
        progress: Watcher | None,
        spare: asyncio.Semaphore,
    ) -> None:
        self.work = work
        self.catalog = catalog
        self.jobs = jobs
        self.progress = progress
        self.spare = spare
        self.results: list[ManyResult[Each] | None] = [None] * len(jobs)
        self.done = 0
        #: A connection of the caller's does one thing at a time.
        self.busy: dict[int, asyncio.Lock] = {}

    async def one(self, place: int) -> None:
        given, schema = self.jobs[place]
        shown = schema or "public"
        label = f"target {place + 1}"

        def watcher(event: Event) -> None:
            if not isinstance(event, Done | Stopped):  # those are told when they are counted
                tell(self.progress, OneOfMany(label, shown, event, self.done, len(self.jobs)))

        clock = stopwatch()
        try:
            target = target_of(given)
            label = target.label
            alone = self.busy.setdefault(id(given), asyncio.Lock()) if target.connection is not None else nullcontext()
            async with alone:
                bounded = _Bounded(
                    target.label, target.dsn, target.connection, target.pool, target.address, spare=self.spare
                )
                report = await self.work(bounded, schema, self.catalog, watcher)
            result: ManyResult[Each] = ManyResult(label, shown, report)
            end: Event = Done(clock(), report)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is this one's alone
            result = ManyResult(label, shown, error=error)
            end = Stopped(error)
        self.results[place] = result
        self.done += 1
        tell(self.progress, OneOfMany(label, shown, end, self.done, len(self.jobs)))


@frozen
class _Bounded(Target):
    """A target whose second session at a time waits for the one that all of them have to spare."""

    spare: asyncio.Semaphore = field(kw_only=True)
    _open: list[None] = field(factory=list, init=False)

    @asynccontextmanager
    async def session(self, options: Options) -> AsyncIterator[Session]:
        async with self.spare if self._open else nullcontext():
            self._open.append(None)
            try:
                async with Target.session(self, options) as session:
                    yield session
            finally:
                self._open.pop()


def _several(targets: TargetLike | Iterable[TargetLike]) -> list[TargetLike]:
    if targets is None or isinstance(targets, str | Target) or driver.is_connection(targets) or driver.is_pool(targets):
        return [targets]
    if not isinstance(targets, Iterable):
        raise ConfigurationError(
            f"expected a DSN, an asyncpg.Connection, an asyncpg.Pool or several of these, got {type(targets).__name__}",
            hint="pass a DSN such as postgresql://user@host/database, or a list of targets",
        )
    return list(targets)
