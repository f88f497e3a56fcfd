"""migrate(), verify() and plan() for many schemas and databases at once.

Each schema of each database gets a result of its own. A failure of one does not stop the others.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, nullcontext
from typing import Generic, cast

from kimbledb.catalog.catalog import Catalog
from kimbledb.errors import ConfigurationError
from kimbledb.events import Done, Event, OneOfMany, Stopped, Verifying, Watcher
from kimbledb.model.clock import stopwatch
from kimbledb.model.operator_reports import Each, ManyReport, ManyResult
from kimbledb.model.plan import Plan
from kimbledb.model.reports import MigrationReport, VerificationReport
from kimbledb.operations.migrate import migrate
from kimbledb.operations.plan import plan
from kimbledb.operations.verify import Verifier
from kimbledb.server.in_process_lock import running_loop
from kimbledb.server.notifications import call_scope, notify
from kimbledb.server.options import Options
from kimbledb.server.session import Session
from kimbledb.server.targets import Target, TargetLike, is_target, target_of

#: The work for one schema: a function of its database, its name, the catalog and the progress callable.
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
    """Apply the pending migrations of a catalog to many schemas or databases.

    Each schema is migrated as ``kimbledb.migrate()`` does it. A schema that fails does not stop the others. A
    second call continues where the first one stopped, and sends one query to each schema that is already current.

    Args:
        targets: A DSN, a connection outside of a transaction, a pool or an engine, as ``TargetLike`` lists them, or an
            iterable of these. None reads ``KIMBLEDB_DSN``, then ``DATABASE_URL``, then libpq's variables.
        schemas: The names of the target schemas in each database; None is ``public``.
        catalog: The migrations, or None for the built-in ones.
        to: The name or number of a migration: apply only this one and those that it needs. None applies all.
        phase: The number of a phase: apply only its migrations and those that they need. None applies all.
        prefer: The names of alternatives to choose instead of the default ones.
        verify: Whether the checks of each migration run in its transaction and must pass.
        allow_data_loss: Whether a migration may delete existing rows and values without a ``deletes`` in its
            migration.toml.
        concurrency: The largest number of connections that are open at once, over all targets; at least 2 are
            used. One of them is reserved: it looks up the sessions that block the others, and serves as the second
            connection of a step outside of transactions.
        progress: Called with a ``OneOfMany`` for each event of each schema, and with
            ``Done`` at the end. None for no notifications.
        options: The deadline, the timeouts (in seconds) and the other limits, for each schema separately. None for
            the defaults.

    Returns:
        A report with one result for each target and schema. ``report.ok`` is True if all succeeded.

    Raises:
        ConfigurationError: ``concurrency`` is below 1, or ``targets`` is neither a target nor an iterable. Every other error of one
            schema is in its result.
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

    return await _many("migrate_many", work, targets, schemas, catalog, concurrency, progress)


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
    """Verify the applied migrations of many schemas or databases. It never writes.

    Args:
        targets: A DSN, a connection outside of a transaction, a pool or an engine, as ``TargetLike`` lists them, or an
            iterable of these. None reads ``KIMBLEDB_DSN``, then ``DATABASE_URL``, then libpq's variables.
        schemas: The names of the target schemas in each database; None is ``public``.
        catalog: The migrations, or None for the built-in ones.
        only: The name or number of a migration, or an iterable of these: run only their checks, applied or not.
            None runs all checks.
        concurrency: The largest number of connections that are open at once, over all targets; at least 2 are
            used. One of them is reserved: it looks up the sessions that block the others, and serves as the second
            connection of a step outside of transactions.
        progress: Called with a ``OneOfMany`` for each event of each schema, and with
            ``Done`` at the end. None for no notifications.
        options: The deadline, the timeouts (in seconds) and the other limits, for each schema separately. None for
            the defaults.

    Returns:
        A report with one result for each target and schema. ``report.ok`` is True if all succeeded.

    Raises:
        ConfigurationError: ``concurrency`` is below 1, or ``targets`` is neither a target nor an iterable. Every other error of one
            schema is in its result.
    """
    wanted = only if only is None or isinstance(only, str | int) else tuple(only)

    async def work(target: Target, schema: str | None, chosen: Catalog, watcher: Watcher) -> VerificationReport:
        with call_scope("verify") as call:
            helper = Verifier(target, catalog=chosen, schema=schema, options=options)
            call.about(helper.target.label, helper.schema)
            notify(watcher, Verifying())
            return call.done(await helper.verify(wanted))

    return await _many("verify_many", work, targets, schemas, catalog, concurrency, progress)


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
    """Plan what ``migrate_many()`` would apply, with the reasons. It only reads.

    Args:
        targets: A DSN, a connection outside of a transaction, a pool or an engine, as ``TargetLike`` lists them, or an
            iterable of these. None reads ``KIMBLEDB_DSN``, then ``DATABASE_URL``, then libpq's variables.
        schemas: The names of the target schemas in each database; None is ``public``.
        catalog: The migrations, or None for the built-in ones.
        to: The name or number of a migration: plan only this one and those that it needs. None plans all.
        phase: The number of a phase: plan only its migrations and those that they need. None plans all.
        prefer: The names of alternatives to choose instead of the default ones.
        concurrency: The largest number of connections that are open at once, over all targets; at least 2 are
            used. One of them is reserved: it looks up the sessions that block the others, and serves as the second
            connection of a step outside of transactions.
        progress: Called with a ``OneOfMany`` for each event of each schema, and with
            ``Done`` at the end. None for no notifications.
        options: The deadline, the timeouts (in seconds) and the other limits, for each schema separately. None for
            the defaults.

    Returns:
        A report with one result for each target and schema. ``report.ok`` is True if all succeeded.

    Raises:
        ConfigurationError: ``concurrency`` is below 1, or ``targets`` is neither a target nor an iterable. Every other error of one
            schema is in its result.
    """
    prefer = tuple(prefer)

    async def work(target: Target, schema: str | None, chosen: Catalog, _: Watcher) -> Plan:
        return await plan(target, catalog=chosen, schema=schema, to=to, phase=phase, prefer=prefer, options=options)

    return await _many("plan_many", work, targets, schemas, catalog, concurrency, progress)


async def _many(
    operation: str,
    work: _Work[Each],
    targets: TargetLike | Iterable[TargetLike],
    schemas: Iterable[str | None],
    catalog: Catalog | None,
    concurrency: int,
    progress: Watcher | None,
) -> ManyReport[Each]:
    with call_scope(operation, progress) as call:
        if concurrency < 1:
            raise ConfigurationError(f"concurrency is {concurrency!r}, but it must be at least 1")
        call.open()  # without a database and a schema: it has many
        running_loop()
        clock = stopwatch()
        names = (schemas,) if isinstance(schemas, str) else tuple(schemas)
        jobs = [(target, schema) for target in _several(targets) for schema in names]
        # Read in a thread: the event loop serves other tasks meanwhile.
        chosen = catalog if catalog is not None else await asyncio.to_thread(Catalog.builtin)
        run = _Run(work, chosen, jobs, progress)
        places = iter(range(len(jobs)))

        async def worker() -> None:
            for place in places:  # shared by the workers: each takes the next job
                await run.one(place)

        async with asyncio.TaskGroup() as group:
            for _ in range(min(max(1, concurrency - 1), len(jobs))):
                group.create_task(worker())
        report = ManyReport(tuple(result for result in run.results if result is not None), clock())
        notify(progress, Done(report.seconds, report))
        return report


class _Run(Generic[Each]):
    """One call for many schemas: its jobs and their results."""

    def __init__(
        self,
        work: _Work[Each],
        catalog: Catalog,
        jobs: Sequence[tuple[TargetLike, str | None]],
        progress: Watcher | None,
    ) -> None:
        self.work = work
        self.catalog = catalog
        self.jobs = jobs
        self.progress = progress
        #: The reserved connection of the whole call.
        self.spare = asyncio.Semaphore(1)
        self.results: list[ManyResult[Each] | None] = [None] * len(jobs)
        self.done = 0
        #: A lock for each connection of the caller, which carries one job at a time.
        self.busy: dict[int, asyncio.Lock] = {}

    async def one(self, place: int) -> None:
        given, schema = self.jobs[place]
        shown = schema or "public"
        label = f"target {place + 1}"

        def watcher(event: Event) -> None:
            if not isinstance(event, Done | Stopped):  # sent below, with the count of finished schemas
                notify(self.progress, OneOfMany(label, shown, event, self.done, len(self.jobs)))

        clock = stopwatch()
        try:
            target = target_of(given)
            label = target.label
            alone = nullcontext() if target.can_reconnect else self.busy.setdefault(id(given), asyncio.Lock())
            async with alone:
                report = await self.work(_Bounded(target, self.spare), schema, self.catalog, watcher)
            result: ManyResult[Each] = ManyResult(label, shown, report)
            end: Event = Done(clock(), report)
        except Exception as error:  # noqa: BLE001 - any error stops this schema alone
            result = ManyResult(label, shown, error=error)
            end = Stopped(error)
        self.results[place] = result
        self.done += 1
        notify(self.progress, OneOfMany(label, shown, end, self.done, len(self.jobs)))


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


def _several(targets: TargetLike | Iterable[TargetLike]) -> list[TargetLike]:
    if is_target(targets):
        return [cast("TargetLike", targets)]
    if not isinstance(targets, Iterable):
        raise ConfigurationError(
            f"expected a DSN, a connection, a pool, an engine or several of these, got {type(targets).__name__}",
            hint="pass a DSN such as postgresql://user@host/database, or a list of targets",
        )
    return list(targets)
