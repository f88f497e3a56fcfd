"""Runs the work of a call until it is done: the deadline, the retries and the reconnections.

A piece of work is a function of a session. It raises ``Retry`` where the
database is not in the state that the work needs. Then the connection is given back, some time
passes, and the work starts again, and reads the database anew: the database is the only memory
from one session to the next.
"""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from kimbledb.errors import ConnectionLostError, DeadlineExceededError, LockUnavailableError
from kimbledb.server.driver import ServerError, driver_errors
from kimbledb.server.in_process_lock import InProcessLock, running_loop
from kimbledb.server.notifications import notify
from kimbledb.server.options import Options
from kimbledb.server.retry import Retry, failure, meaning
from kimbledb.server.session import Session, TemporarilyUnavailable
from kimbledb.server.targets import Target, target_of

if TYPE_CHECKING:
    from kimbledb.events import Watcher

T = TypeVar("T")
R = TypeVar("R")

#: Seconds between two polls of a lock that another run holds: short at first, since the
#: holder may be done soon, and longer with each poll, since many runs may wait,
#: and each poll is a connection that takes time from the holder's.
_FIRST_WAIT, _LONGEST_WAIT = 0.05, 2.0
#: Seconds of the longest wait for a call of this process. The end of that call ends the wait; but the call may hang
#: after the server has noticed that its connection is gone.
_LONGEST_WAIT_IN_PROCESS = 5.0
#: The number of times that a connection may fail, or be lost, without progress between.
_LOSSES = 5
#: Seconds that a server which was reached before may be absent: a restart takes no longer.
_ABSENCE = 30.0


class Runner:
    """Runs the work of one call on a target, within the limits of the options."""

    def __init__(
        self,
        target: Target,
        options: Options,
        progress: Watcher | None = None,
        in_process_lock: InProcessLock | None = None,
        *,
        patient: bool = False,
    ) -> None:
        """Prepare a call.

        Args:
            target: The database.
            options: The limits.
            progress: The progress callable, or None.
            in_process_lock: The lock among the calls of this process on the same schema; None where the call takes none.
            patient: Whether the call waits until the deadline for a server that cannot be reached.
        """
        self.target = target
        self.options = options
        self.progress = progress
        self._in_process_lock = in_process_lock
        self._patient = patient and target.can_reconnect
        #: Whether the call has waited already.
        self.has_waited = False
        #: The run's name in the log, by which the run recognises its own entries.
        self.run_id = secrets.token_hex(8)
        #: The target for a second session past any pooler, or None.
        self.direct = target if target.address is not None else None
        if options.direct_dsn is not None:
            self.direct = target_of(options.direct_dsn, "Options.direct_dsn")
        #: The current activity, for the message at the deadline.
        self.doing = "connecting"
        #: The parts of a step outside of transactions that stay if the call ends now, in words, or None.
        self.standing: str | None = None
        #: The sessions that block the call, one line each, as last seen.
        self.blockers: tuple[str, ...] = ()
        self._commits = 0

    def can_open_second_session(self, session: Session, process_id: int) -> bool:
        """Whether a second session, past any pooler, can be opened beside a session.

        A server sends each client the id of the process that serves it. A pooler
        sends an id that it made up, and may send each statement to another process; the wait
        for a second session through a pooler may never end, since the first may be its only one.

        Args:
            session: The first session.
            process_id: The id of the process that answers in it.
        """
        if self.direct is None or self.direct is not self.target:
            return self.direct is not None
        return session.connection.server_pid == process_id

    def committed(self) -> None:
        """Note a commit: the bounded attempts are counted anew."""
        self._commits += 1
        self.blockers = ()

    async def run(self, work: Callable[[Session], Awaitable[T]]) -> T:
        """Run work until it is done or a limit is reached.

        Args:
            work: The work, which starts again in a new session when it raises Retry.

        Returns:
            The result of the work.

        Raises:
            DeadlineExceededError: The options' deadline passed.
            LockUnavailableError: Other sessions held a lock in every one of the options' attempts.
            ConnectionLostError: The server stays away, or no second connection can be had.
            PreflightError: The role lacks a privilege.
            MigrationError: The server refused for another reason.
        """
        running_loop()
        limit = asyncio.timeout(self.options.deadline)
        try:
            with driver_errors():
                async with limit:
                    return await self._until_done(work)
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise DeadlineExceededError(
                self.options.deadline, doing=self.doing, blockers=self.blockers, standing=self.standing
            ) from error

    async def _until_done(self, work: Callable[[Session], Awaitable[T]]) -> T:
        contended = waits = 0
        losses = _Losses(self.target)
        commits = self._commits
        while True:
            if self._commits != commits:
                commits, contended, waits = self._commits, 0, 0
                losses = _Losses(self.target)
            why: tuple[str, ...] | None = None
            holder: asyncio.Future[None] | None = None
            try:
                async with self.target.session(self.options) as session:
                    losses.connected()
                    return await work(session)
            except (Retry, ServerError) as error:
                retry, cause = self._retry_of(error)
                if retry.awaited is not None:
                    why = (retry.awaited,)
                if retry.contended is not None:
                    contended += 1
                    self._check_attempts(contended, retry.contended, cause)
                elif self._in_process_lock is not None:
                    holder = self._in_process_lock.holder
            except ConnectionLostError as loss:
                if not (self._patient or isinstance(loss, TemporarilyUnavailable)):
                    losses.count(loss)
                self.doing = f"connecting ({loss.message})"
                why = (loss.message,)
            waits += 1
            await self._wait(waits, self.blockers if why is None else why, holder)

    def _retry_of(self, error: Retry | ServerError) -> tuple[Retry, BaseException | None]:
        """Return the retry that an error asks for, with its cause; raise any other meaning of the error."""
        meant = error if isinstance(error, Retry) else meaning(error) or failure(error, self.doing)
        cause = error.__cause__ if isinstance(error, Retry) else error
        if not isinstance(meant, Retry):
            raise meant from cause
        self.blockers = meant.blockers or self.blockers
        return meant, cause

    def _check_attempts(self, attempts: int, reason: str, cause: BaseException | None) -> None:
        """Raise LockUnavailableError where the attempts are used up."""
        if attempts >= self.options.attempts:
            raise LockUnavailableError(
                f"{self.doing}: {attempts} tries ended with: {reason}",
                blockers=self.blockers,
                standing=self.standing,
                hint="see which session holds the lock (SELECT * FROM pg_stat_activity), and run again at a quieter time; "
                "to wait longer, raise Options(lock_timeout=..., attempts=...)",
            ) from cause

    async def _wait(self, waits: int, why: tuple[str, ...], holder: asyncio.Future[None] | None) -> None:
        """Wait before the next attempt: for the end of the in-process lock's holder, or for a time with jitter."""
        longest = min(_LONGEST_WAIT, _FIRST_WAIT * 2 ** min(waits, 10)) if holder is None else _LONGEST_WAIT_IN_PROCESS
        seconds = random.uniform(longest / 2, longest)
        from kimbledb.events import Waiting  # only calls that wait: 3 ms

        notify(self.progress, Waiting(why, seconds))
        self.has_waited = True
        if holder is None:
            await asyncio.sleep(seconds)
        else:
            await asyncio.wait([holder], timeout=seconds)


async def meanwhile(answer: Coroutine[Any, Any, T], work: Callable[[], R]) -> tuple[T, R]:
    """Ask a server, work in this process while the server is at it, and return its answer and the result of the work.

    Args:
        answer: Sends the question before it waits.
        work: The work. It keeps the event loop busy, as it would before the question or after the answer.
    """
    asked = asyncio.ensure_future(answer)
    try:
        await asyncio.sleep(0)  # the question is sent
        done = work()
    except BaseException:
        # On a cancellation, too: nobody waits for the answer any more.
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)
        raise
    return await asked, done


class _Losses:
    """Counts lost and failed connections, and decides when there are too many."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._first: ConnectionLostError | None = None
        self._count = 0
        #: Whether this attempt had a connection, and when a connection was last lost.
        self._inside = False
        self._away_since: float | None = None

    def connected(self) -> None:
        """Note that this attempt has a connection."""
        self._inside = True
        self._away_since = None

    def count(self, loss: ConnectionLostError) -> None:
        """Count a loss, and raise it where there are too many."""
        self._first = self._first or loss
        if self._inside:
            self._inside = False
            self._away_since = time.monotonic()
            self._count += 1
            tolerable = self._count < _LOSSES
        elif self._away_since is not None:
            # The server was reached before, so its address is right: it may be restarting.
            tolerable = time.monotonic() - self._away_since < _ABSENCE
        else:
            self._count += 1
            tolerable = self._count < _LOSSES
        if tolerable and self._target.can_reconnect:
            return
        if self._first.message == loss.message:
            raise loss
        raise ConnectionLostError(f"{loss.message}; at first {self._first.message}", hint=loss.hint) from loss
