"""Trying until it is done: the deadline, the waiting, and the reconnecting of every call.

A piece of work is a function of a session. It raises :class:`~kimbledb.server.retry.Retry` when the
world was not as it needs it; then the connection is given back, some time
passes, and the work begins anew by looking at the database. Nothing is
remembered across sessions but what the database itself would say.
"""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, TypeVar

from kimbledb.errors import (
    ConnectionLostError,
    DeadlineExceededError,
    KimbleDBError,
    LockUnavailableError,
)
from kimbledb.model.clock import stopwatch
from kimbledb.model.migration import Migration
from kimbledb.server import queries
from kimbledb.server.drivers import ServerError, driver_errors
from kimbledb.server.in_process_lock import Turn, running_loop
from kimbledb.server.notifications import tell
from kimbledb.server.options import Options
from kimbledb.server.retry import Retry, describe_holders, failure, meaning
from kimbledb.server.session import NotJustNow, Session
from kimbledb.server.targets import Target, target_of

if TYPE_CHECKING:
    from kimbledb.events import Watcher

T = TypeVar("T")

#: Seconds between two looks at a lock that another run holds: short, since the
#: holder may be a quick one, and longer with each look, since those who wait may be many,
#: and each look is a connection that takes its time from the holder's.
_FIRST_WAIT, _LONGEST_WAIT = 0.05, 2.0
#: And where the holder is a call of this process, whose end is heard: it may hang, and
#: the server has noticed that its connection is gone.
_LONGEST_TURN = 5.0
#: How often the connection may be lost, or not be had, before nothing has been achieved.
_LOSSES = 5
#: Seconds that a server which was there may stay away: a restart takes no longer.
_ABSENCE = 30.0
#: Seconds between two looks at who blocks a statement; the first comes within the lock timeout.
_LOOK_EVERY = 5.0
#: And while an index is built.
_LOOK_WHILE_BUILDING = 1.0


class Runner:
    """Runs work on a target within the options' limits."""

    def __init__(
        self, target: Target, options: Options, progress: Watcher | None = None, turn: Turn | None = None
    ) -> None:
        self.target = target
        self.options = options
        self.progress = progress
        #: Wakes it where it waits for another call of this process.
        self.turn = turn
        #: Whether it has waited already.
        self.has_waited = False
        #: Its name in the log, by which it knows its own entries again.
        self.run_id = secrets.token_hex(8)
        #: Where a session of one's own is to be had, if anywhere.
        self.direct = target if target.dsn is not None else None
        if options.direct_dsn is not None:
            self.direct = target_of(options.direct_dsn, "Options.direct_dsn")
        #: What is being done now, for the message when the time is up.
        self.doing = "connecting"
        #: What stays of a step outside of transactions if the call ends here, in words.
        self.standing: str | None = None
        self._blockers: tuple[str, ...] = ()
        self._achieved = 0

    def has_room_aside(self, session: Session, process_id: int) -> bool:
        """Whether a second session can be had, of one's own, beside this one.

        A server tells each client the number of the process that serves it. A pooler
        tells a number that it made up, and may send every statement to another process;
        to ask it for a second session may take for ever, since the first may be its only one.

        Args:
            session: The one that is there.
            process_id: Of the process that answers in it.
        """
        if self.direct is None or self.direct is not self.target:
            return self.direct is not None
        return session.connection.server_pid == process_id

    def achieved(self) -> None:
        """Note that something was committed: bounded tries are counted anew."""
        self._achieved += 1
        self._blockers = ()

    async def run(self, work: Callable[[Session], Awaitable[T]]) -> T:
        """Do the work, again where it asks for it.

        Raises:
            DeadlineExceededError: The options' deadline passed.
            LockUnavailableError: The application held a lock in every one of the attempts.
            ConnectionLostError: The server stays away, or there is no second connection to be had.
            PreflightError: The role may not do what has to be done.
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
                self.options.deadline, doing=self.doing, blockers=self._blockers, standing=self.standing
            ) from error

    @asynccontextmanager
    async def watching(self, session: Session, migration: Migration | None = None) -> AsyncIterator[None]:
        """While something runs in a session, look from a second connection what it is at, and tell.

        That is who blocks it, and how far an index is that it builds. Without a
        second connection to be had nobody looks.

        Args:
            session: Where it runs.
            migration: Whose indexes are told of.
        """
        if not self.target.can_reconnect:
            yield
            return
        watch = asyncio.create_task(self._watch(session, migration))
        try:
            yield
        finally:
            watch.cancel()
            # It ends at once: what is cancelled terminates its connection and waits for nothing.
            await asyncio.wait([watch])

    async def _watch(self, session: Session, migration: Migration | None) -> None:
        clock = stopwatch()
        await asyncio.sleep(min(1.0, self.options.lock_timeout / 2))
        while True:
            pause = _LOOK_EVERY
            # Best effort: a look that fails is no fault of what is being watched.
            with suppress(KimbleDBError, ServerError):
                if session.process_id is not None and await self._look(session.process_id, clock(), migration):
                    pause = _LOOK_WHILE_BUILDING
            await asyncio.sleep(pause)

    async def _look(self, process_id: int, seconds: float, migration: Migration | None) -> bool:
        """Tell what a process is at, and return whether it builds an index."""
        from kimbledb.events import Blocked, Building

        async with self.target.session(self.options) as observer:
            found = await observer.ask(queries.question("watch", pid=str(process_id)))
        self._blockers = tuple(describe_holders(found["blockers"]))
        if self._blockers:
            tell(self.progress, Blocked(self._blockers, seconds))
        building = found["building"]
        if building is not None and migration is not None:
            tell(self.progress, Building(migration, building["index"], building["phase"], building["percent"]))
        return building is not None

    async def _until_done(self, work: Callable[[Session], Awaitable[T]]) -> T:
        contended = waited = 0
        losses = _Losses(self.target)
        achieved = self._achieved
        while True:
            if self._achieved != achieved:
                achieved, contended, waited = self._achieved, 0, 0
                losses = _Losses(self.target)
            why: tuple[str, ...] | None = None
            turn: asyncio.Future[None] | None = None
            try:
                async with self.target.session(self.options) as session:
                    losses.connected()
                    return await work(session)
            except (Retry, ServerError) as error:
                meant = error if isinstance(error, Retry) else meaning(error) or failure(error, self.doing)
                cause = error.__cause__ if isinstance(error, Retry) else error
                if not isinstance(meant, Retry):
                    raise meant from cause
                self._blockers = meant.blockers or self._blockers
                if meant.contended is not None:
                    contended += 1
                    self._refuse_more(contended, meant.contended, cause)
                elif self.turn is not None:
                    turn = self.turn.before
            except ConnectionLostError as loss:
                if not isinstance(loss, NotJustNow):
                    losses.count(loss)
                self.doing = f"connecting ({loss.message})"
                why = (loss.message,)
            waited += 1
            await self._wait(waited, self._blockers if why is None else why, turn)

    async def _wait(self, waited: int, why: tuple[str, ...], turn: asyncio.Future[None] | None) -> None:
        longest = min(_LONGEST_WAIT, _FIRST_WAIT * 2 ** min(waited, 10)) if turn is None else _LONGEST_TURN
        seconds = random.uniform(longest / 2, longest)
        from kimbledb.events import Waiting  # most calls need not wait

        tell(self.progress, Waiting(why, seconds))
        self.has_waited = True
        if turn is None:
            await asyncio.sleep(seconds)
        else:
            await asyncio.wait([turn], timeout=seconds)

    def _refuse_more(self, tries: int, reason: str, cause: BaseException | None) -> None:
        """Give up where the bounded tries are used up."""
        if tries >= self.options.attempts:
            raise LockUnavailableError(
                f"{self.doing}: {tries} tries ended with: {reason}",
                blockers=self._blockers,
                standing=self.standing,
                hint="look who holds the lock (SELECT * FROM pg_stat_activity), and run again when it is quieter; "
                "Options(lock_timeout=..., attempts=...) is more patient",
            ) from cause


class _Losses:
    """How often a connection was lost or not to be had, and whether that is too often."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._first: ConnectionLostError | None = None
        self._count = 0
        #: Whether there was a connection in this try, and when one was last lost.
        self._inside = False
        self._away_since: float | None = None

    def connected(self) -> None:
        self._inside = True
        self._away_since = None

    def count(self, loss: ConnectionLostError) -> None:
        """Count one, and raise it where it was one too many."""
        self._first = self._first or loss
        if self._inside:
            self._inside = False
            self._away_since = time.monotonic()
            self._count += 1
            bearable = self._count < _LOSSES
        elif self._away_since is not None:
            # It was there, so that its address is right: it may be starting again.
            bearable = time.monotonic() - self._away_since < _ABSENCE
        else:
            self._count += 1
            bearable = self._count < _LOSSES
        if bearable and self._target.can_reconnect:
            return
        if self._first.message == loss.message:
            raise loss
        raise ConnectionLostError(f"{loss.message}; at first {self._first.message}", hint=loss.hint) from loss
