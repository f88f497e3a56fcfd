"""Scripts that PostgreSQL refuses to run in a transaction, such as CREATE INDEX CONCURRENTLY.

Such a script is apply.sql of a migration that declares it, or online.sql of a migration with an online
strategy for tables that hold rows.

There are two connections. One, the holder, holds the lock in an open transaction, by messages that leave no
snapshot and no lock on a table behind: CONCURRENTLY would wait for the snapshot, REINDEX and VACUUM FULL for
the lock, for ever. The other, the worker, runs the statements one at a time
(``kimbledb.execution.statement_runner``). Before each statement an intent is written to the log, and after
it its completion (``kimbledb.execution.statement_log``), so that an interrupted script continues at the
statement that was interrupted.

The leftovers of a statement are found by comparing the catalogs before and after it
(``kimbledb.execution.leftovers``). After a failure invalid indexes, and constraints that were added and
are not validated, are dropped, and the error says what stays. The proof and the history row come last, in
the transaction that holds the lock, and so do apply.sql after an online.sql, and hosted.sql.

The worker holds a lock of its own for as long as its session lives. When its client dies the server may
continue a statement for a moment, and no other run begins before that has ended.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from attrs import evolve

from kimbledb.errors import ConfigurationError
from kimbledb.execution.statement_runner import StatementRunner
from kimbledb.execution.transaction import Transactions
from kimbledb.execution.work import ChecksFailed, Outcome, ScriptError, Work
from kimbledb.inspection import data_loss
from kimbledb.inspection.data_loss import Lost
from kimbledb.model.migration import Migration
from kimbledb.planning.fills import by_table, update
from kimbledb.server import queries
from kimbledb.server.locks import LOCK_CLASS, lock_key, take_session_lock
from kimbledb.server.observer import observed
from kimbledb.server.retry import decided
from kimbledb.server.runner import Runner
from kimbledb.server.session import Session
from kimbledb.server.targets import Target


async def carry_out(runner: Runner, holder: Transactions, work: Work, log_position: int) -> Outcome:
    """Run a migration that cannot run in a transaction.

    Args:
        runner: The runner of the call, which opens the second session and reports the session that blocks a statement.
        holder: The session that takes and holds the lock.
        work: The migration.
        log_position: The id of the log's newest entry when the plan was made.

    Raises:
        ConfigurationError: No second session can be opened: the target is a
            connection or a pool, or a transaction pooler is between.
        Retry: Another run holds the lock or was quicker, or the application held a lock for too long.
            Completed statements stay completed.
        ScriptError: A statement failed. ``standing`` says what stays and what was taken back.
        ChecksFailed: The verification failed. ``standing`` says the same.
        ConnectionLostError: One of the two connections was lost.
    """
    if runner.direct is None:
        raise ConfigurationError(
            f"{work.migration.name} cannot run in a transaction and needs a session of its own",
            hint="pass a DSN as target, or Options(direct_dsn=...)",
        )
    async with second_session(runner, holder, work, log_position) as statements:
        await statements.run()
        return evolve(await holder.release(work, statements.measured), held=None)


async def carry_out_online(runner: Runner, holder: Transactions, work: Work, log_position: int) -> Outcome:
    """Run a migration's online.sql, and then the migration in the transaction that holds the lock.

    Args:
        runner: The runner of the call; a second session can be opened (``Runner.can_open_second_session()``).
        holder: The session that takes and holds the lock.
        work: The migration.
        log_position: The id of the log's newest entry when the plan was made.

    Raises:
        Retry: Another run holds the lock or was quicker, or the application held a lock for too long.
            Completed statements of online.sql stay completed.
        ScriptError: A statement of either script failed. ``standing`` says what of online.sql stays and
            what was taken back.
        ChecksFailed: The verification failed. ``standing`` says the same.
        ConnectionLostError: One of the two connections was lost.
    """
    async with second_session(runner, holder, evolve(work, part="online"), log_position) as statements:
        await statements.run()
        async with observed(runner, holder.session, work.migration):
            # Triggers of apply.sql have not seen the application's writes since online.sql made the columns.
            filling = [f"{update(table, each)};\n" for table, each in by_table(work.migration.fills).items()]
            outcome = await holder.finish(work, more=filling)
        return evolve(outcome, measured=data_loss.combined([statements.measured, outcome.measured]))


@asynccontextmanager
async def second_session(
    runner: Runner, holder: Transactions, work: Work, log_position: int
) -> AsyncIterator[StatementRunner]:
    """Take the lock in the first session, and open the second one. An error ends the first one's transaction, too.

    Args:
        runner: The runner of the call; a second session can be opened.
        holder: The first session.
        work: The work of the second one.
        log_position: The id of the log's newest entry when the plan was made.
    """
    assert runner.direct is not None
    async with runner.direct.reserved() as direct:
        # The lock comes before the connection: a run that does not get it opens no second one.
        await holder.hold(work, log_position)
        async with _beside(runner, direct, holder, work) as statements:
            yield statements
    runner.standing = None


@asynccontextmanager
async def _beside(runner: Runner, direct: Target, holder: Transactions, work: Work) -> AsyncIterator[StatementRunner]:
    """Open the second session while the first holds the lock."""
    try:
        # The process that took the lock is known by now.
        if not runner.can_open_second_session(holder.session, holder.session.process_id or 0):
            raise _no_room(work.migration)
        async with direct.session(runner.options) as worker:
            await _refuse_elsewhere(holder, worker, work.migration)
            await _take_session_lock(holder.messages.schema, worker)
            statements = StatementRunner(runner, holder, worker, work)
            try:
                yield statements
            except (ScriptError, ChecksFailed, Lost) as failure:
                failure.standing = await statements.take_back()
                raise
    except Exception:
        # The error is raised as it is. A cancellation, which is no Exception, ends both connections where they were opened.
        await holder.session.roll_back()
        raise


async def _refuse_elsewhere(holder: Transactions, worker: Session, migration: Migration) -> None:
    """Stop where the worker's session is shared, or in another database than the lock.

    Raises:
        ConfigurationError: It is.
    """
    block = queries.question(
        "session",
        holder=str(holder.session.process_id),
        lock_class=str(LOCK_CLASS),
        lock_key=str(lock_key(holder.messages.schema)),
    )
    found = await worker.ask(block)
    if worker.connection.server_pid != found["process_id"]:
        raise _no_room(migration)
    if not found["sees_lock"]:
        raise ConfigurationError(
            "Options.direct_dsn leads to another database than the target",
            hint="name the same database, past the pooler",
        )


def _no_room(migration: Migration) -> ConfigurationError:
    return ConfigurationError(
        f"{migration.name} cannot run in a transaction and needs a session of its own, and a pooler is between",
        hint="name the server itself: Options(direct_dsn=...)",
    )


async def _take_session_lock(schema: str, worker: Session) -> None:
    with decided():
        await worker.send(
            "BEGIN ISOLATION LEVEL READ COMMITTED;\n" + worker.settings() + take_session_lock(schema) + "COMMIT;\n"
        )
