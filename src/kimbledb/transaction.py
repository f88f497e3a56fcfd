"""One migration's transaction: the message that carries it, and what its errors mean."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final

import asyncpg
from attrs import field, frozen

from kimbledb import queries, statements
from kimbledb.diagnosis import Diagnosis, diagnose
from kimbledb.model import Check, Migration
from kimbledb.names import quote_identifier, quote_literal
from kimbledb.runner import Again, describe_holders, stopwatch
from kimbledb.session import (
    CONNECTION_ERRORS,
    DATA_AT_STAKE,
    HISTORY_MOVED,
    LOCK_BUSY,
    REACHED_OUTSIDE,
    TRANSACTION_ENDED,
    VERIFICATION_FAILED,
    Answer,
    Session,
    first_line,
    setting,
)
from kimbledb.verifier import checks_block, checks_setting, results_of

#: The first half of every advisory lock of ours: "kdb1" in ASCII.
LOCK_CLASS: Final = 0x6B646231

#: Others hold a lock, or won a conflict: the transaction is worth another try.
_WORTH_ANOTHER_TRY = (
    asyncpg.LockNotAvailableError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
)

#: A failed script that took no longer is run again to find the statement, in seconds.
_SHORT_RUN = 10.0


def lock_key(schema: str) -> int:
    """Return the second half of a schema's lock: a signed 32-bit number, never 0, which is the bootstrap's."""
    return (zlib.crc32(schema.encode()) or 1) - 2**31 or 1


@cache
def our_version() -> str:
    """Return the version of this package."""
    from importlib.metadata import version  # slow to import, and not wanted where nothing is written

    return version("kimbledb")


@frozen(kw_only=True)
class Work:
    """What is to happen to one migration."""

    migration: Migration
    #: ``apply`` or ``rollback``: which file, and what the log says.
    part: str
    #: The block of ``sql/queries`` that writes history.
    record: str
    #: Statements after the lock and before the script.
    guard: str = ""
    #: Whether its checks are run after the script and must pass.
    verify: bool = False
    #: Whether the COMMIT waits for the disk: only the last one needs to, since
    #: what it makes durable holds all before it (manual, 19.5 ``synchronous_commit``).
    last: bool = True
    #: Goes into the log.
    detail: Mapping[str, Any] = field(factory=dict)

    @property
    def script(self) -> str:
        """The text that is sent."""
        return self.migration.apply_sql if self.part == "apply" else self.migration.rollback_sql


@frozen
class Outcome:
    """What a committed transaction answered."""

    #: The head of the log after it.
    head: int
    checks: tuple[Check, ...]
    lsn: str | None


class ScriptError(Exception):
    """A script failed; its transaction is rolled back."""

    def __init__(self, diagnosis: Diagnosis) -> None:
        super().__init__(diagnosis.message)
        self.diagnosis = diagnosis


class ChecksFailed(Exception):
    """A script ran, and its checks did not pass; the transaction is rolled back."""

    def __init__(self, checks: Sequence[Check]) -> None:
        super().__init__()
        self.checks = tuple(checks)


class Transactions:
    """Carries out work on one schema through one session."""

    def __init__(self, session: Session, schema: str, path: Sequence[str]) -> None:
        self.session = session
        self.schema = schema
        self.path = tuple(path)

    async def carry_out(self, work: Work, head: int) -> Outcome:
        """Run one migration's transaction, given the head of the log that the plan rests on.

        Raises:
            Again: Another run holds the lock or was quicker, or the application
                held a lock for too long. Nothing is left.
            ScriptError: The script failed. Nothing is left.
            ChecksFailed: Its verification failed. Nothing is left.
            ConnectionLostError: What became of it is unknown.
        """
        opening = self._opening(work, head)
        clock = stopwatch()
        try:
            answers = await self.session.send(opening + work.script + self._closing(work))
        except asyncpg.PostgresError as error:
            raise await self._meaning(error, work, opening, (), clock()) from error
        return self._outcome(answers)

    async def rehearse(self, works: Sequence[Work], head: int) -> list[tuple[str, str | None]]:
        """Run scripts one after the other in a transaction that is rolled back.

        Returns:
            What can hold data and vanishes in it: tables as (table, None),
            columns of tables that stay as (table, column).

        Raises:
            Again: As :meth:`carry_out`.
            ScriptError: One of the scripts failed.
        """
        opening = self._opening(works[0], head) + queries.block("inventory", schema_literal=quote_literal(self.schema))
        before: list[str] = []
        try:
            await self.session.send(opening)
        except asyncpg.PostgresError as error:
            raise await self._meaning(error, works[0], opening, before, 0.0) from error
        for work in works:
            clock = stopwatch()
            try:
                # The statement after it also keeps a script of comments alone from being an
                # empty message, whose answer asyncpg cannot read.
                await self.session.send(work.script + "\n;\nSET CONSTRAINTS ALL IMMEDIATE;\n")
            except asyncpg.PostgresError as error:
                raise await self._meaning(error, work, opening, before, clock(), script_alone=True) from error
            before.append(work.script)
        [answer] = await self.session.send(
            self.session.path()
            + queries.question("vanished", schema_literal=quote_literal(self.schema))
            + "ROLLBACK;\n"
        )
        return [(table, column) for table, column in answer.value]

    async def hold(self, work: Work, head: int) -> None:
        """Open the transaction and take the lock, and keep both.

        The connection is only spoken to in messages that leave no snapshot, so
        that it holds up nobody who builds an index CONCURRENTLY.
        """
        opening = self._opening(work, head) + "SET LOCAL idle_in_transaction_session_timeout = 0;\n"
        try:
            await self.session.send(opening)
        except asyncpg.PostgresError as error:
            raise await self._meaning(error, work, opening, (), 0.0) from error

    async def release(self, work: Work) -> Outcome:
        """Prove and record the work in the transaction that :meth:`hold` opened, and commit it."""
        try:
            answers = await self.session.send(self._proof(work) + self._record(work))
        except asyncpg.PostgresError as error:
            raise await self._meaning(error, work, "", (), _SHORT_RUN * 2) from error
        return self._outcome(answers)

    async def let_go(self) -> None:
        """Roll the transaction of :meth:`hold` back; its lock goes with it."""
        if not self.session.connection.is_closed():
            try:
                await self.session.connection.execute("ROLLBACK")
            except (asyncpg.PostgresError, *CONNECTION_ERRORS):
                self.session.connection.terminate()

    async def record_failure(self, work: Work, message: str, seconds: float) -> int | None:
        """Record a failed try in a transaction of its own and return the log's head.

        Best effort: None where it cannot be written (the disk is full, the
        connection is lost), since the first error is the one to tell of.
        """
        facts = self._facts(work) | {"event": work.part, "error": message, "milliseconds": round(seconds * 1000)}
        try:
            answers = await self.session.send(
                "BEGIN READ WRITE;\n"
                + self.session.settings()
                + setting("kimbledb.step", facts)
                + queries.block("record_failed", schema=quote_identifier(self.schema))
                + "COMMIT;\n"
            )
        except (asyncpg.PostgresError, *CONNECTION_ERRORS):
            return None
        return int(answers[-1].value["head"])

    def _facts(self, work: Work) -> dict[str, Any]:
        return {
            "name": work.migration.name,
            "checksum": work.migration.checksum,
            "version": our_version(),
            "detail": dict(work.detail),
        }

    def _opening(self, work: Work, head: int) -> str:
        settings = self.session.settings(statement_timeout=work.migration.statement_timeout)
        return (
            "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;\n"
            + settings
            + ("" if work.last else "SET LOCAL synchronous_commit = off;\n")
            + setting("kimbledb.step", self._facts(work))
            + (checks_setting([work.migration]) if work.verify else "")
            + queries.block(
                "begin_step",
                schema=quote_identifier(self.schema),
                schema_literal=quote_literal(self.schema),
                lock_class=str(LOCK_CLASS),
                lock_key=str(lock_key(self.schema)),
                head=str(head),
            )
            + work.guard
            + self.session.path(self.path)
        )

    def _closing(self, work: Work) -> str:
        return (
            # A line break ends a comment on the script's last line.
            "\n;\n"
            + self.session.path()
            + queries.block("check_reach", schema_literal=quote_literal(self.schema))
            + "SET CONSTRAINTS ALL IMMEDIATE;\n"
            + self._proof(work)
            + self._record(work)
        )

    def _proof(self, work: Work) -> str:
        if not work.verify:
            return ""
        return checks_block(self.session, self.path, judging=True) + self.session.path()

    def _record(self, work: Work) -> str:
        return (
            queries.block(work.record, schema=quote_identifier(self.schema))
            + "COMMIT;\n"
            + (queries.block("log_position") if work.last else "")
        )

    @staticmethod
    def _outcome(answers: Sequence[Answer]) -> Outcome:
        found = {answer.code: answer.value for answer in answers}
        return Outcome(found["KD102"]["head"], tuple(results_of(found.get("KD101", ()))), found.get("KD103"))

    async def _meaning(
        self,
        error: asyncpg.PostgresError,
        work: Work,
        opening: str,
        before: Sequence[str],
        seconds: float,
        *,
        script_alone: bool = False,
    ) -> Exception:
        """Return what an error of the server means for the call.

        Args:
            error: What the server said.
            work: What was being done.
            opening: The statements sent before all scripts.
            before: The scripts run between those and the one that failed.
            seconds: How long it took.
            script_alone: Whether the script was a message by itself, so that
                positions count from its start.
        """
        code = error.sqlstate
        if code == LOCK_BUSY:
            return Again(blockers=describe_holders(json.loads(error.detail or "[]")))
        if code == HISTORY_MOVED:
            return Again(patient=False)
        if isinstance(error, _WORTH_ANOTHER_TRY):
            return Again(contended=first_line(error))
        if code == VERIFICATION_FAILED:
            return ChecksFailed(results_of(json.loads(error.detail or "[]")))
        place: int | None = None
        exact = bool(error.position)
        if error.position:
            place = int(error.position) - 1 - (0 if script_alone else len(opening))
            if not 0 <= place <= len(work.script):
                place = None  # it lies in our own statements
        elif seconds <= _SHORT_RUN and code not in (TRANSACTION_ENDED, REACHED_OUTSIDE, DATA_AT_STAKE):
            place = await self._failing_statement(error, work, opening, before)
        return ScriptError(diagnose(error, work.migration, work.part, work.script, offset=place, exact=exact))

    async def _failing_statement(
        self, error: asyncpg.PostgresError, work: Work, opening: str, before: Sequence[str]
    ) -> int | None:
        """Run the script again, statement by statement, in a transaction that is rolled back.

        The server names no place for an error that arises while a statement runs.
        """
        try:
            parts = list(statements.split(work.script))
        except ValueError:
            return None
        connection = self.session.connection
        try:
            for message in (opening, *before):
                await connection.execute(message)
            for statement in parts:
                try:
                    await connection.execute(statement.text)
                except asyncpg.PostgresError as again:
                    return statement.start if again.sqlstate == error.sqlstate else None
            return None
        except (asyncpg.PostgresError, *CONNECTION_ERRORS):
            return None  # the lock is taken by another now: the place stays unknown
        finally:
            if not connection.is_closed():
                await connection.execute("ROLLBACK")
