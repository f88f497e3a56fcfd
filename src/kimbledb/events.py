"""The events of a call, each a value with its text for the log and for ``progress``.

``progress`` of ``kimbledb.migrate()`` and of the other calls is a callable that takes one event;
``progress=print`` prints a line for each. An exception of this callable is logged and stops nothing.

A call of migrate() sends ``planned``; for each migration ``applying``, then ``applied`` or ``failed``; and at its end
``done`` or ``stopped``. ``waiting`` and ``blocked`` come between where another session is in the way, ``statement`` and
``building`` where a statement runs outside of a transaction. A rollback sends ``rolling_back`` and ``rolled_back`` in
place of ``applying`` and ``applied``.

The logger ``kimbledb`` logs each event, too, with or without ``progress``. Every log record of every function has
these fields (``extra``); a field is None if the record has no value for it:

- ``event_name``: the name of the event, such as ``applied``, or of a warning; never None
- ``operation``: the function that was called, such as ``migrate``; None if a helper such as ``Executor`` was used by itself
- ``database``: host, port and name; None if the target is not known yet, or there are several
- ``schema``: the target schema; None if the call is about a whole database
- ``migration``: the name of the migration; None if the record is about no single one
- ``seconds``: the duration, in seconds; None if nothing has ended
- ``outcome``: ``ok``, ``not_ok``, ``failed`` or ``cancelled``; None if no migration and no call has ended. ``not_ok`` is
  a call that returned a report which is not ok: a verification with failed checks, or several schemas of which one failed
- ``error_type``: PostgreSQL's error code, or else the name of the error's class; None if nothing failed
- ``sqlstate``: PostgreSQL's error code; None if the error does not come from the server

The package adds no log handler except a ``NullHandler``.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, ClassVar, Final

from attrs import frozen

from kimbledb.model.migration import Migration
from kimbledb.model.plan import Plan
from kimbledb.model.presentation import Report
from kimbledb.model.text import counted, one_line

if TYPE_CHECKING:
    from kimbledb.model.catalog_report import CatalogCase

#: The names of the log records that are no events (``event_name``), each with its meaning.
WARNINGS: Final = {
    "newer_server": "The server is of a newer version than those on which this kimbledb was tested.",
    "parameter_ignored": "The DSN has a parameter that has no effect here; logged once a process for each.",
    "forms_not_renewed": "The server's forms of expressions could not be renewed, so that some comparisons are left out.",
    "progress_failed": "The ``progress`` callable raised an exception, which stopped nothing.",
    "observer_failed": "An observer, such as ``kimbledb.otel``, raised an exception, which stopped nothing.",
}


@frozen
class Event:
    """The base of all events. ``str(event)`` is one line for a person."""

    #: The name of the event in the log, in traces and in metrics.
    name: ClassVar[str] = "event"
    #: The level of the event in the log, or None if the inner event is logged on its own.
    level: ClassVar[int | None] = logging.DEBUG

    @property
    def outcome(self) -> str | None:
        """``ok``, ``not_ok``, ``failed`` or ``cancelled`` if the event ends a migration or a call; None otherwise."""
        return None

    @property
    def error_type(self) -> str | None:
        """PostgreSQL's error code, or else the name of the error's class; None if the event is no failure."""
        return None


@frozen
class Planned(Event):
    """The plan is made, and the run begins."""

    name = "planned"
    level = logging.INFO

    #: The plan; ``plan.pending`` holds the steps that the run will apply.
    plan: Plan

    def __str__(self) -> str:
        return self.plan.summary


@frozen
class Waiting(Event):
    """The call waits before its next attempt: for a lock, for a connection, or for another run."""

    name = "waiting"
    level = logging.INFO

    #: The sessions that hold the lock, as far as the server shows them; or the reason why there is no connection; or
    #: the migrations that another run is to apply.
    blockers: tuple[str, ...]
    #: The longest time until the next attempt, in seconds.
    seconds: float

    def __str__(self) -> str:
        return one_line(f"waiting {self.seconds:.1f} s{_listed(': ', self.blockers)}")


@frozen
class Blocked(Event):
    """A statement waits on the server for a lock, or for the end of an older transaction."""

    name = "blocked"
    level = logging.WARNING

    #: The sessions that block the statement, as far as the server shows them.
    blockers: tuple[str, ...]
    #: The time since the statement was sent, in seconds.
    seconds: float

    def __str__(self) -> str:
        return one_line(f"blocked for {self.seconds:.1f} s{_listed(' by ', self.blockers)}")


@frozen
class Applying(Event):
    """The server begins a migration, as far as is known: it was sent, and the one before it is committed."""

    name = "applying"

    #: The migration.
    migration: Migration
    #: The place of the migration in this run, counted from 1.
    place: int
    #: The number of migrations that this run applies.
    total: int

    def __str__(self) -> str:
        return f"applying {self.migration.name} ({self.place} of {self.total})"


@frozen
class Applied(Event):
    """A migration is committed and recorded."""

    name = "applied"
    level = logging.INFO

    #: The migration.
    migration: Migration
    #: The duration of the migration in seconds, with the time that it waited.
    seconds: float
    #: The number of its checks that passed.
    checks: int

    @property
    def outcome(self) -> str:
        """``ok``."""
        return "ok"

    def __str__(self) -> str:
        passed = f", {counted(range(self.checks), 'check')} passed" if self.checks else ""
        return f"applied {self.migration.name} in {self.seconds:.3f} s{passed}"


@frozen
class Failed(Event):
    """A migration failed, and its transaction was rolled back."""

    name = "failed"
    level = logging.ERROR

    #: The migration.
    migration: Migration
    #: The error, as text.
    message: str
    #: The name of the class of the error that the call raises.
    error: str | None = None
    #: PostgreSQL's error code (manual, appendix A), or None if the error does not come from the server.
    sqlstate: str | None = None

    @property
    def outcome(self) -> str:
        """``failed``."""
        return "failed"

    @property
    def error_type(self) -> str | None:
        """PostgreSQL's error code, or else the name of the error's class."""
        return self.sqlstate or self.error

    def __str__(self) -> str:
        return one_line(f"{self.migration.name} failed and was rolled back: {self.message}")


@frozen
class Statement(Event):
    """A statement that runs outside of a transaction was sent to the server."""

    name = "statement"

    #: The migration of the statement.
    migration: Migration
    #: The place of the statement in the migration, counted from 1.
    place: int
    #: The number of statements in the migration.
    total: int
    #: The first words of the statement.
    text: str

    def __str__(self) -> str:
        return one_line(f"{self.migration.name}: statement {self.place} of {self.total}: {self.text}")


@frozen
class Building(Event):
    """The server builds an index (manual, 27.4.4 "CREATE INDEX Progress Reporting")."""

    name = "building"

    #: The migration that creates the index.
    migration: Migration
    #: The name of the index.
    index: str
    #: The phase in the server's words, such as ``building index: scanning table``.
    phase: str
    #: The completed part of the phase in percent, or None if the server does not report it.
    percent: float | None

    def __str__(self) -> str:
        done = "" if self.percent is None else f", {self.percent:.0f} %"
        return one_line(f"{self.migration.name}: index {self.index}: {self.phase}{done}")


@frozen
class Verifying(Event):
    """Checks begin."""

    name = "verifying"

    #: The migration whose checks begin, or None for the checks of all applied migrations.
    migration: Migration | None = None

    def __str__(self) -> str:
        return "verifying" + (f" {self.migration.name}" if self.migration else "")


@frozen
class RollingBack(Event):
    """The rollback of a migration begins."""

    name = "rolling_back"

    #: The migration.
    migration: Migration
    #: The place of the migration in this run, counted from 1.
    place: int
    #: The number of migrations that this run rolls back.
    total: int

    def __str__(self) -> str:
        return f"rolling back {self.migration.name} ({self.place} of {self.total})"


@frozen
class RolledBack(Event):
    """A migration is rolled back, and its history row is deleted."""

    name = "rolled_back"
    level = logging.INFO

    #: The migration.
    migration: Migration
    #: The duration of the rollback in seconds.
    seconds: float

    @property
    def outcome(self) -> str:
        """``ok``."""
        return "ok"

    def __str__(self) -> str:
        return f"rolled back {self.migration.name} in {self.seconds:.3f} s"


@frozen
class Done(Event):
    """The last event of a call that returns."""

    name = "done"

    #: The duration of the call in seconds.
    seconds: float
    #: The result of the call, or None if the event was sent before the result was made.
    report: Report | None = None

    @property
    def outcome(self) -> str:
        """``ok``, or ``not_ok`` if the report says so: checks failed, or a schema of several did."""
        return "ok" if getattr(self.report, "ok", True) else "not_ok"

    def __str__(self) -> str:
        return f"done in {self.seconds:.3f} s"


@frozen
class Stopped(Event):
    """The last event of a call that raises an error."""

    name = "stopped"

    #: The error that the call raises.
    error: BaseException

    @property
    def outcome(self) -> str:
        """``failed``, or ``cancelled`` if the task was cancelled or the program interrupted."""
        return "failed" if isinstance(self.error, Exception) else "cancelled"

    @property
    def sqlstate(self) -> str | None:
        """PostgreSQL's error code, or None if the error does not come from the server."""
        found = getattr(self.error, "sqlstate", None)
        return found if isinstance(found, str) else None

    @property
    def error_type(self) -> str:
        """PostgreSQL's error code, or else the name of the error's class."""
        return self.sqlstate or type(self.error).__name__

    def __str__(self) -> str:
        return one_line(f"stopped: {str(self.error).partition(chr(10))[0] or type(self.error).__name__}")


@frozen
class OneOfMany(Event):
    """An event of one schema in a call for many. The last one for each schema holds ``Done`` or ``Stopped``."""

    name = "one_of_many"
    level = None

    #: The database: host, port and name, never a password.
    target: str
    #: The name of the schema.
    schema: str
    #: The event of the schema.
    event: Event
    #: The number of finished schemas, failed ones included.
    done: int
    #: The number of all schemas, or None as long as it is not known: the targets come from an iterable without a length.
    total: int | None

    def __str__(self) -> str:
        total = "" if self.total is None else f"/{self.total}"
        return one_line(f"[{self.done}{total}] {self.target} {self.schema}: {self.event}")


@frozen
class Proved(Event):
    """One thing of one migration was tried by prove()."""

    name = "proved"

    #: The trial, with its outcome.
    case: CatalogCase

    def __str__(self) -> str:
        end = "" if self.case.message or self.case.skipped else ": held"
        return f"{self.case}{end}".partition("\n")[0]


#: The type of ``progress``: a callable that takes one event.
Watcher = Callable[[Event], object]


class Progress:
    """A ``progress`` callable that gives the events of a call to readers while the call runs.

    ::

        progress = kimbledb.Progress()
        run = asyncio.create_task(kimbledb.migrate(dsn, progress=progress))
        async for event in progress:
            print(event)
        report = await run

    An iteration always begins with the first event of the call, and ends with the call. It also ends with a call
    that fails: the error is raised where the call is awaited. Several readers may iterate at the same time. The
    call never waits for a reader. A Progress that is passed to another call forgets the events of the first call.
    """

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._waiting: list[asyncio.Future[None]] = []

    def __call__(self, event: Event) -> None:
        """Take an event, and wake the readers.

        Args:
            event: The event.
        """
        if self._events and _is_last(self._events[-1]):
            self._events = []
        self._events.append(event)
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            with suppress(RuntimeError):  # the reader's loop is closed
                each.get_loop().call_soon_threadsafe(_wake, each)

    async def __aiter__(self) -> AsyncIterator[Event]:
        """Yield the events from the first one on, and wait for each further one."""
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


def _listed(head: str, blockers: tuple[str, ...]) -> str:
    return f"{head}{'; '.join(blockers)}" if blockers else ""
