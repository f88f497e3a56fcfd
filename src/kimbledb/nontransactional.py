"""Steps that PostgreSQL refuses to run in a transaction, such as CREATE INDEX CONCURRENTLY.

Two connections: one holds the lock in an open transaction, by messages that
leave no snapshot behind (a snapshot would make CONCURRENTLY wait for ever); the
other runs the statements one at a time. Before each an intent is written to the
log, and after it that it is done, so that an interrupted step goes on at the
statement that was interrupted; what an interruption leaves of an index, an
invalid one, is dropped and built again. The proof and the history row come
last, in the transaction that holds the lock.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Any

import asyncpg

from kimbledb import queries, statements
from kimbledb.diagnosis import diagnose
from kimbledb.errors import ConfigurationError
from kimbledb.model import Migration
from kimbledb.names import quote_identifier, quote_literal
from kimbledb.options import Options
from kimbledb.runner import Again
from kimbledb.session import Session, first_line, setting
from kimbledb.statements import Statement
from kimbledb.targets import Target
from kimbledb.transaction import Outcome, ScriptError, Transactions, Work, our_version

_CONCURRENT_INDEX = re.compile(
    r'create\s+(?:unique\s+)?index\s+concurrently\s+(?:if\s+not\s+exists\s+)?("(?:[^"]|"")+"|[^\s(]+)\s+on\b',
    re.IGNORECASE,
)


async def carry_out(target: Target, options: Options, holder: Transactions, work: Work, head: int) -> Outcome:
    """Run a migration that cannot run in a transaction.

    Args:
        target: Where the second connection goes, if the options name no ``direct_dsn``.
        options: Timeouts, and ``direct_dsn``.
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
    dsn = options.direct_dsn or target.dsn
    if dsn is None:
        raise ConfigurationError(
            f"{work.migration.name} cannot run in a transaction and needs a session of its own",
            hint="pass a DSN as target, or Options(direct_dsn=...)",
        )
    async with Target(target.label, dsn=dsn).session(options) as worker:
        worker_pid = await _process_id(worker)
        await holder.hold(work, head)
        try:
            await _refuse_pooler(holder.session, worker, worker_pid, work.migration)
            await _run_statements(holder, worker, work)
            return await holder.release(work)
        except BaseException:
            await holder.let_go()
            raise


async def _run_statements(holder: Transactions, worker: Session, work: Work) -> None:
    migration = work.migration
    script = work.script
    await worker.send(_session_settings(worker, holder.path, migration))
    done = await _done_before(worker, holder.schema, work)
    for number, statement in enumerate(statements.split(script)):
        digest = hashlib.sha256(f"{number}\n{statement.text}".encode()).hexdigest()[:16]
        if digest in done:
            continue
        # The lock must still be held: without it another run may be at work.
        await holder.session.send("DO $$ BEGIN END $$;")
        await _log(worker, holder.schema, work, digest, "begun")
        try:
            await _run_one(holder.schema, worker, statement)
        except asyncpg.PostgresError as error:
            if isinstance(error, asyncpg.LockNotAvailableError | asyncpg.DeadlockDetectedError):
                raise Again(contended=first_line(error)) from error
            place = statement.start + (int(error.position) - 1 if error.position else 0)
            raise ScriptError(
                diagnose(error, migration, work.part, script, offset=place, exact=bool(error.position))
            ) from error
        await _log(worker, holder.schema, work, digest, "done")


async def _run_one(schema: str, worker: Session, statement: Statement) -> None:
    index = _CONCURRENT_INDEX.match(statement.text)
    if index is None:
        await worker.send(statement.text)
        return
    name = index[1][1:-1].replace('""', '"') if index[1].startswith('"') else index[1].lower()
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


async def _log(worker: Session, schema: str, work: Work, digest: str, state: str) -> None:
    facts: dict[str, Any] = {
        "name": work.migration.name,
        "checksum": work.migration.checksum,
        "version": our_version(),
        "detail": {"statement": digest, "state": state, "during": work.part},
    }
    await worker.send(
        "BEGIN READ WRITE;\n"
        + worker.settings()
        + setting("kimbledb.step", facts)
        + queries.block("record_statement", schema=quote_identifier(schema))
        + "COMMIT;\n"
    )


def _session_settings(worker: Session, path: Sequence[str], migration: Migration) -> str:
    """Return the worker's settings for its whole session, which is its own and is closed at the end."""
    return worker.settings(path, statement_timeout=migration.statement_timeout).replace("SET LOCAL", "SET")


async def _process_id(session: Session) -> int:
    pid: int = await session.ask(queries.question("process_id"))
    return pid


async def _refuse_pooler(holder: Session, worker: Session, worker_pid: int, migration: Migration) -> None:
    """Stop where a transaction pooler is between: what was set for the session would reach others.

    Two live connections never share a server process, and one never changes it.
    """
    [answer] = await holder.send(queries.question("process_id"))
    if answer.value == worker_pid or await _process_id(worker) != worker_pid:
        raise ConfigurationError(
            f"{migration.name} cannot run in a transaction and needs a session of its own, and a transaction pooler is between",
            hint="name the server itself: Options(direct_dsn=...)",
        )
