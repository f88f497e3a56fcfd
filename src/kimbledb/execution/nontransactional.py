"""Scripts that PostgreSQL refuses to run in a transaction, such as CREATE INDEX CONCURRENTLY.

That is apply.sql of a migration that says so, and online.sql of one that has a road
for tables that hold rows.

Two connections: one holds the lock in an open transaction, by messages that leave no
snapshot and no lock on a table behind (CONCURRENTLY would wait for the one, REINDEX
and VACUUM FULL for the other, for ever); the other, the worker, runs the statements
one at a time. Before each an intent is written to the log, and after it that it is
done, so that an interrupted step goes on at the statement that was interrupted.

What a statement leaves behind is told by comparing the catalogs before and after it,
by identity: an invalid index is dropped and built again, a partition that is half
detached is detached. After a failure invalid indexes, and constraints that were added
and are not validated, are taken back; what stays is said. The proof and the history row
come last, in the transaction that holds the lock, and so does apply.sql after an online.sql.

The worker holds a lock of its own for as long as its session lives: when its
client dies the server may go on with a statement for a moment, and nobody else
begins before that is over.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from attrs import evolve, frozen

from kimbledb.catalog import statements
from kimbledb.catalog.statements import Statement
from kimbledb.errors import ConfigurationError, ConnectionLostError
from kimbledb.events import Statement as Sent
from kimbledb.execution.error_location import Diagnosis, diagnose
from kimbledb.execution.transaction import (
    ChecksFailed,
    Outcome,
    ScriptError,
    Transactions,
    Work,
    before_script,
    check_reach,
    with_canceller,
)
from kimbledb.inspection import data_loss
from kimbledb.inspection.data_loss import Lost, Measured, Suspected
from kimbledb.model.migration import Loss, Migration
from kimbledb.model.names import quote_identifier, quote_literal
from kimbledb.model.redaction import masked
from kimbledb.model.text import counted
from kimbledb.server import queries
from kimbledb.server.codes import DATA_LOSS, MEASURED, own_code
from kimbledb.server.driver import ServerError, first_line
from kimbledb.server.locks import LOCK_CLASS, lock_key, take_session_lock
from kimbledb.server.notifications import notify
from kimbledb.server.observer import observed
from kimbledb.server.retry import Retry, decided, meaning
from kimbledb.server.runner import Runner
from kimbledb.server.session import Answer, Session
from kimbledb.server.settings import milliseconds, setting
from kimbledb.version import __version__

#: What can leave something half done, by its first words.
_KINDS = {
    "index": re.compile(r"create\s+(?:unique\s+)?index\b", re.IGNORECASE),
    "reindex": re.compile(r"reindex\b", re.IGNORECASE),
    "detach": re.compile(r"alter\s+table\b.*\bdetach\s+partition\b", re.IGNORECASE | re.DOTALL),
}
_DROPS_DATABASE = re.compile(r"drop\s+(?:database|tablespace)\b", re.IGNORECASE)
#: A reserved word: where it stands outside of comments, strings and quotes it is that.
_CONCURRENTLY = re.compile(r"\bconcurrently\b", re.IGNORECASE)
#: The names of what an interrupted REINDEX CONCURRENTLY leaves (manual, REINDEX, "Rebuilding Indexes Concurrently").
_LEFT_BY_REINDEX = re.compile(r"_cc(?:new|old)\d*$")
#: The SQLSTATE of "relation ... already exists", also where it is a notice.
_THERE_ALREADY = "42P07"
#: How often an index is built where an invalid one is in the way.
_BUILDS = 2
#: Characters of a statement that are shown while it runs.
_SHOWN = 60
#: The SQLSTATEs of "cannot run inside a transaction block" and of "invalid transaction termination".
_WANTS_NO_TRANSACTION = frozenset({"25001", "2D000"})
#: The SQLSTATE of a partition that an interrupted DETACH has left half detached, and of one that is no partition any more.
_NOT_IN_STATE, _NO_SUCH_TABLE = "55000", "42P01"


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
        Retry: As for a transaction; statements that are done stay done.
        ScriptError: A statement failed. It says what stays and what was taken back.
        ChecksFailed: The verification failed. It says the same.
        ConnectionLostError: One of the two connections was lost.
    """
    if runner.direct is None:
        raise ConfigurationError(
            f"{work.migration.name} cannot run in a transaction and needs a session of its own",
            hint="pass a DSN as target, or Options(direct_dsn=...) (--direct-dsn)",
        )
    # The lock comes first: who does not get it takes no second connection.
    await holder.hold(work, head)
    async with _aside(runner, holder, work) as aside:
        await aside.run()
        return evolve(await holder.release(work, aside.measured), held=None, measured=aside.measured)


async def carry_out_online(runner: Runner, holder: Transactions, work: Work, head: int) -> Outcome:
    """Run a migration's online.sql, and then the migration in the transaction that holds the lock.

    Args:
        runner: As for :func:`carry_out`; it has room aside (:meth:`Runner.can_open_second_session`).
        holder: The session that holds the lock.
        work: The migration.
        head: The head of the log that the plan rests on.

    Raises:
        Retry: As for a transaction; statements of online.sql that are done stay done.
        ScriptError: A statement of either script failed. It says what of online.sql stays and what was taken back.
        ChecksFailed: The verification failed. It says the same.
        ConnectionLostError: One of the two connections was lost.
    """
    await holder.hold(work, head)
    async with _aside(runner, holder, evolve(work, part="online")) as aside:
        await aside.run()
        async with observed(runner, holder.session, work.migration):
            outcome = await holder.finish(work)
        return evolve(outcome, measured=data_loss.together([aside.measured, outcome.measured]))


@asynccontextmanager
async def _aside(runner: Runner, holder: Transactions, work: Work) -> AsyncIterator[_Aside]:
    """Open the second session, while the first holds the lock; what fails ends the first one's transaction, too."""
    assert runner.direct is not None
    try:
        # What answered when the lock was taken is known by now.
        if not runner.can_open_second_session(holder.session, holder.session.process_id or 0):
            raise _no_room(work.migration)
        async with runner.direct.session(runner.options) as worker:
            await _refuse_elsewhere(holder, worker, work.migration)
            await _take_session_lock(holder.schema, worker)
            aside = _Aside(runner, holder, worker, work)
            try:
                yield aside
            except (ScriptError, ChecksFailed, Lost) as failure:
                failure.standing = await aside.take_back()
                raise
    except Exception:
        # The error goes on as it is. What is none, a cancellation, ends both connections where they were opened.
        await holder.session.roll_back()
        raise
    runner.standing = None


@frozen
class _Statement:
    """One statement of the script."""

    text: str
    #: Characters before it in the script.
    start: int
    #: By which the log knows it.
    digest: str
    #: Of those that can leave something half done: ``index``, ``reindex`` or ``detach``. Else empty.
    kind: str
    #: The names in it, where it is of such a kind.
    words: frozenset[str]
    #: Whether it is known to run in no transaction.
    alone: bool
    concurrently: bool


def _statement(number: int, statement: Statement) -> _Statement:
    words = statement.skeleton
    kind = next((kind for kind, pattern in _KINDS.items() if pattern.match(words)), "")
    return _Statement(
        text=statement.text,
        start=statement.start,
        digest=hashlib.sha256(f"{number}\n{statement.text}".encode()).hexdigest()[:16],
        kind=kind,
        words=statements.names_in(statement.text) if kind else frozenset(),
        alone=statements.runs_alone(words),
        concurrently=_CONCURRENTLY.search(words) is not None,
    )


class _Aside:
    """The statements of one script, run one at a time in a session of their own."""

    def __init__(self, runner: Runner, holder: Transactions, worker: Session, work: Work) -> None:
        self._runner = runner
        self._holder = holder
        self._worker = worker
        self._work = work
        #: How a statement is watched for what it deletes.
        self._guard = work.guard
        self._measured: list[Measured] = []
        self._every = [_statement(number, each) for number, each in enumerate(statements.split(work.script.text))]
        #: How many are done.
        self._place = 0
        #: Whether the one that runs may commit parts of its work by itself.
        self._outside = False
        #: Constraints that are not validated: all, by their oid, and how those that the script added are shown.
        self._open: list[int] = []
        self._added: dict[int, str] = {}

    @property
    def measured(self) -> Measured:
        """What its statements took away."""
        return data_loss.together(self._measured)

    async def run(self) -> None:
        """Run what is not done yet."""
        migration, worker = self._work.migration, self._worker
        # For the whole session, which is its own and is closed at the end. No call lasts longer than its
        # deadline: a client that has said nothing for so long is frozen, and its lock must end.
        await worker.send(
            worker.settings(statement_timeout=migration.statement_timeout, for_session=True)
            + f"SET SESSION idle_session_timeout = {milliseconds(worker.options.deadline)};\n"
            # That an index is there already is a notice, and all that is said of an invalid one.
            + "SET SESSION client_min_messages = notice;\n"
            + worker.guarded(self._holder.path, self._holder.reached, for_session=True)
        )
        await self._take_up()
        done = await self._done_before()
        for place, statement in enumerate(self._every):
            self._place, self._outside = place, False
            self._runner.standing = self._standing_now()
            if statement.digest in done:
                continue
            # The lock must still be held: without it another run may be at work.
            await self._holder.session.send("DO $$ BEGIN END $$;")
            await self._note(statement.digest, "begun", kind=statement.kind, words=statement.words)
            shown = " ".join(masked(statement.text).split())[:_SHOWN]
            notify(self._runner.progress, Sent(migration, place + 1, len(self._every), shown))
            await self._run_one(statement)
        self._place = len(self._every)
        self._runner.standing = self._standing_now()

    async def take_back(self) -> str:
        """After a failure, take back what would hold others up: what is not valid, and what is not validated.

        Returns:
            What stays and what was taken back, in words.
        """
        taken: list[str] = []
        stays: list[str] = []
        standing = self._standing()
        try:
            await self._worker.send(f"SET lock_timeout = {milliseconds(self._worker.options.lock_timeout)}")
            left = await self._left_behind()
            for index in left["indexes"]:
                shown = f"the index {index['name']}, which is not valid"
                if index["busy"]:
                    stays.append(f"{shown} (somebody is at work on its table)")
                else:
                    await self._try(_dropping(index), shown, taken, stays)
            for key in left["constraints"]:
                drop = f"BEGIN;\nALTER {key['on']} DROP CONSTRAINT {key['name']};\n"
                note = self._noting(key["statement"], "taken back")
                await self._try(drop + note, f"the constraint {_shown(key)}, which is not validated", taken, stays)
            for partition in left["partitions"]:
                if partition["pending"]:
                    stays.append(f"the partition {partition['child']}, which is half detached")
        except (ServerError, ConnectionLostError) as error:
            stays.append(f"what it began, which could not be looked at ({first_line(error)})")
        lines = [standing]
        if self._outside:
            lines.append("what the failing statement had committed by itself stays")
        if taken:
            lines.append(f"taken back: {'; '.join(taken)}")
        if stays:
            lines.append(f"stays until the next run takes it up: {'; '.join(stays)}")
        return "\n".join(lines)

    async def _try(self, message: str, shown: str, taken: list[str], stays: list[str]) -> None:
        try:
            await self._worker.send(message)
        except ServerError as error:
            stays.append(f"{shown} ({first_line(error)})")
        else:
            taken.append(shown)

    def _standing(self) -> str:
        """Say how far the script is."""
        every, place = counted(self._every, "statement"), self._place
        if not place:
            done = f"none of its {every} is done"
        elif place == len(self._every):
            done = f"its {every} {'stays' if place == 1 else 'stay'} done"
        else:
            done = f"of its {every} the first {'stays' if place == 1 else f'{place} stay'} done"
        return f"{self._work.script.file_name} runs outside of a transaction: {done}"

    def _standing_now(self) -> str:
        """Say the same, and what is not validated yet."""
        open_now = f"; not validated yet: {', '.join(self._added.values())}" if self._added else ""
        return self._standing() + open_now

    async def _take_up(self) -> None:
        """Clear away, or bring to an end, what an earlier try was interrupted in."""
        left = await self._left_behind()
        self._added = {int(key["oid"]): _shown(key) for key in left["constraints"]}
        await self._worker.send("SET lock_timeout = 0")
        async with observed(self._runner, self._worker, self._work.migration):
            for index in left["indexes"]:
                await self._drop(index)
            for partition in left["partitions"]:
                await self._detach(partition)

    async def _drop(self, index: dict[str, Any]) -> None:
        if index["busy"]:
            raise _being_built(index)
        await self._worker.send(_dropping(index))

    async def _detach(self, partition: dict[str, Any]) -> None:
        """Note that a partition is detached, after finishing that where it is half detached."""
        finish = f"ALTER TABLE {partition['parent']} DETACH PARTITION {partition['child']} FINALIZE;\n"
        note = self._noting(partition["statement"], "done")
        await self._worker.send("BEGIN;\n" + (finish if partition["pending"] else "") + note)

    async def _run_one(self, statement: _Statement) -> None:
        """Run a statement, and note that it is done."""
        try:
            async with observed(self._runner, self._worker, self._work.migration):
                if statement.alone or not await self._run_in_transaction(statement):
                    await self._run_outside(statement)
        except ServerError as error:
            if (meant := meaning(error)) is not None:
                raise meant from error
            if own_code(error) == DATA_LOSS and self._guard is not None:
                await self._refuse_loss(statement, data_loss.refusal(error, self._guard))
            elif not await self._is_detached(statement, error):
                raise ScriptError(self._work.migration, await self._diagnose(statement, error)) from error

    async def _refuse_loss(self, statement: _Statement, refusal: Suspected | Lost) -> None:
        """Stop at a statement that would lose data, or run it once more and count what it takes."""
        assert self._guard is not None
        if isinstance(refusal, Lost):
            raise refusal
        self._guard = evolve(self._guard, suspects=refusal.suspects)
        await self._run_one(statement)

    async def _diagnose(self, statement: _Statement, error: ServerError) -> Diagnosis:
        work = self._work
        # A statement that breaks off is told at what stands after it.
        place = statement.start + min(error.position - 1 if error.position else 0, len(statement.text))
        found = diagnose(error, work.migration, work.script, offset=place, exact=bool(error.position))
        return await with_canceller(self._worker, error, found)

    async def _run_in_transaction(self, statement: _Statement) -> bool:
        """Run it and note that it is done in one transaction, so that no crash comes between.

        Returns:
            False where the server lets it run only by itself.
        """
        worker = self._worker
        await worker.send(f"SET lock_timeout = {milliseconds(worker.options.lock_timeout)}")
        work = self._work
        reach = worker.path() + check_reach(self._holder.schema, work.migration.reaches)
        note = self._noting(statement.digest, "done", before=self._open)
        for _ in range(_BUILDS):
            try:
                before, after = self._measuring(statement)
                await worker.send(
                    f"BEGIN;\n{before}{before_script(self._holder.schema, self._holder.path, work.migration.reaches)}"
                )
                if statement.kind != "index":
                    answers = await worker.send(f"{statement.text}\n;\n{reach}{after}{note}")
                    self._measured += [data_loss.measured(each.value) for each in answers if each.code == MEASURED]
                    self._heed(answers)
                    return True
                passed_over = await self._send(statement)
            except ServerError as error:
                if error.sqlstate in _WANTS_NO_TRANSACTION:
                    return False
                raise
            if not passed_over:
                self._heed(await worker.send(reach + note))
                return True
            await worker.roll_back()
            await self._drop(passed_over[0])
        raise _never_valid(passed_over[0])

    def _measuring(self, statement: _Statement) -> tuple[str, str]:
        """Return what stands before and after a statement in its transaction, to measure what it deletes."""
        if self._guard is None or statement.kind:
            return "", ""
        path, own = self._worker.path(self._holder.path), self._worker.path()
        return own + self._guard.before() + path, own + self._guard.after()

    async def _run_outside(self, statement: _Statement) -> None:
        """Run it by itself, and note in a transaction that it is done."""
        worker = self._worker
        if self._guard is not None and not self._guard.allowed and _may_delete(statement):
            raise Lost([Loss("statement", " ".join(masked(statement.text).split()[:2]), 0, exact=False)])
        # CONCURRENTLY waits for transactions to end, and while it does it is in nobody's way
        # who reads or writes: to give up early would throw a long build away.
        limit = 0 if statement.concurrently else milliseconds(worker.options.lock_timeout)
        await worker.send(f"SET lock_timeout = {limit}")
        self._outside = not statement.kind
        if statement.concurrently:
            await self._refuse_beside_another_build(statement)
        passed_over = await self._send(statement)
        for index in passed_over:
            if statement.kind == "index" or _LEFT_BY_REINDEX.search(index["name"]):
                await self._drop(index)
            else:
                await worker.send(f"REINDEX INDEX CONCURRENTLY {_qualified(index)}")
        if passed_over and statement.kind == "index" and await self._send(statement):
            raise _never_valid(passed_over[0])
        await self._note(statement.digest, "done")

    async def _refuse_beside_another_build(self, statement: _Statement) -> None:
        """Do not wait in a lock for somebody's build of an index on the same table: that build may wait for us."""
        if statement.kind not in ("index", "reindex"):
            return
        words = statement.words
        everywhere = statement.kind == "reindex" and not words.isdisjoint({"database", "system"})
        for index in await self._invalid():
            there = index["table"] in words or (statement.kind == "reindex" and index["schema"] in words)
            if index["busy"] and (there or everywhere):
                raise _being_built(index)

    async def _invalid(self) -> list[dict[str, Any]]:
        """Return the indexes that are not valid."""
        # Within a transaction or not: no other is begun.
        ask = queries.question("not_valid", indexes=queries.text_of("invalid_indexes"))
        path = self._worker.path(for_session=True), self._worker.path(self._holder.path, for_session=True)
        [answer] = await self._worker.send(path[0] + ask + path[1])
        invalid: list[dict[str, Any]] = answer.value
        return invalid

    async def _send(self, statement: _Statement) -> list[dict[str, Any]]:
        """Run a statement, and return the invalid indexes that it passed over.

        The server says so in a message that names the index, in whatever language: that
        it is there already, or that it cannot be built again.
        """
        heard: list[tuple[str, str]] = []
        try:
            await self._worker.send(statement.text, heard=heard)
        except ServerError as error:
            if error.sqlstate != _THERE_ALREADY:
                raise
            passed_over = await self._passed_over(statement, [(_THERE_ALREADY, str(error))])
            if not passed_over:
                raise
            return passed_over
        return await self._passed_over(statement, heard)

    async def _passed_over(self, statement: _Statement, heard: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
        said = [text for code, text in heard if code == _THERE_ALREADY or statement.kind == "reindex"]
        if not said or statement.kind not in ("index", "reindex"):
            return []
        named = [
            index
            for index in await self._invalid()
            if any(re.search(rf"(?<!\w){re.escape(index['name'])}(?!\w)", text) for text in said)
        ]
        if statement.kind == "reindex":
            return named
        named = [index for index in named if {index["name"], index["table"]} <= statement.words]
        # It is in the schema that the statement names, else in the first of the path that has one.
        given = [index for index in named if index["schema"] in statement.words]
        return given or [index for schema in self._holder.path for index in named if index["schema"] == schema][:1]

    async def _is_detached(self, statement: _Statement, error: ServerError) -> bool:
        """Whether a DETACH failed because an earlier one was interrupted, which is then brought to its end."""
        pending = error.sqlstate == _NOT_IN_STATE
        if statement.kind != "detach" or not (pending or error.sqlstate == _NO_SUCH_TABLE):
            return False
        left = await self._left_behind()
        for partition in left["partitions"]:
            if partition["statement"] == statement.digest and partition["pending"] is pending:
                await self._detach(partition)
                return True
        return False

    async def _left_behind(self) -> dict[str, list[dict[str, Any]]]:
        left: dict[str, list[dict[str, Any]]] = await self._worker.ask(
            queries.question("left_behind", statements=self._statements(), indexes=queries.text_of("invalid_indexes"))
        )
        return left

    async def _done_before(self) -> frozenset[str]:
        block = queries.question(
            "statements_done",
            statements=self._statements(),
            checksum=quote_literal(self._work.migration.checksum),
            part=quote_literal(self._work.part),
        )
        return frozenset(await self._worker.ask(block))

    def _statements(self) -> str:
        return queries.filled(
            "statements_of",
            schema=quote_identifier(self._holder.schema),
            name=quote_literal(self._work.migration.name),
        )

    async def _note(self, digest: str, state: str, *, kind: str = "", words: frozenset[str] = frozenset()) -> None:
        self._heed(await self._worker.send("BEGIN;\n" + self._noting(digest, state, kind=kind, words=words)))

    def _noting(
        self,
        digest: str,
        state: str,
        *,
        kind: str = "",
        words: frozenset[str] = frozenset(),
        before: Sequence[int] | None = None,
    ) -> str:
        """Return the end of a transaction that notes how far a statement is.

        Args:
            digest: The statement.
            state: ``begun``, ``done`` or ``taken back``.
            kind: What it can leave half done.
            words: The names in it.
            before: The constraints that were not validated before it, where it ran in this transaction.
        """
        work = self._work
        facts: dict[str, Any] = {
            "name": work.migration.name,
            "checksum": work.migration.checksum,
            "version": __version__,
            "words": sorted(words),
            "detail": {"statement": digest, "state": state, "during": work.part} | ({"kind": kind} if kind else {}),
        }
        if before is not None:
            facts["open"] = before
        return (
            self._worker.settings()
            + setting("kimbledb.step", facts)
            + queries.block("record_statement", schema=quote_identifier(self._holder.schema))
            + "COMMIT;\n"
        )

    def _heed(self, answers: Sequence[Answer]) -> None:
        """Keep which constraints are not validated now."""
        found = answers[-1].value
        self._open = found["open"]
        added = self._added | {int(oid): shown for oid, shown in found["added"].items()}
        self._added = {oid: shown for oid, shown in added.items() if oid in self._open}


def _may_delete(statement: _Statement) -> bool:
    """Whether a statement that runs outside of transactions may delete rows: what commits by itself is not measured."""
    return not statement.kind and (not statement.alone or _DROPS_DATABASE.match(statement.text) is not None)


def _qualified(index: dict[str, Any]) -> str:
    return f"{quote_identifier(index['schema'])}.{quote_identifier(index['name'])}"


def _dropping(index: dict[str, Any]) -> str:
    return f"DROP INDEX CONCURRENTLY IF EXISTS {_qualified(index)}"


def _being_built(index: dict[str, Any]) -> Retry:
    return Retry(blockers=(f"a build of the index {index['name']}",))


def _never_valid(index: dict[str, Any]) -> Retry:
    return Retry(contended=f"the index {index['name']} is not valid after its build")


def _shown(key: dict[str, Any]) -> str:
    """Return a constraint with its table or domain, to be shown."""
    return f"{key['name']} on {key['on'].partition(' ')[2]}"


async def _refuse_elsewhere(holder: Transactions, worker: Session, migration: Migration) -> None:
    """Stop where the worker's session is not its own, or not in the database of the lock."""
    block = queries.question(
        "session",
        holder=str(holder.session.process_id),
        lock_class=str(LOCK_CLASS),
        lock_key=str(lock_key(holder.schema)),
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
        hint="name the server itself: Options(direct_dsn=...) (--direct-dsn)",
    )


async def _take_session_lock(schema: str, worker: Session) -> None:
    with decided():
        await worker.send(
            "BEGIN ISOLATION LEVEL READ COMMITTED;\n" + worker.settings() + take_session_lock(schema) + "COMMIT;\n"
        )
