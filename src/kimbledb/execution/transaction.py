"""The transactions of migrations, several in one message: it is sent, its answers are read, its errors are explained.

Each migration has a transaction of its own. Where one fails, the server skips the rest of the message, and the
transactions before it stay committed. A script that fails in the company of others runs once more alone: only there does
the server name the place of an error, and not everything that a script may do can be done by EXECUTE.

``kimbledb.execution.messages`` has the text of the message, ``kimbledb.execution.work`` the
values that go in and come out, ``kimbledb.execution.step_errors`` the meaning of the errors.
"""

from __future__ import annotations

import bisect
import itertools
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from typing import Any

from attrs import evolve, frozen

from kimbledb.errors import ConnectionLostError, KimbleDBError
from kimbledb.execution.messages import Messages
from kimbledb.execution.step_errors import Earlier, is_cancelled_by_a_person, recorded, refusal_of, step_error
from kimbledb.execution.work import Outcome, Work
from kimbledb.inspection import data_loss
from kimbledb.inspection.checks import results_of
from kimbledb.inspection.data_loss import Measured
from kimbledb.model.clock import stopwatch
from kimbledb.model.names import quote_identifier, quote_literal
from kimbledb.model.script import Script
from kimbledb.model.set_aside import SetAside
from kimbledb.server import queries
from kimbledb.server.codes import (
    CHECKED,
    COPIED,
    INDEX_NOT_VALID,
    LOOK_CLOSER,
    MEASURED,
    READ_OTHERWISE,
    RECORDED,
    WAL_POSITION,
    own_code,
)
from kimbledb.server.driver import ServerError
from kimbledb.server.loops import Piece, before_scripts, written
from kimbledb.server.session import ENDS_SESSION, Answer, Session, Unread
from kimbledb.server.settings import setting


class _Reply:
    """Reads the outcomes in the answers to a message, each as soon as its transaction is known to be committed."""

    def __init__(self, session: Session, works: Sequence[Work], on_commit: Callable[[Outcome], None]) -> None:
        self._session = session
        self._works = works
        self._on_commit = on_commit
        #: The numbers of outcomes and of answers that were read.
        self.count = 0
        self._answers = 0

    def read(self, committed: int) -> None:
        """Read the outcomes of the first transactions.

        Args:
            committed: How many transactions are known to be committed.
        """
        while self.count < committed:
            answers = self._session.answered[self._answers :]
            if self.count + 1 < len(self._works):  # to the last one belongs the question after its COMMIT, too
                answers = answers[: [answer.code for answer in answers].index(RECORDED) + 1]
            self._answers += len(answers)
            work = self._works[self.count]
            self.count += 1
            self._on_commit(_outcome(answers, work))


@frozen
class _Text:
    """The transaction of a piece of work in a message."""

    work: Work
    begin: str
    pieces: Sequence[Piece]

    @cached_property
    def rest(self) -> str:
        """All of it but the begin."""
        return written(self.pieces)


class _Unreadable(Exception):
    """The server could read no message of these transactions, and ran nothing.

    Attributes:
        place: The transaction that it could not read, counted from 0; None where it reads by other settings.
    """

    def __init__(self, place: int | None) -> None:
        super().__init__()
        self.place = place


class _FellOut(Exception):
    """A script failed in the company of others; it is rolled back, and is to run alone, which shows whether it fails there."""


class _PassedOver(Exception):
    """A script may have passed over invalid indexes that it does not name; it is rolled back, and is to run again."""

    def __init__(self, indexes: Sequence[str]) -> None:
        super().__init__()
        self.indexes = tuple(indexes)


class _LookCloser(Exception):
    """A brief check saw a sign of something that only a full one can decide; nothing is left of the work, which is to be sent again.

    Attributes:
        what: The subject of the sign.
    """

    def __init__(self, what: str) -> None:
        super().__init__()
        self.what = what


class Transactions:
    """Carries out work on one schema through one session."""

    def __init__(self, messages: Messages, *, is_own: bool = False) -> None:
        """Take the messages of the run, for one schema and one session.

        Args:
            messages: The messages.
            is_own: Whether the server's session is ours alone, and has the limits of the call (``bootstrap.ready()``).
        """
        self.messages = messages
        self.session = messages.session
        self.is_own = is_own
        #: Whether a COMMIT was sent, and the client cannot know whether it was executed.
        self.in_doubt = False
        #: Whether the session would lex scripts by other settings, which must go ahead of each of them.
        self._reads_otherwise = False
        #: Whether a short look has seen a sign that the next work would give, too.
        self._looks_closer = False

    async def carry_out(self, work: Work, log_position: int) -> Outcome:
        """Run one migration's transaction, and return its outcome.

        Args:
            work: The migration and its script.
            log_position: The id of the log's newest entry when the plan was made.

        Raises:
            Exception: As for ``carry_out_all()``.
        """
        outcomes: list[Outcome] = []
        await self.carry_out_all([work], log_position, outcomes.append)
        return outcomes[0]

    async def carry_out_all(
        self, works: Sequence[Work], log_position: int, on_commit: Callable[[Outcome], None]
    ) -> None:
        """Run the transactions of migrations, in one message where the server can read it so.

        Args:
            works: The migrations and their scripts, in order.
            log_position: The id of the log's newest entry when the plan was made.
            on_commit: Called for each migration, in order, when it is known to be committed: most often while the
                message still runs. An error is about the first migration for which it was not called.

        Raises:
            Retry: Another run holds the lock or was quicker, or the application
                held a lock for too long. Nothing is left.
            ScriptError: The script failed. Nothing is left.
            ChecksFailed: Its verification failed. Nothing is left.
            Suspected: It may have lost data, which must be counted. Nothing is left.
            Lost: It would have lost data. Nothing is left.
            ConnectionLostError: Whether it was committed, and any of those after it, is unknown.
        """
        waiting = list(works)
        position = log_position
        #: The number of them that the next message carries; None for all.
        size: int | None = None

        def note(outcome: Outcome) -> None:
            nonlocal position
            position = outcome.log_position
            del waiting[0]
            on_commit(outcome)

        while waiting:
            if self._looks_closer:
                waiting = [_looking_closer(each) for each in waiting]
            sent = waiting[: 1 if self._reads_otherwise else size]
            size = None
            try:
                if self.is_own and len(sent) > 1:
                    await self._send_loop(sent, position, note)
                else:
                    await self._send(sent, position, note)
            except _FellOut:
                size = 1
            except _Unreadable as found:
                # Nothing of it ran. The readable ones go first, and then the unreadable one goes alone.
                self._reads_otherwise = found.place is None
                size = found.place or 1
            except _LookCloser as found:
                waiting[0] = _looking_closer(waiting[0])
                self._looks_closer = self._looks_closer or found.what != "losses"
            except _PassedOver as found:
                # Other indexes on the same table were made meanwhile, or existed before.
                waiting[0] = evolve(waiting[0], known=(*waiting[0].known, *found.indexes))

    async def _send_loop(self, works: Sequence[Work], log_position: int, on_commit: Callable[[Outcome], None]) -> None:
        """Send the transactions of migrations as one block, which plans once what they share."""
        session = self.session
        reply = _Reply(session, works, on_commit)
        message = self.messages.loop(works, log_position)
        try:
            with self._doubting(reply):
                try:
                    # Each beginning follows the COMMIT of the transaction before it.
                    await session.send(message, on_begin=lambda: reply.read(session.begun - 1))
                except (ServerError, KimbleDBError):
                    reply.read(max(session.begun - 1, 0))
                    raise
                reply.read(len(works))
        except UnicodeEncodeError as error:
            raise _FellOut from error  # the driver encodes the message in the encoding of the connection
        except ServerError as error:
            if own_code(error) == READ_OTHERWISE:
                raise _Unreadable(None) from error
            failed = works[reply.count]
            _send_again(error, failed)
            if (refusal := refusal_of(error, failed)) is not None:
                raise refusal from error
            if await is_cancelled_by_a_person(session, error):
                raise await step_error(session, error, failed, ()) from error
            # EXECUTE refuses some statements of a script, and hides their place.
            raise _FellOut from error

    async def _send(self, works: Sequence[Work], log_position: int, on_commit: Callable[[Outcome], None]) -> None:
        """Send the transactions of migrations in one message."""
        session = self.session
        texts = self._texts(works, log_position)
        reply = _Reply(session, works, on_commit)
        message = texts[0].rest + "".join(text.begin + text.rest for text in texts[1:])
        try:
            with self._doubting(reply):
                try:
                    await session.transact(
                        texts[0].begin,
                        message,
                        further=_starts("", texts)[1:],
                        # Each beginning follows the COMMIT of the transaction before it.
                        on_begin=lambda: reply.read(session.begun - 1),
                    )
                except (ServerError, KimbleDBError):
                    reply.read(max(session.begun - 1, min(recorded(session), len(session.commits))))
                    raise
                reply.read(len(texts))
        except Unread as unread:
            starts = _starts(session.prefix, texts)
            place = None if unread.position is None else bisect.bisect_right(starts, unread.position - 1) - 1
            raise _Unreadable(place) from unread
        except ServerError as error:
            if reply.count == len(texts):
                return  # all is committed, and the question after it failed
            failed = texts[reply.count]
            _send_again(error, failed.work)
            places = before_scripts(failed.begin if reply.count else session.prefix, failed.pieces)
            earlier = Earlier(reply.count, _starts(session.prefix, texts)[reply.count])
            raise await step_error(session, error, failed.work, places, earlier) from error

    def _texts(self, works: Sequence[Work], log_position: int) -> list[_Text]:
        """Return the transactions of migrations, of which each but the first expects what the one before it recorded."""
        expected: list[int | Work] = [log_position, *works]
        return [
            _Text(work, self.messages.begin(work), self.messages.transaction(work, before))
            for work, before in zip(works, expected, strict=False)
        ]

    @contextmanager
    def _doubting(self, reply: _Reply | None = None) -> Iterator[None]:
        """Hold the outcome for unknown from the moment a COMMIT is sent until the server answers.

        The outcome is known, too, where the server's last message shows that it never came to the next COMMIT.

        Args:
            reply: The outcomes that are known and noted; None where none is.
        """
        self.in_doubt = True
        try:
            yield
        except ConnectionLostError as loss:
            last = loss.__cause__.last_word if isinstance(loss.__cause__, ServerError) else None
            ended = last is not None and last.sqlstate.startswith(ENDS_SESSION)
            # The server's last message came before that of the next history row.
            if ended and recorded(self.session) == (reply.count if reply is not None else 0):
                self.in_doubt = False
            raise
        except ServerError:
            self.in_doubt = False
            raise
        self.in_doubt = False

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
            work: The work of the transaction.
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
            work: The work of the transaction.
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
            work: The work of the other session.
            log_position: The id of the log's newest entry when the plan was made.

        Raises:
            Retry: As for ``carry_out()``.
        """
        opening = self.messages.holding(work, log_position)
        try:
            await self.session.send(opening)
        except ServerError as error:
            raise await step_error(self.session, error, work, ()) from error

    async def finish(self, work: Work, *, noting: str = "", more: Sequence[str] = ()) -> Outcome:
        """Run the work in the transaction that ``hold()`` opened, and commit it.

        Args:
            work: The migration and its script.
            more: Statements that run after the script, with its search_path, each with its semicolon.
            noting: As for ``Messages.closing()``.

        Raises:
            Retry: As for ``carry_out()``.
            ScriptError: As for ``carry_out()``.
            ChecksFailed: As for ``carry_out()``.
            ConnectionLostError: As for ``carry_out()``.
        """
        clock = stopwatch()
        ahead = self.session.recall() + self.messages.before(work)
        body = self.messages.body(work)
        after = "".join(more)
        if after:
            after = self.session.path(self.messages.path) + after + self.session.path()
        try:
            with self._doubting():
                closing = self.messages.closing(work, after, noting=noting)
                answers = await self.session.send(ahead + written(body) + closing)
        except ServerError as error:
            raise await step_error(self.session, error, work, before_scripts(ahead, body)) from error
        # Tables were locked for as long as this took, and not since the schema's lock was taken.
        return evolve(_outcome(answers, work), held=clock())

    async def release(self, work: Work, measured: Measured) -> Outcome:
        """Prove and record the work in the transaction that ``hold()`` opened, and commit it. A hosted.sql runs before that.

        Args:
            work: The work of the other session.
            measured: The data that it took away, for the log.

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
            outcome = await self.finish(work, noting=queries.filled("also_lost", losses=losses) + "\n")
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
            work: The work that failed.
            message: The error, without any value of a row.
            seconds: How long the try took.
        """
        with suppress(ServerError, ConnectionLostError):
            await self.session.send(self.messages.failure(work, message, seconds))


def _starts(prefix: str, texts: Sequence[_Text]) -> list[int]:
    """Return the number of characters of a message before each of its transactions.

    Args:
        prefix: The text before the rest of the first one.
        texts: The transactions.
    """
    lengths = [len(text.begin) + len(text.rest) for text in texts]
    lengths[0] = len(prefix) + len(texts[0].rest)
    return [0, *itertools.accumulate(lengths[:-1])]


def _looking_closer(work: Work) -> Work:
    """Return work whose message holds the long questions, and before which all is read that they compare with."""
    guard = None if work.guard is None else evolve(work.guard, brief=False, light=False, sizes=True)
    return evolve(work, brief=False, guard=guard)


def _send_again(error: ServerError, work: Work) -> None:
    """Raise where an error asks for the same work once more, with what it wants."""
    code = own_code(error)
    if code == INDEX_NOT_VALID and (others := _not_in(work.sql, json.loads(error.detail or "[]"))):
        raise _PassedOver(others) from error
    if code == LOOK_CLOSER:
        raise _LookCloser(error.detail or "") from error


def _outcome(answers: Sequence[Answer], work: Work) -> Outcome:
    found = {answer.code: answer.value for answer in answers}
    return Outcome(
        found[RECORDED]["head"],
        tuple(results_of(found.get(CHECKED, ()), [work.migration])),
        found.get(WAL_POSITION),
        found[RECORDED]["milliseconds"] / 1000,
        data_loss.measured(found[MEASURED]) if MEASURED in found else Measured(),
        set_aside=tuple(_set_aside(answer.value) for answer in answers if answer.code == COPIED),
    )


def _set_aside(answer: Mapping[str, Any]) -> SetAside:
    """Return the answer of the block that copied the rows of a table which was set aside."""
    source, rows, copied = answer["source"], answer["rows"], answer["copied"]
    query = f"SELECT * FROM {source} WHERE {quote_identifier(answer['reason'])} IS NOT NULL" if copied < rows else None
    return SetAside(table=answer["table"], source=source, rows=rows, copied=copied, query=query)


def _not_in(script: str, names: Sequence[str]) -> list[str]:
    """Return those of some names that a script does not hold."""
    return [name for name in names if not re.search(rf"(?<!\w){re.escape(name)}(?!\w)", script, re.IGNORECASE)]
