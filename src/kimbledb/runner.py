"""Trying until it is done: the deadline, the waiting, and the reconnecting of every call that writes.

A piece of work is a function of a session. It raises :class:`Again` when the
world was not as it needs it; then the connection is given back, some time
passes, and the work begins anew by looking at the database. Nothing is
remembered across sessions but what the database itself would say.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from kimbledb.errors import ConnectionLostError, DeadlineExceededError, LockUnavailableError
from kimbledb.events import Waiting, Watcher, tell
from kimbledb.options import Options
from kimbledb.session import Session
from kimbledb.targets import Target

T = TypeVar("T")

#: Seconds between two looks at a lock that another run holds: short, since the
#: holder may be a quick one, and longer with each look, since it may be many.
_FIRST_WAIT, _LONGEST_WAIT = 0.05, 1.0
#: How often a lost connection is made anew before nothing has been achieved.
_RECONNECTIONS = 5


class Again(Exception):
    """The work cannot go on now, and is worth beginning anew.

    Attributes:
        blockers: Who is in the way, as far as the server tells.
        contended: The lock timeout or a deadlock ended a try: the number of
            such tries is bounded. Otherwise only the deadline is a bound.
        patient: False to begin anew at once.
    """

    def __init__(self, *, blockers: Sequence[str] = (), contended: str | None = None, patient: bool = True) -> None:
        super().__init__()
        self.blockers = tuple(blockers)
        self.contended = contended
        self.patient = patient


class Runner:
    """Runs work on a target within the options' limits."""

    def __init__(self, target: Target, options: Options, progress: Watcher | None = None) -> None:
        self.target = target
        self.options = options
        self.progress = progress
        #: What is being done now, for the message when the time is up.
        self.doing = "connecting"
        self._blockers: tuple[str, ...] = ()
        self._achieved = 0

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
        """
        try:
            async with asyncio.timeout(self.options.deadline):
                return await self._until_done(work)
        except TimeoutError as error:
            raise DeadlineExceededError(self.options.deadline, doing=self.doing, blockers=self._blockers) from error

    async def _until_done(self, work: Callable[[Session], Awaitable[T]]) -> T:
        contended = lost = waited = 0
        achieved = self._achieved
        while True:
            if self._achieved != achieved:
                achieved, contended, lost, waited = self._achieved, 0, 0, 0
            try:
                async with self.target.session(self.options) as session:
                    return await work(session)
            except Again as again:
                if not again.patient:
                    continue
                self._blockers = again.blockers or self._blockers
                if again.contended is not None:
                    contended += 1
                    if contended >= self.options.attempts:
                        raise LockUnavailableError(
                            f"{self.doing}: {contended} tries ended with: {again.contended}",
                            blockers=self._blockers,
                            hint="look who holds the lock (SELECT * FROM pg_stat_activity), and run again when it is quieter; "
                            "Options(lock_timeout=..., attempts=...) is more patient",
                        ) from again.__cause__
                waited += 1
            except ConnectionLostError:
                lost += 1
                waited += 1
                if not self.target.can_reconnect or lost >= _RECONNECTIONS:
                    raise
            await self._wait(waited)

    async def _wait(self, waited: int) -> None:
        longest = min(_LONGEST_WAIT, _FIRST_WAIT * 2 ** min(waited, 10))
        seconds = random.uniform(longest / 2, longest)
        tell(self.progress, Waiting(self._blockers, seconds))
        await asyncio.sleep(seconds)


def describe_holders(holders: Sequence[dict[str, Any]]) -> list[str]:
    """Return for each holder of a lock one line: process id, application, state, age."""
    return [
        f"pid {holder.get('pid')}, {holder.get('application') or 'no application name'}, "
        f"{holder.get('state') or 'state not visible'}, transaction open for {holder.get('seconds') or '?'} s"
        for holder in holders
    ]


def stopwatch() -> Callable[[], float]:
    """Start a monotonic clock; calling what is returned gives the seconds since."""
    start = time.monotonic()
    return lambda: time.monotonic() - start
