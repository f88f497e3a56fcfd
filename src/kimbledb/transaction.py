"""One migration's transaction: the message that carries it, and what its errors mean."""

from __future__ import annotations

import bisect
import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import asyncpg
from attrs import evolve, field, frozen

from kimbledb import data_loss, queries
from kimbledb.data_loss import Guard, Measured
from kimbledb.errors import ConnectionLostError
from kimbledb.locks import lock_key, take_lock, taking
from kimbledb.model import Check, Migration
from kimbledb.names import quote_array, quote_identifier, quote_literal
from kimbledb.runner import WORTH_ANOTHER_TRY, Again, describe_holders, stopwatch
from kimbledb.session import (
    DATA_AT_STAKE,
    HISTORY_MOVED,
    LOCK_BUSY,
    MEASURED,
    REACHED_OUTSIDE,
    TRANSACTION_ENDED,
    VERIFICATION_FAILED,
    Answer,
    Session,
    durable,
    first_line,
    mark,
    milliseconds,
    setting,
)
from kimbledb.verifier import checks_block, checks_setting, results_of
from kimbledb.version import __version__

if TYPE_CHECKING:
    from kimbledb.diagnosis import Diagnosis

#: A failed script that took no longer is run again to find the statement, in seconds.
_SHORT_RUN = 10.0
#: How long a transaction may wait for its client while the statement that failed is looked for, in milliseconds.
_SHORT_IDLE = 5000
#: Classes of errors that say nothing of a statement, and that a second run could make
#: worse: the server lacks a resource, is being operated on, or is broken (manual, appendix A).
_NOT_OF_A_STATEMENT = ("53", "57", "58", "XX")


def begin_step(schema: str, head: int | None) -> str:
    """Return what stands at the start of each transaction that changes a schema's history.

    It takes the schema's lock, and makes sure that the log still ends where it did
    when the plan was made.

    Args:
        schema: The target schema.
        head: The newest entry of the log at that time, or None not to look.
    """
    return queries.block(
        "begin_step",
        lock=queries.filled("take_lock", **taking(lock_key(schema))),
        schema=quote_identifier(schema),
        head="NULL" if head is None else str(head),
    )


def before_script(reaches: tuple[str, ...] = ()) -> str:
    """Return what stands right before a script whose reach is checked afterwards by :func:`check_reach`."""
    # Names take twice as long to be planned, and few want them.
    gone = "gone_by_name" if any("." in each for each in reaches) else "gone"
    return queries.filled("before_script", gone=queries.text_of(gone)) + "\n"


@lru_cache(maxsize=8)
def check_reach(schema: str, reaches: tuple[str, ...] = ()) -> str:
    """Return what stands after that script: the block that fails where it reached outside of a schema.

    Args:
        schema: The target schema.
        reaches: What else the migration says that it reaches, as in its facts.
    """
    literal = quote_literal(schema)
    values = {
        "schema_literal": literal,
        "reaches": quote_array(reaches),
        "whole": quote_array(name for name in reaches if "." not in name),
    }
    elsewhere = "DO " + quote_literal(queries.filled("check_elsewhere", **values))
    return queries.block("check_reach", elsewhere=quote_literal(elsewhere), **values)


@frozen(kw_only=True)
class Work:
    """What is to happen to one migration."""

    migration: Migration
    #: ``apply``, ``rollback`` or ``online``: which file, and what the log says.
    part: str
    #: The block of ``sql/queries`` that writes history.
    record: str
    #: How it is watched for what it deletes, or None where that is known.
    guard: Guard | None = None
    #: Whether its checks are run after the script and must pass.
    verify: bool = False
    #: Whether the COMMIT waits for the disk: only the last one needs to, since
    #: what it makes durable holds all before it (manual, 19.5 ``synchronous_commit``).
    last: bool = True
    #: The run that it is done in, by a name of which there is one.
    run: str
    #: Goes into the log, with the run.
    detail: Mapping[str, Any] = field(factory=dict)

    @property
    def script(self) -> str:
        """The text that is sent."""
        scripts = {"apply": "apply_sql", "rollback": "rollback_sql", "online": "online_sql"}
        text: str = getattr(self.migration, scripts[self.part])
        return text


@frozen
class Outcome:
    """What a committed transaction answered."""

    #: The head of the log after it.
    head: int
    checks: tuple[Check, ...]
    lsn: str | None
    #: Seconds from its begin to its COMMIT: no lock was held for longer. None where the
    #: work was done outside of it.
    held: float | None
    measured: Measured = field(factory=Measured)


class _StepFailed(Exception):
    """A step failed; what it did in a transaction is rolled back."""

    #: What it did outside of one, what of that stays and what was taken back, in words. None where there is none.
    standing: str | None = None


class ScriptError(_StepFailed):
    """A script failed."""

    def __init__(self, diagnosis: Diagnosis) -> None:
        super().__init__(diagnosis.message)
        self.diagnosis = diagnosis


class ChecksFailed(_StepFailed):
    """A script ran, and its checks did not pass."""

    def __init__(self, checks: Sequence[Check]) -> None:
        super().__init__()
        self.checks = tuple(checks)


async def with_canceller(session: Session, error: asyncpg.PostgresError, diagnosis: Diagnosis) -> Diagnosis:
    """Return a diagnosis that says of a cancelled statement whether its time was up or somebody cancelled it.

    Args:
        session: Where it ran; no transaction is open.
        error: What the server said.
        diagnosis: What was made of it.
    """
    if not isinstance(error, asyncpg.QueryCanceledError):
        return diagnosis
    block = {by_hand: queries.block("cancel_words", by_hand=by_hand) for by_hand in ("false", "true")}
    try:
        answers = await session.send(
            f"BEGIN READ ONLY;\n{session.settings()}SET LOCAL statement_timeout = 50;\n{block['false']}"
            f"SET LOCAL statement_timeout = 0;\n{block['true']}ROLLBACK;\n"
        )
    except (asyncpg.PostgresError, ConnectionLostError):
        return diagnosis
    if len(answers) != 2:
        return diagnosis
    timed_out, cancelled = (answer.value for answer in answers)
    if diagnosis.message == cancelled:
        return evolve(diagnosis, hint="somebody cancelled it on the server (pg_cancel_backend): run again")
    if diagnosis.message != timed_out:
        # A script can raise that code, too.
        return evolve(diagnosis, hint=getattr(error, "hint", None))
    return diagnosis


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
            Suspected: It may have lost data, which has to be counted. Nothing is left.
            Lost: It would have lost data. Nothing is left.
            ConnectionLostError: What became of it is unknown.
        """
        opening = self._opening(work, head) + self._before(work)
        clock = stopwatch()
        try:
            answers = await self.session.send(opening + work.script + self._closing(work))
        except asyncpg.PostgresError as error:
            raise await self._meaning(error, work, opening, (), clock(), ahead=len(opening)) from error
        return self._outcome(answers)

    async def rehearse(self, works: Sequence[Work], head: int, guard: Guard) -> tuple[Measured, list[list[str]]]:
        """Run scripts one after the other in a transaction that is rolled back.

        It is one message, which ends by itself whatever becomes of the client. Sequences
        are given a storage of its own, so that nothing is left of it.

        Returns:
            What of data would go, and what stands by itself and would be no more there, as [kind, name].

        Raises:
            Again: As :meth:`carry_out`.
            ScriptError: One of the scripts failed.
        """
        literal = quote_literal(self.schema)
        namespace = f"(SELECT oid FROM pg_namespace WHERE nspname = {literal})"
        objects = queries.filled("own_objects", namespace=namespace)
        opening = (
            self._opening(works[0], head)
            + self.session.path()
            + queries.block("inventory", objects=objects)
            + guard.before()
        )
        message = opening
        places = []
        for number, work in enumerate(works):
            message += mark(number) + self.session.path(self.path)
            places.append(len(message))
            message += work.script + "\n;\nSET CONSTRAINTS ALL IMMEDIATE;\n" + self.session.path()
        message += guard.after() + queries.question("vanished", objects=objects) + "ROLLBACK;\n"
        clock = stopwatch()
        self.session.mark = 0
        try:
            answers = await self.session.send(message)
        except asyncpg.PostgresError as error:
            # A syntax error is found before anything runs.
            at = bisect.bisect_right(places, int(error.position) - 1) - 1 if error.position else self.session.mark
            before = [work.script for work in works[: max(at, 0)]]
            opening += f"SET LOCAL idle_in_transaction_session_timeout = {_SHORT_IDLE};\n" + self.session.path(
                self.path
            )
            raise await self._meaning(
                error, works[max(at, 0)], opening, before, clock(), ahead=places[max(at, 0)]
            ) from error
        found = {answer.code: answer.value for answer in answers}
        return data_loss.measured(found[MEASURED]), found["KD100"]

    async def hold(self, work: Work, head: int) -> None:
        """Open the transaction and take the lock, and keep both.

        The connection is only spoken to in messages that leave no snapshot, so
        that it holds up nobody who builds an index CONCURRENTLY.
        """
        # It idles while the other connection works. No call lasts longer than its deadline:
        # a lock that is held for longer is that of a client that is gone.
        patience = milliseconds(self.session.options.deadline)
        opening = (
            self._opening(work, head, holds_tables=False)
            + f"SET LOCAL idle_in_transaction_session_timeout = {patience};\n"
        )
        try:
            await self.session.send(opening)
        except asyncpg.PostgresError as error:
            raise await self._meaning(error, work, opening, (), 0.0, ahead=len(opening)) from error

    async def finish(self, work: Work) -> Outcome:
        """Run the work in the transaction that :meth:`hold` opened, and commit it.

        Raises:
            Again: As :meth:`carry_out`.
            ScriptError: As :meth:`carry_out`.
            ChecksFailed: As :meth:`carry_out`.
            ConnectionLostError: As :meth:`carry_out`.
        """
        clock = stopwatch()
        before = self._before(work)
        try:
            answers = await self.session.send(before + work.script + self._closing(work))
        except asyncpg.PostgresError as error:
            # The log has moved on since the transaction began.
            opening = self._opening(work, None) + before
            raise await self._meaning(error, work, opening, (), clock(), ahead=len(before)) from error
        # The tables were locked for as long as this took, and not since the lock of ours was taken.
        return evolve(self._outcome(answers), held=clock())

    async def release(self, work: Work) -> Outcome:
        """Prove and record the work in the transaction that :meth:`hold` opened, and commit it."""
        try:
            answers = await self.session.send(self._proof(work) + self._record(work))
        except asyncpg.PostgresError as error:
            raise await self._meaning(error, work, "", (), _SHORT_RUN * 2) from error
        return self._outcome(answers)

    async def record_failure(self, work: Work, message: str, seconds: float) -> int | None:
        """Record a failed try in a transaction of its own and return the log's head.

        Best effort: None where it cannot be written (the disk is full, the
        connection is lost), since the first error is the one to tell of.
        """
        facts = self._facts(work) | {"event": work.part, "error": message, "milliseconds": round(seconds * 1000)}
        try:
            answers = await self.session.send(
                "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;\n"
                + self.session.settings()
                + setting("kimbledb.step", facts)
                + queries.block("record_failed", schema=quote_identifier(self.schema))
                + "COMMIT;\n"
            )
        except (asyncpg.PostgresError, ConnectionLostError):
            return None
        return int(answers[-1].value["head"])

    def _facts(self, work: Work) -> dict[str, Any]:
        return {
            "name": work.migration.name,
            "checksum": work.migration.checksum,
            "version": __version__,
            "detail": {"run": work.run, **work.detail},
        }

    def _opening(self, work: Work, head: int | None, *, holds_tables: bool = True) -> str:
        """Return what stands before a script.

        Args:
            work: What is to be done.
            head: The head of the log that the plan rests on, or None not to look.
            holds_tables: Whether the transaction may keep the locks on the log that looking at it takes.
                Where it idles while another works, a REINDEX or VACUUM FULL of that one would wait for them.
        """
        begin = begin_step(self.schema, head)
        if not holds_tables:
            # What a savepoint locked is free again when it is rolled back to.
            begin = f"{take_lock(lock_key(self.schema))}SAVEPOINT kimbledb;\n{begin}ROLLBACK TO kimbledb;\nRELEASE kimbledb;\n"
        settings = self.session.settings(statement_timeout=work.migration.statement_timeout)
        return (
            "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;\n"
            + settings
            + ("" if work.last else "SET LOCAL synchronous_commit = off;\n")
            + setting("kimbledb.step", self._facts(work))
            + (checks_setting([work.migration]) if work.verify else "")
            + begin
            + self.session.path(self.path)
        )

    def _before(self, work: Work) -> str:
        """Return what stands between the start of the transaction and the script."""
        measuring = ""
        if work.guard is not None:
            measuring = self.session.path() + work.guard.before() + self.session.path(self.path)
        return measuring + before_script(work.migration.reaches)

    def _closing(self, work: Work) -> str:
        return (
            # A line break ends a comment on the script's last line. What the script has
            # put off, triggers among it, belongs to it.
            "\n;\nSET CONSTRAINTS ALL IMMEDIATE;\n"
            + self.session.path()
            + check_reach(self.schema, work.migration.reaches)
            + (work.guard.after() if work.guard is not None else "")
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
            # The script may have set it.
            + (durable() if work.last else "")
            + "COMMIT;\n"
            + (queries.block("log_position") if work.last else "")
        )

    @staticmethod
    def _outcome(answers: Sequence[Answer]) -> Outcome:
        found = {answer.code: answer.value for answer in answers}
        return Outcome(
            found["KD102"]["head"],
            tuple(results_of(found.get("KD101", ()))),
            found.get("KD103"),
            found["KD102"]["milliseconds"] / 1000,
            data_loss.measured(found[MEASURED]) if MEASURED in found else Measured(),
        )

    async def _meaning(
        self,
        error: asyncpg.PostgresError,
        work: Work,
        opening: str,
        before: Sequence[str],
        seconds: float,
        *,
        ahead: int = 0,
    ) -> Exception:
        """Return what an error of the server means for the call.

        Args:
            error: What the server said.
            work: What was being done.
            opening: The statements sent before all scripts.
            before: The scripts run between those and the one that failed.
            seconds: How long it took.
            ahead: Characters of the message before the script.
        """
        code = error.sqlstate
        if code == LOCK_BUSY:
            return Again(blockers=describe_holders(json.loads(error.detail or "[]")))
        if code == HISTORY_MOVED:
            # That run goes on, most likely: to begin anew at once would only be in its way.
            return Again()
        if isinstance(error, WORTH_ANOTHER_TRY):
            return Again(contended=first_line(error))
        if code == DATA_AT_STAKE and work.guard is not None:
            return data_loss.refusal(error, work.guard)
        if code == VERIFICATION_FAILED:
            return ChecksFailed(results_of(json.loads(error.detail or "[]")))
        from kimbledb.diagnosis import diagnose  # only where a script fails

        place: int | None = None
        exact = bool(error.position)
        if error.position:
            place = int(error.position) - 1 - ahead
            if not 0 <= place <= len(work.script):
                place = None  # it lies in our own statements
        elif (
            seconds <= _SHORT_RUN
            and code not in (TRANSACTION_ENDED, REACHED_OUTSIDE)
            and not (code or "").startswith(_NOT_OF_A_STATEMENT)
        ):
            place = await self._failing_statement(error, work, opening, before)
        diagnosis = diagnose(error, work.migration, work.part, work.script, offset=place, exact=exact)
        return ScriptError(await with_canceller(self.session, error, diagnosis))

    async def _failing_statement(
        self, error: asyncpg.PostgresError, work: Work, opening: str, before: Sequence[str]
    ) -> int | None:
        """Run the script again, statement by statement, in a transaction that is rolled back.

        The server names no place for an error that arises while a statement runs.
        """
        from kimbledb import statements  # only where a script fails

        try:
            parts = list(statements.split(work.script))
        except ValueError:
            return None
        try:
            for message in (opening, *before):
                await self.session.send(message)
            for statement in parts:
                try:
                    await self.session.send(statement.text)
                except asyncpg.PostgresError as again:
                    return statement.start if again.sqlstate == error.sqlstate else None
            return None
        except (asyncpg.PostgresError, ConnectionLostError):
            return None  # the lock is taken by another now: the place stays unknown
        finally:
            await self.session.roll_back()
