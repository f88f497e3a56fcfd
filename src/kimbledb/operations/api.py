"""The functions that most callers need. Each is a short call of the helpers under it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from kimbledb.catalog.catalog import Catalog
from kimbledb.execution.run import Request, catalog_of, schema_of
from kimbledb.model.plan import Plan
from kimbledb.model.reports import MigrationReport, VerificationReport
from kimbledb.operations.executor import Executor
from kimbledb.planning.planner import Planner
from kimbledb.server.notifications import call
from kimbledb.server.options import Options
from kimbledb.server.targets import DSN_VARIABLES, TargetLike, target_of

if TYPE_CHECKING:
    from kimbledb.events import Watcher
    from kimbledb.model.operator_reports import AdoptionReport, ResetReport, RollbackReport, Status


async def migrate(
    target: TargetLike = None,
    *,
    catalog: Catalog | None = None,
    schema: str | None = None,
    to: str | int | None = None,
    phase: int | None = None,
    prefer: Iterable[str] = (),
    verify: bool = True,
    backup: str | os.PathLike[str] | None = None,
    allow_data_loss: bool = False,
    progress: Watcher | None = None,
    options: Options | None = None,
) -> MigrationReport:
    """Bring a database to what a catalog describes.

    Each migration is one transaction: lock, script, proof, history row. Where
    nothing is to be done, nothing is locked and nothing written. Any number of
    processes may call it at once.

    Args:
        target: A DSN, an ``asyncpg.Connection`` outside of a transaction, or an ``asyncpg.Pool``.
            None reads ``KIMBLEDB_DSN``, then ``DATABASE_URL``.
        catalog: The migrations; None for the built-in ones.
        schema: The name of the target schema; None for ``public``. It is made if missing.
        to: A migration's name or number: apply that one and all it needs, no more. None for all.
        phase: A phase's number: apply its migrations and all they need, no more. None for all.
        prefer: Names of alternatives to take instead of the default.
        verify: Whether each migration's checks run in its transaction and must pass.
        backup: The path of a file to write a backup of the whole database to, before anything is changed
            and only where there is something to do. :func:`restore` brings it back. A file that is
            there is never overwritten. None for no backup.
        allow_data_loss: Whether rows and values that are there may go, also where the migration that
            takes them does not say so (``deletes`` in migration.toml).
        progress: Called with each :class:`~kimbledb.events.Event`; None for nobody.
        options: Deadline, timeouts and the like, in seconds; None for the defaults.

    Returns:
        What was applied, the plan it followed, and the checks.

    Raises:
        ConfigurationError: The target or an option cannot be used.
        PlanningError: No plan can be made.
        PreflightError: The server lacks something; nothing was touched.
        BackupError: The backup cannot be made; nothing was touched.
        UnrecordedObjectsError: The schema holds objects of the catalog, and no history.
        MigrationError: A migration failed and was rolled back; it carries what was applied before.
        DataLossError: A migration would have lost data unasked, and was rolled back; so with the others.
        LockUnavailableError: Others held a lock in every attempt.
        DeadlineExceededError: The options' deadline passed.
        ConnectionLostError: The server went away and stayed away.
        OutcomeUnknownError: A caller's own connection was lost while a COMMIT was under way.
    """
    with call(progress) as about:
        executor = Executor(target, catalog=catalog, schema=schema, options=options, progress=progress)
        about(executor.target.label, executor.schema)
        return await executor.apply(
            to=to, phase=phase, prefer=prefer, verify=verify, backup=backup, allow_data_loss=allow_data_loss
        )


async def plan(
    target: TargetLike = None,
    *,
    catalog: Catalog | None = None,
    schema: str | None = None,
    to: str | int | None = None,
    phase: int | None = None,
    prefer: Iterable[str] = (),
    options: Options | None = None,
) -> Plan:
    """Say what :func:`migrate` would do, and why. It only reads, on a standby too.

    Args:
        target: A DSN, an ``asyncpg.Connection`` outside of a transaction, or an ``asyncpg.Pool``.
            None reads ``KIMBLEDB_DSN``, then ``DATABASE_URL``. With no DSN
            anywhere, the plan is that for an empty database.
        catalog: The migrations; None for the built-in ones.
        schema: The name of the target schema; None for ``public``.
        to: A migration's name or number: plan that one and all it needs, no more. None for all.
        phase: A phase's number: plan its migrations and all they need, no more. None for all.
        prefer: Names of alternatives to take instead of the default.
        options: Deadline, timeouts and the like, in seconds; None for the defaults.

    Raises:
        ConfigurationError: The target cannot be used.
        PlanningError: No plan can be made.
    """
    if not has_dsn(target):
        return Planner(catalog_of(catalog), prefer=prefer).plan(to=to, phase=phase, schema=schema_of(schema))
    with call() as about:
        executor = Executor(target, catalog=catalog, schema=schema, options=options)
        about(executor.target.label, executor.schema)
        return await executor.plan(to=to, phase=phase, prefer=prefer)


async def status(
    target: TargetLike = None,
    *,
    catalog: Catalog | None = None,
    schema: str | None = None,
    options: Options | None = None,
) -> Status:
    """Say how a database stands: server, extensions, history, plan, tables, load and the latest events.

    Args:
        target: A DSN, an ``asyncpg.Connection`` outside of a transaction, or an ``asyncpg.Pool``.
            None reads ``KIMBLEDB_DSN``, then ``DATABASE_URL``.
        catalog: The migrations; None for the built-in ones.
        schema: The name of the target schema; None for ``public``.
        options: Deadline, timeouts and the like, in seconds; None for the defaults.

    Raises:
        ConfigurationError: The target cannot be used.
    """
    from kimbledb.operations import status

    with call() as about:
        request = Request(target, catalog=catalog, schema=schema, options=options)
        about(request.target.label, request.schema)
        return await status.look(request)


async def verify(
    target: TargetLike = None,
    *,
    catalog: Catalog | None = None,
    schema: str | None = None,
    only: str | int | Iterable[str | int] | None = None,
    options: Options | None = None,
) -> VerificationReport:
    """Ask whether what is applied is really there. It never writes.

    Args:
        target: A DSN, an ``asyncpg.Connection`` outside of a transaction, or an ``asyncpg.Pool``.
            None reads ``KIMBLEDB_DSN``, then ``DATABASE_URL``.
        catalog: The migrations; None for the built-in ones.
        schema: The name of the target schema; None for ``public``.
        only: A migration's name or number, or several: run their checks alone, applied or not. None for all.
        options: Deadline, timeouts and the like, in seconds; None for the defaults.

    Returns:
        Every check with what it expected and found; ``report.ok`` is the verdict.

    Raises:
        ConfigurationError: The target cannot be used.
        UnknownMigrationError: ``only`` names nothing.
    """
    from kimbledb.operations.verify import Verifier

    with call() as about:
        helper = Verifier(target, catalog=catalog, schema=schema, options=options)
        about(helper.target.label, helper.schema)
        return await helper.verify(only)


async def rollback(
    target: TargetLike = None,
    name: str | int | None = None,
    *,
    phase: int | None = None,
    to: str | int | None = None,
    catalog: Catalog | None = None,
    schema: str | None = None,
    cascade: bool = False,
    allow_data_loss: bool = False,
    include_adopted: bool = False,
    dry_run: bool = False,
    backup: str | os.PathLike[str] | None = None,
    progress: Watcher | None = None,
    options: Options | None = None,
) -> RollbackReport:
    """Take migrations back, newest first, one transaction each.

    Exactly one of ``name``, ``phase`` and ``to`` says which.

    Args:
        target: A DSN, an ``asyncpg.Connection`` outside of a transaction, or an ``asyncpg.Pool``.
            None reads ``KIMBLEDB_DSN``, then ``DATABASE_URL``.
        name: A migration's name or number: take that one back.
        phase: A phase's number: take all its migrations back.
        to: The name or number of the last migration, in plan order, that stays; 0 takes everything back.
        catalog: The migrations; None for the built-in ones.
        schema: The name of the target schema; None for ``public``. It is never dropped.
        cascade: Whether the applied migrations that need one of these go, too.
        allow_data_loss: Whether rows and values may go with them.
        include_adopted: Whether migrations that were adopted may go.
        dry_run: Whether only to say what would go. It takes the same locks for a moment.
        backup: The path of a file to write a backup of the whole database to, before anything is changed
            and only where there is something to do. :func:`restore` brings it back. A file that is
            there is never overwritten. None for no backup.
        progress: Called with each :class:`~kimbledb.events.Event`; None for nobody.
        options: Deadline, timeouts and the like, in seconds; None for the defaults.

    Returns:
        What was taken back, and what data went with it.

    Raises:
        ConfigurationError: Not exactly one of the three was given.
        RollbackRefusedError: It would take more than was asked for: others
            need it, data would be lost, it is not applied, it was adopted.
        BackupError: The backup cannot be made; nothing was touched.
        RollbackError: A script failed; what it did was rolled back.
        OutcomeUnknownError: A caller's own connection was lost while a COMMIT was under way.
    """
    from kimbledb.operations.rollback import Rollback

    with call(progress) as about:
        helper = Rollback(target, catalog=catalog, schema=schema, options=options, progress=progress)
        about(helper.target.label, helper.schema)
        return await helper.run(
            name,
            phase=phase,
            to=to,
            cascade=cascade,
            allow_data_loss=allow_data_loss,
            include_adopted=include_adopted,
            dry_run=dry_run,
            backup=backup,
        )


async def adopt(
    target: TargetLike = None,
    *,
    catalog: Catalog | None = None,
    schema: str | None = None,
    prefer: Iterable[str] = (),
    dry_run: bool = False,
    options: Options | None = None,
) -> AdoptionReport:
    """Write history for what is there already, and run nothing.

    A migration is adopted where all the objects that it declares are there in
    their declared form, and all that it needs is applied or adopted. The rest
    is left to :func:`migrate`, which completes what is there in part.

    Args:
        target: A DSN, an ``asyncpg.Connection`` outside of a transaction, or an ``asyncpg.Pool``.
            None reads ``KIMBLEDB_DSN``, then ``DATABASE_URL``.
        catalog: The migrations; None for the built-in ones.
        schema: The name of the target schema; None for ``public``.
        prefer: Names of alternatives to take instead of the default.
        dry_run: Whether only to say what would be recorded.
        options: Deadline, timeouts and the like, in seconds; None for the defaults.

    Raises:
        ConfigurationError: The target cannot be used.
        PlanningError: No plan can be made.
        OutcomeUnknownError: A caller's own connection was lost while a COMMIT was under way.
    """
    from kimbledb.operations.adopt import Adoption

    with call() as about:
        helper = Adoption(target, catalog=catalog, schema=schema, options=options)
        about(helper.target.label, helper.schema)
        return await helper.run(prefer=prefer, dry_run=dry_run)


async def reset(
    target: TargetLike = None,
    *,
    confirm: str,
    schema: str | None = None,
    allow_data_loss: bool = False,
    backup: str | os.PathLike[str] | None = None,
    options: Options | None = None,
) -> ResetReport:
    """Take everything out of a schema, one object after the other, without CASCADE.

    It is one transaction. Extensions and their objects stay, and so do the schema
    itself, its owner, its grants and its default privileges. History begins anew;
    ``migration_log`` goes on, with an entry for the reset.

    Args:
        target: A DSN, an ``asyncpg.Connection`` outside of a transaction, or an ``asyncpg.Pool``.
            None reads ``KIMBLEDB_DSN``, then ``DATABASE_URL``.
        confirm: The name of the database, which must be that of the target.
        schema: The name of the target schema; None for ``public``.
        allow_data_loss: Whether rows may go.
        backup: The path of a file to write a backup of the whole database to, before anything is changed
            and only where there is something to do. :func:`restore` brings it back. A file that is
            there is never overwritten. None for no backup.
        options: Deadline, timeouts and the like, in seconds; None for the defaults.

    Returns:
        What was dropped, in that order, and how many rows went with it.

    Raises:
        ConfirmationError: The database has another name.
        ResetRefusedError: Something outside of the schema needs what is in it.
        DataLossError: There are rows, and ``allow_data_loss`` is not set.
        BackupError: The backup cannot be made.
        OutcomeUnknownError: A caller's own connection was lost while a COMMIT was under way.
    """
    from kimbledb.operations.reset import Reset

    with call() as about:
        request = Request(target, schema=schema, options=options)
        about(request.target.label, request.schema)
        return await Reset(request, confirm=confirm, allow_data_loss=allow_data_loss, backup=backup).run()


async def restore(path: str | os.PathLike[str], target: TargetLike = None, *, options: Options | None = None) -> None:
    """Bring a backup back into an empty database: all of it, or nothing.

    Owners and privileges come back as they were, so that the roles must be there.
    Extensions and empty schemas that the database came with are no hindrance.

    Args:
        path: The path of the file that ``backup`` wrote.
        target: A DSN, an ``asyncpg.Connection`` outside of a transaction, or an ``asyncpg.Pool``.
            None reads ``KIMBLEDB_DSN``, then ``DATABASE_URL``.
            The database must be empty.
        options: Deadline, timeouts and the like, in seconds; None for the defaults.

    Raises:
        BackupError: The database is not empty, the file cannot be read, or
            something in it cannot be made there; nothing was touched.
    """
    from kimbledb.execution import backup

    with call() as about:
        where = target_of(target)
        about(where.label, None)
        await backup.restore(path, where, options=options)


def render(catalog: Catalog | None = None) -> str:
    """Return one SQL file of all migrations, for an SQL editor.

    It is one transaction for the schema ``public`` without any client's commands,
    writes history as :func:`migrate` does, is safe to run twice, and where a
    migration fails stops with its name and keeps nothing. Alternatives are
    decided by history, else by whether the database is hosted.

    Args:
        catalog: The migrations; None for the built-in ones.

    Raises:
        ConfigurationError: A migration cannot run in a transaction.
        PlanningError: No plan can be made, as where alternatives have no default.
    """
    from kimbledb.operations import render  # late: no start-up needs it

    return render.render(catalog)


def has_dsn(target: TargetLike) -> bool:
    """Whether a call has a target, of its own or by the environment."""
    return target is not None or any(os.environ.get(variable) for variable in DSN_VARIABLES)
