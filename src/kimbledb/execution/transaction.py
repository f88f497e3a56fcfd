"""One migration's transaction: its message is sent, its answers are read, its errors are explained.

``kimbledb.execution.messages`` has the text of the message, ``kimbledb.execution.work`` the
values that go in and come out, ``kimbledb.execution.step_errors`` the meaning of the errors.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from attrs import evolve, frozen

from kimbledb.errors import ConnectionLostError
from kimbledb.execution import error_location
from kimbledb.execution.messages import Messages, before_script, keep_older
from kimbledb.execution.step_errors import step_error
from kimbledb.execution.work import Outcome, Work
from kimbledb.inspection import data_loss
from kimbledb.inspection.checks import results_of
from kimbledb.inspection.data_loss import Guard, Measured
from kimbledb.model.clock import stopwatch
from kimbledb.model.names import quote_array, quote_literal
from kimbledb.model.script import Script
from kimbledb.server import queries
from kimbledb.server.codes import INDEX_NOT_VALID, MEASURED, own_code
from kimbledb.server.driver import ServerError
from kimbledb.server.session import ENDS_SESSION, Answer
from kimbledb.server.settings import setting


@frozen
class Rehearsed:
    """What scripts did in a transaction that was rolled back."""

    #: The data that would be lost.
    measured: Measured
    #: The objects that would be dropped and belong to no other object, each as [kind, name].
    objects: Sequence[Sequence[str]]
    #: The objects that would be dropped and belong to columns of tables that stay, each as [kind, name].
    parts: Sequence[Sequence[str]]
    #: The answer to the question after the scripts, or None where none was asked.
    answer: Any


class Transactions:
    """Carries out work on one schema through one session."""

    def __init__(self, messages: Messages) -> None:
        """Take the messages of the run, for one schema and one session."""
        self.messages = messages
        self.session = messages.session
        #: Whether a COMMIT was sent, and the client cannot know whether it was executed.
        self.in_doubt = False

    async def carry_out(self, work: Work, log_position: int) -> Outcome:
        """Run one migration's transaction.

        Args:
            work: The migration and its script.
            log_position: The id of the log's newest entry when the plan was made.

        Raises:
            Retry: Another run holds the lock or was quicker, or the application
                held a lock for too long. Nothing is left.
            ScriptError: The script failed. Nothing is left.
            ChecksFailed: Its verification failed. Nothing is left.
            Suspected: It may have lost data, which must be counted. Nothing is left.
            Lost: It would have lost data. Nothing is left.
            ConnectionLostError: Whether it was committed is unknown.
        """
        messages = self.messages
        ahead = messages.setting_up(work, log_position) + messages.before(work)
        body, starts = messages.body(work)
        try:
            with self._doubting():
                closing = messages.closing(work, queries.block("check_indexes", known=quote_array(work.known)))
                answers = await self.session.transact(messages.begin(work), ahead + body + closing)
        except ServerError as error:
            if own_code(error) == INDEX_NOT_VALID and (others := _not_in(work.sql, json.loads(error.detail or "[]"))):
                # Another index on the same table was made meanwhile, or existed before.
                return await self.carry_out(evolve(work, known=(*work.known, *others)), log_position)
            ahead = self.session.prefix + ahead
            raise await step_error(self.session, error, work, [ahead + body[:start] for start in starts]) from error
        return _outcome(answers, work)

    @contextmanager
    def _doubting(self) -> Iterator[None]:
        """Hold the outcome for unknown from the moment a COMMIT is sent until the server answers.

        The outcome is known, too, where the server's last message shows that it never came to the COMMIT.
        """
        self.in_doubt = True
        try:
            yield
        except ConnectionLostError as loss:
            last = loss.__cause__.last_word if isinstance(loss.__cause__, ServerError) else None
            ended = last is not None and last.sqlstate.startswith(ENDS_SESSION)
            # The server's last message came before that of the history row.
            if ended and not any(answer.code == "KD102" for answer in self.session.answered):
                self.in_doubt = False
            raise
        except ServerError:
            self.in_doubt = False
            raise
        self.in_doubt = False

    async def rehearse(self, works: Sequence[Work], log_position: int, guard: Guard, question: str = "") -> Rehearsed:
        """Run scripts one after the other in a transaction that is rolled back.

        It is one message, which ends by itself even if the client dies. Sequences get a storage
        of their own first, so that nothing of a setval() is left.

        Args:
            works: The scripts, in order.
            log_position: The id of the log's newest entry when the plan was made.
            guard: How the transaction is watched for data loss.
            question: A block that answers a question after all scripts, or nothing.

        Raises:
            Retry: As for ``carry_out()``.
            ScriptError: One of the scripts failed.
        """
        messages = self.messages
        namespace = f"(SELECT oid FROM pg_namespace WHERE nspname = {quote_literal(self.messages.schema)})"
        listed = {each: queries.filled(f"own_{each}", namespace=namespace) for each in ("objects", "parts")}
        message = (
            messages.setting_up(works[0], log_position)
            + self.session.path()
            + queries.block("inventory", **listed)
            + guard.before()
            + before_script(self.messages.schema, self.messages.path)
        )
        places = []
        for work in works:
            older = keep_older() if work.closes else ""
            message += messages.settings(work) + older + self.session.path(self.messages.path)
            places.append(len(message))
            message += work.script.text + messages.ending(work) + queries.block("check_history")
        asking = question + queries.question("vanished", **listed)
        message += guard.after() + asking + self.session.leaving() + "ROLLBACK;\n"
        try:
            answers = await self.session.transact(messages.begin(*works), message)
        except ServerError as error:
            ahead = [self.session.prefix + message[:place] for place in places]
            at = error_location.failed_script(error, ahead, self.session.completed)
            raise await step_error(self.session, error, works[at], [ahead[at]]) from error
        [measured] = [answer.value for answer in answers if answer.code == MEASURED]
        [*answered, vanished] = [answer.value for answer in answers if answer.code == "KD100"]
        return Rehearsed(
            data_loss.measured(measured), vanished["objects"], vanished["parts"], answered[0] if answered else None
        )

    async def open(self, work: Work, log_position: int) -> None:
        """Open the transaction of a migration whose script is written only when the schema was looked at.

        Args:
            work: The migration.
            log_position: The id of the log's newest entry when the plan was made.

        Raises:
            Retry: As for ``carry_out()``.
        """
        opening = self.messages.setting_up(work, log_position)
        try:
            await self.session.transact(self.messages.begin(work), opening)
        except ServerError as error:
            raise await step_error(self.session, error, work, ()) from error

    async def ask(self, work: Work, question: str) -> Any:
        """Ask a question in the transaction that is open, and return the answer.

        Args:
            work: Whose transaction it is.
            question: A block that answers, for the safe path.
        """
        try:
            [answer] = await self.session.send(self.session.path() + question + self.session.path(self.messages.path))
        except ServerError as error:
            raise await step_error(self.session, error, work, ()) from error
        return answer.value

    async def run(self, work: Work, script: Script) -> None:
        """Run a script in the transaction that is open, before that of the work.

        Args:
            work: Whose transaction it is.
            script: The script.

        Raises:
            Retry: As for ``carry_out()``.
            ScriptError: As for ``carry_out()``.
        """
        ahead = self.session.path(self.messages.path)
        try:
            await self.session.send(
                ahead + script.text + "SET CONSTRAINTS ALL IMMEDIATE;\n" + self.messages.settings(work)
            )
        except ServerError as error:
            raise await step_error(self.session, error, evolve(work, derived=script), [ahead]) from error

    async def hold(self, work: Work, log_position: int) -> None:
        """Open the transaction and take the lock, and keep both.

        Afterwards the connection gets only messages that leave no snapshot, so that it delays no
        CREATE INDEX CONCURRENTLY.

        Args:
            work: What the other session will do.
            log_position: The id of the log's newest entry when the plan was made.

        Raises:
            Retry: As for ``carry_out()``.
        """
        opening = self.messages.holding(work, log_position)
        try:
            await self.session.send(opening)
        except ServerError as error:
            raise await step_error(self.session, error, work, ()) from error

    async def finish(self, work: Work, noting: str = "") -> Outcome:
        """Run the work in the transaction that ``hold()`` opened, and commit it.

        Args:
            work: The migration and its script.
            noting: As for ``Messages.closing()``.

        Raises:
            Retry: As for ``carry_out()``.
            ScriptError: As for ``carry_out()``.
            ChecksFailed: As for ``carry_out()``.
            ConnectionLostError: As for ``carry_out()``.
        """
        clock = stopwatch()
        ahead = self.session.recall() + self.messages.before(work)
        body, starts = self.messages.body(work)
        try:
            with self._doubting():
                answers = await self.session.send(ahead + body + self.messages.closing(work, noting=noting))
        except ServerError as error:
            raise await step_error(self.session, error, work, [ahead + body[:start] for start in starts]) from error
        # Tables were locked for as long as this took, and not since the schema's lock was taken.
        return evolve(_outcome(answers, work), held=clock())

    async def release(self, work: Work, measured: Measured) -> Outcome:
        """Prove and record the work in the transaction that ``hold()`` opened, and commit it. A hosted.sql runs before that.

        Args:
            work: What the other session did.
            measured: What data it took away, for the log.

        Raises:
            Retry: As for ``carry_out()``.
            ScriptError: hosted.sql failed.
            ChecksFailed: As for ``carry_out()``.
            Suspected: As for ``carry_out()``.
            Lost: As for ``carry_out()``.
            ConnectionLostError: As for ``carry_out()``.
        """
        if work.scripts:
            losses = quote_literal(json.dumps(data_loss.loss_rows(measured.losses)))
            outcome = await self.finish(work, queries.filled("also_lost", losses=losses) + "\n")
            return evolve(outcome, measured=data_loss.combined([measured, outcome.measured]))
        try:
            with self._doubting():
                lost = setting("kimbledb.lost", data_loss.loss_rows(measured.losses))
                answers = await self.session.send(lost + self.messages.proof(work) + self.messages.record(work))
        except ServerError as error:
            raise await step_error(self.session, error, work, ()) from error
        return evolve(_outcome(answers, work), measured=measured)

    async def record_failure(self, work: Work, message: str, seconds: float) -> None:
        """Record a failed try in the log, in a transaction of its own.

        Best effort: where the record cannot be written (the disk is full, the connection is lost), the
        caller reports the first error all the same.

        Args:
            work: What was tried.
            message: The error, without any value of a row.
            seconds: How long the try took.
        """
        with suppress(ServerError, ConnectionLostError):
            await self.session.send(self.messages.failure(work, message, seconds))


def _outcome(answers: Sequence[Answer], work: Work) -> Outcome:
    found = {answer.code: answer.value for answer in answers}
    return Outcome(
        found["KD102"]["head"],
        tuple(results_of(found.get("KD101", ()), [work.migration])),
        found.get("KD103"),
        found["KD102"]["milliseconds"] / 1000,
        data_loss.measured(found[MEASURED]) if MEASURED in found else Measured(),
    )


def _not_in(script: str, names: Sequence[str]) -> list[str]:
    """Return those of some names that a script does not hold."""
    return [name for name in names if not re.search(rf"(?<!\w){re.escape(name)}(?!\w)", script, re.IGNORECASE)]
