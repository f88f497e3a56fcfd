"""migrate(), verify() and plan() for many schemas and databases at once.

Each schema of each database gets a result of its own. A failure of one does not stop the others.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Iterable
from typing import cast

from kimbledb.catalog.catalog import Catalog
from kimbledb.errors import ConfigurationError
from kimbledb.events import Done, Verifying, Watcher
from kimbledb.many.limits import Limits
from kimbledb.many.run import Run, Targets, Work
from kimbledb.model.many_report import Each, ManyReport
from kimbledb.model.plan import Plan
from kimbledb.model.reports import MigrationReport, VerificationReport
from kimbledb.operations.migrate import migrate
from kimbledb.operations.plan import plan
from kimbledb.operations.verify import Verifier
from kimbledb.server.in_process_lock import running_loop
from kimbledb.server.notifications import call_scope, has_listener, notify
from kimbledb.server.options import Options
from kimbledb.server.targets import Target, TargetLike, is_target


async def migrate_many(
    targets: TargetLike | Iterable[TargetLike] | AsyncIterable[TargetLike] = None,
    *,
    schemas: Iterable[str | None] = (None,),
    catalog: Catalog | None = None,
    to: str | int | None = None,
    phase: int | None = None,
    prefer: Iterable[str] = (),
    verify: bool = True,
    allow_data_loss: bool = False,
    concurrency: int = 8,
    per_server: int | None = None,
    halt_after: int | str | None = None,
    progress: Watcher | None = None,
    options: Options | None = None,
) -> ManyReport[MigrationReport]:
    """Apply the pending migrations of a catalog to many schemas or databases.

    Each schema is migrated as ``kimbledb.migrate()`` does it. A schema that fails does not stop the others. A
    second call continues where the first one stopped, and sends one query to each schema that is already current.

    Args:
        targets: A DSN, a connection outside of a transaction, a pool or an engine, as ``TargetLike`` lists them, or an
            iterable of these, which may be async, such as a generator that reads a table of tenants. A target is drawn
            from it when it can be started. An async generator is closed before the call returns. None reads
            ``KIMBLEDB_DSN``, then ``DATABASE_URL``, then libpq's variables.
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
        per_server: The largest number of those connections that are open at once to one server, counted in the same
            way. A server is the set of hosts and ports that a target names. If it has its number, up to 1,000 of its
            schemas are held, and those of other servers overtake them. None for no such limit.
        halt_after: The failures after which the call halts: a number, or a share of the finished schemas such as
            ``"10%"``, which counts once ten are finished. Then no further schema starts, and those in flight end. None
            to go on whatever fails.
        progress: Called with a ``OneOfMany`` for each event of each schema, and with
            ``Done`` at the end. None for no notifications.
        options: The deadline, the timeouts (in seconds) and the other limits, for each schema separately. None for
            the defaults.

    Returns:
        A report with one result for each target and schema. ``report.ok`` is True if all succeeded. ``report.halted``
        is the reason if the call halted.

    Raises:
        ConfigurationError: A limit is impossible, or ``targets`` is neither a target nor an iterable. Every other error of
            one schema is in its result.
        TargetsError: The iterable of targets raised an error. The schemas that it gave before are finished first, and
            the error has their report.
    """
    prefer = tuple(prefer)

    async def work(target: Target, schema: str | None, chosen: Catalog, watcher: Watcher | None) -> MigrationReport:
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

    return await _many(
        "migrate_many",
        work,
        targets,
        schemas,
        catalog,
        progress,
        concurrency=concurrency,
        per_server=per_server,
        halt_after=halt_after,
    )


async def verify_many(
    targets: TargetLike | Iterable[TargetLike] | AsyncIterable[TargetLike] = None,
    *,
    schemas: Iterable[str | None] = (None,),
    catalog: Catalog | None = None,
    only: str | int | Iterable[str | int] | None = None,
    concurrency: int = 8,
    per_server: int | None = None,
    progress: Watcher | None = None,
    options: Options | None = None,
) -> ManyReport[VerificationReport]:
    """Verify the applied migrations of many schemas or databases. It never writes.

    Args:
        targets: A DSN, a connection outside of a transaction, a pool or an engine, as ``TargetLike`` lists them, or an
            iterable of these, which may be async, such as a generator that reads a table of tenants. A target is drawn
            from it when it can be started. An async generator is closed before the call returns. None reads
            ``KIMBLEDB_DSN``, then ``DATABASE_URL``, then libpq's variables.
        schemas: The names of the target schemas in each database; None is ``public``.
        catalog: The migrations, or None for the built-in ones.
        only: The name or number of a migration, or an iterable of these: run only their checks, applied or not.
            None runs all checks.
        concurrency: The largest number of connections that are open at once, over all targets; at least 2 are
            used. One of them is reserved: it looks up the sessions that block the others, and serves as the second
            connection of a step outside of transactions.
        per_server: The largest number of those connections that are open at once to one server, counted in the same
            way. A server is the set of hosts and ports that a target names. If it has its number, up to 1,000 of its
            schemas are held, and those of other servers overtake them. None for no such limit.
        progress: Called with a ``OneOfMany`` for each event of each schema, and with
            ``Done`` at the end. None for no notifications.
        options: The deadline, the timeouts (in seconds) and the other limits, for each schema separately. None for
            the defaults.

    Returns:
        A report with one result for each target and schema. ``report.ok`` is True if all succeeded. To spare
        memory, a check that lists all tables, indexes, keys or extensions of a database has no ``rows``: ``verify()`` has
        them.

    Raises:
        ConfigurationError: A limit is impossible, or ``targets`` is neither a target nor an iterable. Every other error of
            one schema is in its result.
        TargetsError: The iterable of targets raised an error. The schemas that it gave before are finished first, and
            the error has their report.
    """
    wanted = only if only is None or isinstance(only, str | int) else tuple(only)

    async def work(target: Target, schema: str | None, chosen: Catalog, watcher: Watcher | None) -> VerificationReport:
        with call_scope("verify") as call:
            helper = Verifier(target, catalog=chosen, schema=schema, options=options)
            call.about(helper.target.label, helper.schema)
            if has_listener(watcher):
                notify(watcher, Verifying())
            return call.done(await helper.verify(wanted))

    return await _many(
        "verify_many",
        work,
        targets,
        schemas,
        catalog,
        progress,
        concurrency=concurrency,
        per_server=per_server,
    )


async def plan_many(
    targets: TargetLike | Iterable[TargetLike] | AsyncIterable[TargetLike] = None,
    *,
    schemas: Iterable[str | None] = (None,),
    catalog: Catalog | None = None,
    to: str | int | None = None,
    phase: int | None = None,
    prefer: Iterable[str] = (),
    concurrency: int = 8,
    per_server: int | None = None,
    progress: Watcher | None = None,
    options: Options | None = None,
) -> ManyReport[Plan]:
    """Plan what ``migrate_many()`` would apply, with the reasons. It only reads.

    Args:
        targets: A DSN, a connection outside of a transaction, a pool or an engine, as ``TargetLike`` lists them, or an
            iterable of these, which may be async, such as a generator that reads a table of tenants. A target is drawn
            from it when it can be started. An async generator is closed before the call returns. None reads
            ``KIMBLEDB_DSN``, then ``DATABASE_URL``, then libpq's variables.
        schemas: The names of the target schemas in each database; None is ``public``.
        catalog: The migrations, or None for the built-in ones.
        to: The name or number of a migration: plan only this one and those that it needs. None plans all.
        phase: The number of a phase: plan only its migrations and those that they need. None plans all.
        prefer: The names of alternatives to choose instead of the default ones.
        concurrency: The largest number of connections that are open at once, over all targets; at least 2 are
            used. One of them is reserved: it looks up the sessions that block the others, and serves as the second
            connection of a step outside of transactions.
        per_server: The largest number of those connections that are open at once to one server, counted in the same
            way. A server is the set of hosts and ports that a target names. If it has its number, up to 1,000 of its
            schemas are held, and those of other servers overtake them. None for no such limit.
        progress: Called with a ``OneOfMany`` for each event of each schema, and with
            ``Done`` at the end. None for no notifications.
        options: The deadline, the timeouts (in seconds) and the other limits, for each schema separately. None for
            the defaults.

    Returns:
        A report with one result for each target and schema. ``report.ok`` is True if all succeeded.

    Raises:
        ConfigurationError: A limit is impossible, or ``targets`` is neither a target nor an iterable. Every other error of
            one schema is in its result.
        TargetsError: The iterable of targets raised an error. The schemas that it gave before are finished first, and
            the error has their report.
    """
    prefer = tuple(prefer)

    async def work(target: Target, schema: str | None, chosen: Catalog, _: Watcher | None) -> Plan:
        return await plan(target, catalog=chosen, schema=schema, to=to, phase=phase, prefer=prefer, options=options)

    return await _many(
        "plan_many",
        work,
        targets,
        schemas,
        catalog,
        progress,
        concurrency=concurrency,
        per_server=per_server,
    )


async def _many(
    operation: str,
    work: Work[Each],
    targets: TargetLike | Targets,
    schemas: Iterable[str | None],
    catalog: Catalog | None,
    progress: Watcher | None,
    *,
    concurrency: int,
    per_server: int | None,
    halt_after: int | str | None = None,
) -> ManyReport[Each]:
    with call_scope(operation, progress) as call:
        limits = Limits.of(concurrency, per_server, halt_after)
        call.open()  # without a database and a schema: it has many
        running_loop()
        names = (schemas,) if isinstance(schemas, str) else tuple(schemas)
        several = _several(targets)
        # Read in a thread: the event loop serves other tasks meanwhile.
        chosen = catalog if catalog is not None else await asyncio.to_thread(Catalog.builtin)
        report = await Run(work, several, names, chosen, limits, progress).finish()
        notify(progress, Done(report.seconds, report))
        return report


def _several(targets: TargetLike | Targets) -> Targets:
    if is_target(targets):
        return [cast("TargetLike", targets)]
    if not isinstance(targets, Iterable | AsyncIterable):
        raise ConfigurationError(
            f"expected a DSN, a connection, a pool, an engine or several of these, got {type(targets).__name__}",
            hint="pass a DSN such as postgresql://user@host/database, or an iterable of targets",
        )
    return targets
