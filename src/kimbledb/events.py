"""What happens during a call, as values for whoever watches it.

``progress`` of :func:`kimbledb.migrate` and its like is any callable that
takes one of these; ``progress=print`` shows a line for each. What it raises is
logged and breaks nothing.

Each event is logged, too, by the logger ``kimbledb``, whether anybody watches or
not. Every record of every function has the fields ``database`` (host, port and name),
``schema``, ``migration`` and ``seconds`` (``extra``), None where there is nothing to say. No
handler is added but one that does nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import ClassVar

from attrs import frozen

from kimbledb.model.migration import Migration
from kimbledb.model.plan import Plan
from kimbledb.model.presentation import Report
from kimbledb.model.text import counted, one_line


@frozen
class Event:
    """The root of all events."""

    #: How loud it is in the log, or None where what it tells of is logged by itself.
    level: ClassVar[int | None] = logging.DEBUG


@frozen
class Planned(Event):
    """The plan is made; ``plan.pending`` is what will be applied."""

    level = logging.INFO

    plan: Plan

    def __str__(self) -> str:
        return self.plan.summary


@frozen
class Waiting(Event):
    """Another run or the application holds a lock, or the server takes no connection now."""

    level = logging.INFO

    #: Who is in the way, as far as the server tells, or why there is no connection.
    blockers: tuple[str, ...]
    #: Seconds until the next try, at the latest.
    seconds: float

    def __str__(self) -> str:
        return f"waiting {self.seconds:.1f} s" + _by(self.blockers)


@frozen
class Blocked(Event):
    """What was sent waits on the server for a lock, or for an older transaction to end."""

    level = logging.WARNING

    #: Who is in the way, as far as the server tells.
    blockers: tuple[str, ...]
    #: Seconds since it was sent.
    seconds: float

    def __str__(self) -> str:
        return f"blocked for {self.seconds:.1f} s" + _by(self.blockers)


@frozen
class Applying(Event):
    """A migration was sent."""

    migration: Migration
    #: Its place in this run, from 1.
    place: int
    #: How many this run has to apply.
    total: int

    def __str__(self) -> str:
        return f"applying {self.migration.name} ({self.place} of {self.total})"


@frozen
class Applied(Event):
    """A migration is committed and recorded."""

    level = logging.INFO

    migration: Migration
    seconds: float
    #: How many of its checks passed.
    checks: int

    def __str__(self) -> str:
        passed = f", {counted(range(self.checks), 'check')} passed" if self.checks else ""
        return f"applied {self.migration.name} in {self.seconds:.3f} s{passed}"


@frozen
class Failed(Event):
    """A migration was rolled back."""

    level = logging.ERROR

    migration: Migration
    message: str

    def __str__(self) -> str:
        return one_line(f"{self.migration.name} failed and was rolled back: {self.message}")


@frozen
class Statement(Event):
    """A statement of a step outside of transactions was sent."""

    migration: Migration
    #: Its place in the migration, from 1.
    place: int
    total: int
    #: The first words of it.
    text: str

    def __str__(self) -> str:
        return one_line(f"{self.migration.name}: statement {self.place} of {self.total}: {self.text}")


@frozen
class Building(Event):
    """The server builds an index (manual, 27.4.4 "CREATE INDEX Progress Reporting")."""

    migration: Migration
    index: str
    #: As the server calls it, such as ``building index: scanning table``.
    phase: str
    #: How much of the phase is done, or None where the server does not say.
    percent: float | None

    def __str__(self) -> str:
        done = "" if self.percent is None else f", {self.percent:.0f} %"
        return one_line(f"{self.migration.name}: index {self.index}: {self.phase}{done}")


@frozen
class Verifying(Event):
    """Checks are being made: a migration's, or with None those of all that is applied."""

    migration: Migration | None = None

    def __str__(self) -> str:
        return "verifying" + (f" {self.migration.name}" if self.migration else "")


@frozen
class RollingBack(Event):
    """A migration is being taken back."""

    migration: Migration
    place: int
    total: int

    def __str__(self) -> str:
        return f"rolling back {self.migration.name} ({self.place} of {self.total})"


@frozen
class RolledBack(Event):
    """A migration is taken back, and its history row is gone."""

    level = logging.INFO

    migration: Migration
    seconds: float

    def __str__(self) -> str:
        return f"rolled back {self.migration.name} in {self.seconds:.3f} s"


@frozen
class Done(Event):
    """The call is at its end: the last event of one that returns."""

    seconds: float
    #: What the call returns, where the event is told with it.
    report: Report | None = None

    def __str__(self) -> str:
        return f"done in {self.seconds:.3f} s"


@frozen
class Stopped(Event):
    """The call ends with an error: the last event of one that raises."""

    #: As it is raised.
    error: BaseException

    def __str__(self) -> str:
        return one_line(f"stopped: {str(self.error).partition(chr(10))[0] or type(self.error).__name__}")


@frozen
class OneOfMany(Event):
    """Something happened to one of many schemas; the last for each is its :class:`Done` or :class:`Stopped`."""

    level = None

    #: The database: host, port and name, never a password.
    target: str
    schema: str
    event: Event
    #: How many of the schemas are at their end, whether it is a good one or not.
    done: int
    total: int

    def __str__(self) -> str:
        return one_line(f"[{self.done}/{self.total}] {self.target} {self.schema}: {self.event}")


#: What `progress` is.
Watcher = Callable[[Event], object]


def _by(blockers: tuple[str, ...]) -> str:
    return one_line(f": {'; '.join(blockers)}") if blockers else ""


class Progress:
    """The events of a call, to be read while it runs.

    ::

        progress = kimbledb.Progress()
        run = asyncio.create_task(kimbledb.migrate(dsn, progress=progress))
        async for event in progress:
            print(event)
        report = await run

    The iteration begins with the first event, whenever it is begun, and ends with
    the call, also with one that fails: the error is raised where the call is
    awaited. It may be done by several at once. Nobody waits for those who read.
    A Progress that is given to another call begins anew.
    """

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._waiting: list[asyncio.Future[None]] = []

    def __call__(self, event: Event) -> None:
        """Take an event."""
        if self._events and _is_last(self._events[-1]):
            self._events = []
        self._events.append(event)
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            with suppress(RuntimeError):  # who waited is gone, and the loop with it
                each.get_loop().call_soon_threadsafe(_wake, each)

    async def __aiter__(self) -> AsyncIterator[Event]:
        """Give the events, those that happened already first."""
        events, place = self._events, 0
        while True:
            if place < len(events):
                event = events[place]
                place += 1
                yield event
                if _is_last(event):
                    return
            else:
                change = asyncio.get_running_loop().create_future()
                self._waiting.append(change)
                await change


def _is_last(event: Event) -> bool:
    return isinstance(event, Done | Stopped)


def _wake(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)
