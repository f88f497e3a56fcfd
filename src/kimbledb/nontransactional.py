"""Scripts that PostgreSQL refuses to run in a transaction, such as CREATE INDEX CONCURRENTLY.

That is apply.sql of a migration that says so, and online.sql of one that has a road
for tables that hold rows.

Two connections: one holds the lock in an open transaction, by messages that
leave no snapshot behind (a snapshot would make CONCURRENTLY wait for ever); the
other, the worker, runs the statements one at a time. Before each an intent is
written to the log, and after it that it is done, so that an interrupted step goes
on at the statement that was interrupted; what an interruption leaves of an index,
an invalid one, is dropped and built again. The proof and the history row come
last, in the transaction that holds the lock, and so does apply.sql after an online.sql.

The worker holds a lock of its own for as long as its session lives: when its
client dies the server may go on with a statement for a moment, and nobody else
begins before that is over.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
from attrs import evolve

from kimbledb import queries, statements
from kimbledb.diagnosis import diagnose
from kimbledb.errors import ConfigurationError
from kimbledb.events import Statement as Sent
from kimbledb.locks import LOCK_CLASS, lock_key, take_session_lock
from kimbledb.model import Migration
from kimbledb.names import quote_identifier, quote_literal
from kimbledb.runner import WORTH_ANOTHER_TRY, Again, Runner, describe_holders
from kimbledb.session import LOCK_BUSY, Session, first_line, milliseconds, setting
from kimbledb.statements import Statement
from kimbledb.transaction import (
    Outcome,
    ScriptError,
    Transactions,
    Work,
)
from kimbledb.version import __version__
from kimbledb.watching import tell

_CONCURRENT_INDEX = re.compile(
    r'create\s+(?:unique\s+)?index\s+concurrently\s+(?:if\s+not\s+exists\s+)?("(?:[^"]|"")+"|[^\s(]+)\s+on\b',
    re.IGNORECASE,
)
_CONCURRENTLY = re.compile(
    r"(?:create\s+(?:unique\s+)?index|drop\s+index|reindex\b.*?|alter\s+table\b.*?\bdetach\s+partition\b.*?)\s+concurrently\b",
    re.IGNORECASE | re.DOTALL,
)
#: Characters of a statement that are shown while it runs.
_SHOWN = 60
#: The server will not run the statement in a transaction, or not end one inside of it.
_WANTS_NO_TRANSACTION = (asyncpg.ActiveSQLTransactionError, asyncpg.InvalidTransactionTerminationError)


async def carry_out(runner: Runner, holder: Transactions, work: Work, head: int) -> Outcome:
    """Run a migration that cannot run in a transaction.

    Args:
        runner: For a session of one's own, and to tell who blocks a statement.
        holder: The session that holds the lock.
        work: The migration.
        head: The head of the log that the plan rests on.

    Raises:
        ConfigurationError: No session of its own can be had: the target is a
            connection or a pool, or a transaction pooler is between.
        Again: As for a transaction; statements that are done stay done.
        ScriptError: A statement failed; those before it stay done.
        ConnectionLostError: One of the two connections was lost.
    """
    if runner.direct is None:
        raise ConfigurationError(
            f"{work.migration.name} cannot run in a transaction and needs a session of its own",
            hint="pass a DSN as target, or Options(direct_dsn=...)",
        )
    # The lock comes first: who does not get it takes no second connection.
    await holder.hold(work, head)
    async with _worker(runner, holder, work.migration) as worker:
        await _run_statements(runner, holder, worker, work)
        return evolve(await holder.release(work), held=None)


async def carry_out_online(runner: Runner, holder: Transactions, work: Work, head: int) -> Outcome:
    """Run a migration's online.sql, and then the migration in the transaction that holds the lock.

    Args:
        runner: As for :func:`carry_out`; it has room aside (:meth:`Runner.has_room_aside`).
        holder: The session that holds the lock.
        work: The migration.
        head: The head of the log that the plan rests on.

    Raises:
        Again: As for a transaction; statements of online.sql that are done stay done.
        ScriptError: A statement failed; of online.sql those before it stay done.
        ChecksFailed: The verification failed; what online.sql did stays.
        ConnectionLostError: One of the two connections was lost.
    """
    await holder.hold(work, head)
    async with _worker(runner, holder, work.migration) as worker:
        await _run_statements(runner, holder, worker, evolve(work, part="online"))
    async with runner.watching(holder.session, work.migration):
        return await holder.finish(work)


@asynccontextmanager
async def _worker(runner: Runner, holder: Transactions, migration: Migration) -> AsyncIterator[Session]:
    """Open the second session, while the first holds the lock; what fails ends the first one's transaction, too."""
    assert runner.direct is not None
    try:
        # What answered when the lock was taken is known by now.
        if not runner.has_room_aside(holder.session, holder.session.process_id or 0):
            raise _no_room(migration)
        async with runner.direct.session(runner.options) as worker:
            await _refuse_elsewhere(holder, worker, migration)
            await _take_session_lock(holder.schema, worker)
            yield worker
    except Exception:
        # The error goes on as it is. What is none, a cancellation, ends both connections where they were opened.
        await holder.session.roll_back()
        raise


async def _run_statements(runner: Runner, holder: Transactions, worker: Session, work: Work) -> None:
    migration = work.migration
    script = work.script
    # For the whole session, which is its own and is closed at the end.
    await worker.send(
        worker.settings(statement_timeout=migration.statement_timeout, for_session=True)
        + worker.guarded(holder.path, for_session=True)
    )
    done = await _done_before(worker, holder.schema, work)
    every = list(statements.split(script))
    for number, statement in enumerate(every):
        digest = hashlib.sha256(f"{number}\n{statement.text}".encode()).hexdigest()[:16]
        if digest in done:
            continue
        # The lock must still be held: without it another run may be at work.
        await holder.session.send("DO $$ BEGIN END $$;")
        await worker.send("BEGIN;\n" + _note(worker, holder.schema, work, digest, "begun"))
        tell(runner.progress, Sent(migration, number + 1, len(every), " ".join(statement.text.split())[:_SHOWN]))
        try:
            async with runner.watching(worker, migration):
                await _run_one(holder.schema, worker, statement, _note(worker, holder.schema, work, digest, "done"))
        except asyncpg.PostgresError as error:
            if isinstance(error, WORTH_ANOTHER_TRY):
                raise Again(contended=first_line(error)) from error
            place = statement.start + (int(error.position) - 1 if error.position else 0)
            raise ScriptError(
                diagnose(error, migration, work.part, script, offset=place, exact=bool(error.position))
            ) from error


async def _run_one(schema: str, worker: Session, statement: Statement, note: str) -> None:
    """Run a statement and note that it is done: in one transaction where the server lets it, so that no crash comes between."""
    concurrently = _CONCURRENTLY.match(statement.skeleton) is not None
    # CONCURRENTLY waits for transactions to end, and while it does it is in nobody's way
    # who reads or writes: to give up early would throw a long build away.
    limit = 0 if concurrently else milliseconds(worker.options.lock_timeout)
    await worker.send(f"SET lock_timeout = {limit}")
    if not concurrently:
        try:
            await worker.send("BEGIN")
            await worker.send(f"{statement.text}\n;\n{note}")
        except _WANTS_NO_TRANSACTION:
            pass
        else:
            return
    index = _CONCURRENT_INDEX.match(statement.text)
    if index is None:
        await worker.send(statement.text)
    else:
        await _build(schema, worker, statement, index[1])
    await worker.send(f"BEGIN;\n{note}")


async def _build(schema: str, worker: Session, statement: Statement, name: str) -> None:
    """Build an index, whatever an earlier try has left of it."""
    name = name[1:-1].replace('""', '"') if name.startswith('"') else name.lower()
    # IF NOT EXISTS would pass over what an interrupted build left, and call it done.
    state = await _index_state(worker, schema, name)
    if state == "being built":
        raise Again(blockers=(f"a build of the index {name}",))
    if state == "invalid":
        await worker.send(f"DROP INDEX CONCURRENTLY IF EXISTS {quote_identifier(schema)}.{quote_identifier(name)}")
    await worker.send(statement.text)
    state = await _index_state(worker, schema, name)
    if state != "valid":
        raise Again(contended=f"the index {name} is {state} after its build")


async def _index_state(worker: Session, schema: str, name: str) -> str:
    state: str = await worker.ask(
        queries.question("index_state", schema=quote_literal(schema), name=quote_literal(name))
    )
    return state


async def _done_before(worker: Session, schema: str, work: Work) -> frozenset[str]:
    block = queries.question(
        "statements_done",
        schema=quote_identifier(schema),
        name=quote_literal(work.migration.name),
        checksum=quote_literal(work.migration.checksum),
        part=quote_literal(work.part),
    )
    return frozenset(await worker.ask(block))


def _note(worker: Session, schema: str, work: Work, digest: str, state: str) -> str:
    """Return the end of a transaction that notes how far a statement is."""
    facts: dict[str, Any] = {
        "name": work.migration.name,
        "checksum": work.migration.checksum,
        "version": __version__,
        "detail": {"statement": digest, "state": state, "during": work.part},
    }
    return (
        worker.settings()
        + setting("kimbledb.step", facts)
        + queries.block("record_statement", schema=quote_identifier(schema))
        + "COMMIT;\n"
    )


async def _refuse_elsewhere(holder: Transactions, worker: Session, migration: Migration) -> None:
    """Stop where the worker's session is not its own, or not in the database of the lock."""
    block = queries.question(
        "session",
        holder=str(holder.session.process_id),
        lock_class=str(LOCK_CLASS),
        lock_key=str(lock_key(holder.schema)),
    )
    found = await worker.ask(block)
    if worker.connection.get_server_pid() != found["process_id"]:
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
    try:
        await worker.send(
            "BEGIN ISOLATION LEVEL READ COMMITTED;\n" + worker.settings() + take_session_lock(schema) + "COMMIT;\n"
        )
    except asyncpg.PostgresError as error:
        if error.sqlstate == LOCK_BUSY:
            raise Again(blockers=describe_holders(json.loads(error.detail or "[]"))) from error
        raise
