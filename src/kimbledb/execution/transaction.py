"""One migration's transaction: the message that carries it, and what its errors mean."""

from __future__ import annotations

import bisect
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

from attrs import evolve, field, frozen

from kimbledb.errors import ConnectionLostError
from kimbledb.inspection import data_loss
from kimbledb.inspection.checks import checks_block, checks_setting, results_of
from kimbledb.inspection.data_loss import Guard, Measured
from kimbledb.model.clock import stopwatch
from kimbledb.model.migration import Check, Migration
from kimbledb.model.names import quote_array, quote_identifier, quote_literal
from kimbledb.model.script import Part, Script
from kimbledb.server import queries
from kimbledb.server.codes import DATA_LOSS, INDEX_NOT_VALID, MEASURED, VERIFICATION_FAILED, own_code
from kimbledb.server.driver import ServerError
from kimbledb.server.locks import lock_key, take_lock, take_lock_values
from kimbledb.server.retry import meaning
from kimbledb.server.search_path import guard_of
from kimbledb.server.session import BEGIN, ENDS_SESSION, Answer, Session
from kimbledb.server.settings import durable, milliseconds, setting
from kimbledb.version import __version__

if TYPE_CHECKING:
    from kimbledb.execution.error_location import Diagnosis

#: What is told where a script committed a part of itself.
_KEPT = (
    "it ended its transaction by itself: what it did before that is committed, and not recorded. Look at the schema, "
    "take that back by hand (a prepared transaction by ROLLBACK PREPARED), and take the COMMIT out of the script"
)
#: Ends a comment on a script's last line, and its last statement.
_END_OF_SCRIPT = "\n;\n"
#: A setting with a dot in its name, where a script sets one.
_NAMES_SETTING = re.compile(
    r"""set_config\s*\(\s*'([^'.]+\.[^']+)'|\bset\s+(?:session\s+|local\s+)?("?\w+"?(?:\s*\.\s*"?\w+"?)+)""",
    re.IGNORECASE,
)
#: The SQLSTATE of a statement that somebody, or its own limit, has cancelled.
_QUERY_CANCELLED = "57014"
#: By these row level security tells people apart.
_IDENTITY = frozenset({"request.jwt.claims", "request.jwt.claim.sub", "request.jwt.claim.role", "kimbledb.user_id"})


def begin_step(schema: str, head: int | None, path: Sequence[str] = (), reached: Sequence[str] = ()) -> str:
    """Return what stands at the start of each transaction that changes a schema's history.

    It takes the schema's lock, and makes sure that nothing of a stranger's would be
    called, and that the log still ends where it did when the plan was made.

    Args:
        schema: The target schema.
        head: The newest entry of the log at that time, or None not to look.
        path: The schemas in which a script looks names up.
        reached: The schemas that migrations say they reach.
    """
    return queries.block(
        "begin_step",
        lock=queries.filled("take_lock", **take_lock_values(lock_key(schema))),
        guard=guard_of(path or (schema,), reached),
        schema=quote_identifier(schema),
        head="NULL" if head is None else str(head),
    )


def _without_locks(statements: str) -> str:
    """Return statements that keep no lock: what a savepoint locked is free again when it is rolled back to."""
    return f"SAVEPOINT kimbledb;\n{statements}ROLLBACK TO kimbledb;\nRELEASE kimbledb;\n"


def _settings_named(script: str) -> list[str]:
    """Return the settings of a script's own that it may change: the server lists none of them."""
    found = {re.sub(r"[\s\"]", "", match[1] or match[2]) for match in _NAMES_SETTING.finditer(script)}
    return sorted({name for name in found if not name.startswith("kimbledb.")} | _IDENTITY)


def before_script(schema: str, path: Sequence[str], reaches: tuple[str, ...] = ()) -> str:
    """Return what stands right before a script whose reach is checked afterwards by :func:`check_reach`.

    Args:
        schema: The target schema.
        path: The schemas in which the script looks names up.
        reaches: What else the migration says that it reaches, as in its facts.
    """
    # Names take twice as long to be planned, and few want them.
    gone = "gone_by_name" if any("." in each for each in reaches) else "gone"
    return (
        Session.path()
        + _mark_history(schema)
        + queries.filled("before_script", gone=queries.text_of(gone))
        + "\n"
        + Session.path(path)
    )


def _mark_history(schema: str) -> str:
    """Return the statement that keeps for check_history.sql which tables are history's."""
    return queries.filled("mark_history", schema=quote_literal(schema)) + "\n"


@lru_cache(maxsize=8)
def check_reach(schema: str, reaches: tuple[str, ...] = ()) -> str:
    """Return what stands after that script: what fails where it changed history or reached outside of a schema.

    Args:
        schema: The target schema.
        reaches: What else the migration says that it reaches, as in its facts.
    """
    literal = quote_literal(schema)
    values = {
        "schema_literal": literal,
        "ended": queries.text_of("transaction_ended"),
        "reaches": quote_array(reaches),
        "whole": quote_array(name for name in reaches if "." not in name),
    }
    elsewhere = "DO " + quote_literal(queries.filled("check_elsewhere", **values))
    return queries.block("check_reach", elsewhere=quote_literal(elsewhere), **values) + queries.block("check_history")


@frozen(kw_only=True)
class Work:
    """What is to happen to one migration."""

    migration: Migration
    #: Which of the migration's scripts is run.
    part: Part
    #: How it is watched for what it deletes, or None where that is known.
    guard: Guard | None = None
    #: Whether its checks are run after the script and must pass.
    verify: bool = False
    #: Whether the COMMIT waits for the disk: only the last one needs to, since
    #: what it makes durable holds all before it (manual, 19.5 ``synchronous_commit``).
    last: bool = True
    #: The run that it is done in, by a name of which there is one.
    run: str
    #: Indexes that are not valid, and that the script does not name.
    known: tuple[str, ...] = ()
    #: Goes into the log, with the run.
    detail: Mapping[str, Any] = field(factory=dict)

    @property
    def script(self) -> Script:
        """What is sent."""
        return self.migration.script(self.part)

    @property
    def event(self) -> Literal["apply", "rollback"]:
        """What the log calls it."""
        return "rollback" if self.part == "rollback" else "apply"

    @property
    def record(self) -> str:
        """The block of ``sql/queries`` that writes history."""
        return "record_rolled_back" if self.event == "rollback" else "record_applied"


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

    def __init__(self, migration: Migration, diagnosis: Diagnosis) -> None:
        super().__init__(diagnosis.message)
        self.migration = migration
        self.diagnosis = diagnosis


class ChecksFailed(_StepFailed):
    """A script ran, and its checks did not pass."""

    def __init__(self, checks: Sequence[Check]) -> None:
        super().__init__()
        self.checks = tuple(checks)


async def with_canceller(session: Session, error: ServerError, diagnosis: Diagnosis) -> Diagnosis:
    """Return a diagnosis that says of a cancelled statement whether its time was up or somebody cancelled it.

    Args:
        session: Where it ran; no transaction is open.
        error: What the server said.
        diagnosis: What was made of it.
    """
    if error.sqlstate != _QUERY_CANCELLED:
        return diagnosis
    block = {by_hand: queries.block("cancel_words", by_hand=by_hand) for by_hand in ("false", "true")}
    try:
        answers = await session.send(
            f"BEGIN READ ONLY;\n{session.settings()}SET LOCAL statement_timeout = 50;\n{block['false']}"
            f"SET LOCAL statement_timeout = 0;\n{block['true']}ROLLBACK;\n"
        )
    except (ServerError, ConnectionLostError):
        return diagnosis
    if len(answers) != 2:
        return diagnosis
    timed_out, cancelled = (answer.value for answer in answers)
    if diagnosis.message == cancelled:
        return evolve(diagnosis, hint="somebody cancelled it on the server (pg_cancel_backend): run again")
    if diagnosis.message != timed_out:
        # A script can raise that code, too.
        return evolve(diagnosis, hint=error.hint)
    return diagnosis


def _not_in(script: str, names: Sequence[str]) -> list[str]:
    """Return those of some names that a script does not hold."""
    return [name for name in names if not re.search(rf"(?<!\w){re.escape(name)}(?!\w)", script, re.IGNORECASE)]


class Transactions:
    """Carries out work on one schema through one session."""

    def __init__(self, session: Session, schema: str, path: Sequence[str], reached: Sequence[str]) -> None:
        self.session = session
        self.schema = schema
        self.path = tuple(path)
        #: The schemas that migrations say they reach.
        self.reached = tuple(reached)
        #: Whether a COMMIT was sent and nobody here can know what became of it.
        self.in_doubt = False

    async def carry_out(self, work: Work, head: int) -> Outcome:
        """Run one migration's transaction, given the head of the log that the plan rests on.

        Raises:
            Retry: Another run holds the lock or was quicker, or the application
                held a lock for too long. Nothing is left.
            ScriptError: The script failed. Nothing is left.
            ChecksFailed: Its verification failed. Nothing is left.
            Suspected: It may have lost data, which has to be counted. Nothing is left.
            Lost: It would have lost data. Nothing is left.
            ConnectionLostError: What became of it is unknown.
        """
        setting_up = self._setting_up(work, head) + self._before(work)
        try:
            with self._doubting():
                closing = self._closing(work, queries.block("check_indexes", known=quote_array(work.known)))
                answers = await self.session.transact(self._begin(work), setting_up + work.script.text + closing)
        except ServerError as error:
            if own_code(error) == INDEX_NOT_VALID and (
                others := _not_in(work.script.text, json.loads(error.detail or "[]"))
            ):
                # Another index on the same table was made, or was there already.
                return await self.carry_out(evolve(work, known=(*work.known, *others)), head)
            raise await self._meaning(error, work, self.session.prefix + setting_up) from error
        return self._outcome(answers, work)

    @contextmanager
    def _doubting(self) -> Iterator[None]:
        """Hold the outcome for unknown while a COMMIT is sent, until the server answers or shows that it never came to it."""
        self.in_doubt = True
        try:
            yield
        except ConnectionLostError as loss:
            last = loss.__cause__.last_word if isinstance(loss.__cause__, ServerError) else None
            ended = last is not None and last.sqlstate.startswith(ENDS_SESSION)
            # The server's last word came before the history row.
            if ended and not any(answer.code == "KD102" for answer in self.session.answered):
                self.in_doubt = False
            raise
        except ServerError:
            self.in_doubt = False
            raise
        self.in_doubt = False

    async def rehearse(
        self, works: Sequence[Work], head: int, guard: Guard
    ) -> tuple[Measured, dict[str, list[list[str]]]]:
        """Run scripts one after the other in a transaction that is rolled back.

        It is one message, which ends by itself whatever becomes of the client. Sequences
        are given a storage of its own, so that nothing is left of it.

        Returns:
            What of data would go, and what else, as [kind, name]: under ``objects`` what stands
            by itself, under ``parts`` what hangs on columns of tables that stay.

        Raises:
            Retry: As :meth:`carry_out`.
            ScriptError: One of the scripts failed.
        """
        literal = quote_literal(self.schema)
        namespace = f"(SELECT oid FROM pg_namespace WHERE nspname = {literal})"
        listed = {each: queries.filled(f"own_{each}", namespace=namespace) for each in ("objects", "parts")}
        message = (
            self._setting_up(works[0], head)
            + self.session.path()
            + queries.block("inventory", **listed)
            + guard.before()
            + before_script(self.schema, self.path)
        )
        places = []
        for work in works:
            message += self._settings(work) + self.session.path(self.path)
            places.append(len(message))
            message += work.script.text + self._after(work) + queries.block("check_history")
        message += guard.after() + queries.question("vanished", **listed) + self.session.leaving() + "ROLLBACK;\n"
        try:
            answers = await self.session.transact(self._begin(*works), message)
        except ServerError as error:
            ahead = [self.session.prefix + message[:place] for place in places]
            at = self._failed_script(error, ahead)
            raise await self._meaning(error, works[at], ahead[at]) from error
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
        except ServerError as error:
            raise await self._meaning(error, work, opening) from error

    async def finish(self, work: Work) -> Outcome:
        """Run the work in the transaction that :meth:`hold` opened, and commit it.

        Raises:
            Retry: As :meth:`carry_out`.
            ScriptError: As :meth:`carry_out`.
            ChecksFailed: As :meth:`carry_out`.
            ConnectionLostError: As :meth:`carry_out`.
        """
        clock = stopwatch()
        before = self.session.recall() + self._before(work)
        try:
            with self._doubting():
                answers = await self.session.send(before + work.script.text + self._closing(work))
        except ServerError as error:
            raise await self._meaning(error, work, before) from error
        # The tables were locked for as long as this took, and not since the lock of ours was taken.
        return evolve(self._outcome(answers, work), held=clock())

    async def release(self, work: Work, measured: Measured) -> Outcome:
        """Prove and record the work in the transaction that :meth:`hold` opened, and commit it.

        Args:
            work: What was done aside.
            measured: What that took away, for the log.
        """
        try:
            with self._doubting():
                lost = setting("kimbledb.lost", data_loss.as_measured(measured.losses))
                answers = await self.session.send(lost + self._proof(work) + self._record(work))
        except ServerError as error:
            raise await self._meaning(error, work, None) from error
        return self._outcome(answers, work)

    async def record_failure(self, work: Work, message: str, seconds: float) -> int | None:
        """Record a failed try in a transaction of its own and return the log's head.

        Best effort: None where it cannot be written (the disk is full, the
        connection is lost), since the first error is the one to tell of.
        """
        facts = self._facts(work) | {"event": work.event, "error": message, "milliseconds": round(seconds * 1000)}
        try:
            answers = await self.session.send(
                BEGIN
                + self.session.settings()
                + setting("kimbledb.step", facts)
                + queries.block("record_failed", schema=quote_identifier(self.schema))
                + "COMMIT;\n"
            )
        except (ServerError, ConnectionLostError):
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
        return self._begin(work, holds_tables=holds_tables) + self._setting_up(work, head, holds_tables=holds_tables)

    def _begin(self, *works: Work, holds_tables: bool = True) -> str:
        remember = self.session.remember({name for work in works for name in _settings_named(work.script.text)})
        return BEGIN + (remember if holds_tables else _without_locks(remember))

    def _settings(self, work: Work) -> str:
        return self.session.settings(statement_timeout=work.migration.statement_timeout) + (
            "" if work.last else "SET LOCAL synchronous_commit = off;\n"
        )

    def _setting_up(self, work: Work, head: int | None, *, holds_tables: bool = True) -> str:
        """Return what stands between BEGIN and a script.

        Args:
            work: What is to be done.
            head: The head of the log that the plan rests on, or None not to look.
            holds_tables: Whether the transaction may keep the locks on the log that looking at it takes.
                Where it idles while another works, a REINDEX or VACUUM FULL of that one would wait for them.
        """
        begin = begin_step(self.schema, head, self.path, self.reached)
        if not holds_tables:
            begin = take_lock(lock_key(self.schema)) + _without_locks(begin)
        return (
            self._settings(work)
            + setting("kimbledb.step", self._facts(work))
            + (checks_setting([work.migration]) if work.verify else "")
            + begin
            + self.session.path(self.path)
        )

    def _before(self, work: Work) -> str:
        """Return what stands between the start of the transaction and the script."""
        measuring = ""
        if work.guard is not None:
            measuring = self.session.path() + work.guard.before()
        return measuring + before_script(self.schema, self.path, work.migration.reaches)

    def _after(self, work: Work) -> str:
        """Return what stands right after a script: from there on all is ours again."""
        # What the script has put off, triggers among it, belongs to it.
        return (
            _END_OF_SCRIPT
            + "SET CONSTRAINTS ALL IMMEDIATE;\n"
            + queries.block("after_script", ended=queries.text_of("transaction_ended"))
            + self._settings(work)
        )

    def _closing(self, work: Work, more: str = "") -> str:
        return (
            self._after(work)
            + more
            + check_reach(self.schema, work.migration.reaches)
            + (work.guard.after() if work.guard is not None else "")
            + self._proof(work)
            + self._record(work, leaving=self.session.leaving())
        )

    def _proof(self, work: Work) -> str:
        if not work.verify:
            return ""
        return checks_block(self.session, self.path, judging=True) + self.session.path()

    def _record(self, work: Work, *, leaving: str = "") -> str:
        return (
            queries.block(work.record, schema=quote_identifier(self.schema))
            + leaving
            # The script may have set it.
            + (durable() if work.last else "")
            + "COMMIT;\n"
            + (queries.block("log_position") if work.last else "")
        )

    @staticmethod
    def _outcome(answers: Sequence[Answer], work: Work) -> Outcome:
        found = {answer.code: answer.value for answer in answers}
        return Outcome(
            found["KD102"]["head"],
            tuple(results_of(found.get("KD101", ()), [work.migration])),
            found.get("KD103"),
            found["KD102"]["milliseconds"] / 1000,
            data_loss.measured(found[MEASURED]) if MEASURED in found else Measured(),
        )

    async def _meaning(self, error: ServerError, work: Work, ahead: str | None) -> Exception:
        """Return what an error of the server means for the call.

        Args:
            error: What the server said.
            work: What was being done.
            ahead: What stood before the script in the message, or None where there was no script in it.
        """
        if self.session.commits and not any(answer.code == "KD102" for answer in self.session.answered):
            # It ended its transaction by itself: to run it again would do twice what it did.
            failure = await self._script_error(error, work, ahead)
            failure.standing = _KEPT
            return failure
        if (meant := meaning(error)) is not None:
            return meant
        code = own_code(error)
        if code == DATA_LOSS and work.guard is not None:
            return data_loss.refusal(error, work.guard)
        if code == VERIFICATION_FAILED:
            return ChecksFailed(results_of(json.loads(error.detail or "[]"), [work.migration]))
        return await self._script_error(error, work, ahead)

    async def _script_error(self, error: ServerError, work: Work, ahead: str | None) -> ScriptError:
        from kimbledb.execution.error_location import diagnose  # only where a script fails

        exact = bool(error.position)
        place: int | None = None
        if ahead is not None and error.position:
            place = error.position - 1 - len(ahead)
            if 0 <= place - len(work.script.text) < len(_END_OF_SCRIPT):
                place = len(
                    work.script.text.rstrip()
                )  # the last statement breaks off, and the server met our semicolon
        elif ahead is not None:
            place = self._failed_statement(work.script.text, ahead)
        if place is not None and not 0 <= place <= len(work.script.text):
            place = None  # it lies in our own statements
        diagnosis = diagnose(error, work.migration, work.script, offset=place, exact=exact)
        return ScriptError(work.migration, await with_canceller(self.session, error, diagnosis))

    def _failed_script(self, error: ServerError, ahead: Sequence[str]) -> int:
        """Return at which of several scripts the server stopped, given what stood before each."""
        from kimbledb.catalog import statements  # only where a script fails

        if error.position:
            place, starts = error.position - 1, [len(text) for text in ahead]
        else:
            place, starts = self.session.completed, [sum(1 for _ in statements.split(text)) for text in ahead]
        return max(bisect.bisect_right(starts, place) - 1, 0)

    def _failed_statement(self, script: str, ahead: str) -> int | None:
        """Return where the statement begins at which the server stopped, or None where that is none of the script.

        The server names no place for an error that arises while a statement runs.
        """
        from kimbledb.catalog import statements  # only where a script fails

        try:
            number = self.session.completed - sum(1 for _ in statements.split(ahead))
            starts = [statement.start for statement in statements.split(script)]
        except ValueError:
            return None
        return starts[number] if 0 <= number < len(starts) else None
