"""Notifications of a call's events: to its progress callable, to the log, and to the observers of all calls."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from kimbledb.model.clock import stopwatch

if TYPE_CHECKING:  # most starts make no event
    from kimbledb.events import Event, Watcher
    from kimbledb.model.migration import Migration
    from kimbledb.model.presentation import Report

T = TypeVar("T", bound="Report | None")

logger = logging.getLogger("kimbledb")
# An application that configures no logging sees no record (logging's documentation, "Configuring Logging for a Library").
logger.addHandler(logging.NullHandler())


class Call:
    """A call of a public function, as the log and the observers know it."""

    def __init__(self, operation: str) -> None:
        """Begin a call.

        Args:
            operation: The name of the function.
        """
        self.operation = operation
        #: Host, port and name of the database, and the schema; None as long as they are unknown, or where there is none.
        self.database: str | None = None
        self.schema: str | None = None
        #: The begin: nanoseconds since 1970, and a function that gives the seconds since.
        self.began = time.time_ns()
        self.clock = stopwatch()
        #: The observers of this call: each with its context manager.
        self._observers: list[tuple[AbstractContextManager[Watcher], Watcher]] = []
        self._is_open = False

    def about(self, database: str, schema: str | None) -> None:
        """Note the target of the call, for the log and the observers.

        Args:
            database: Host, port and name of the database, never a password.
            schema: The name of the target schema, or None if the call is about the whole database.
        """
        self.database, self.schema = database, schema
        self.open()

    def done(self, report: T) -> T:
        """Notify the log and the observers that the call is done, and return its report."""
        if self.is_observed or logger.isEnabledFor(logging.DEBUG):
            from kimbledb.events import Done  # only where somebody listens: 3 ms

            notify(None, Done(self.clock(), report))
        return report

    @property
    def is_observed(self) -> bool:
        """Whether an observer takes the events of this call."""
        return bool(self._observers)

    def open(self) -> None:
        """Show the call to the observers, if that is not done yet."""
        if self._is_open:
            return
        self._is_open = True
        for observer in _OBSERVERS:
            with _unharmed("observer_failed", "an observer failed at the begin of a call"):
                manager = observer(self)
                self._observers.append((manager, manager.__enter__()))

    def observed(self, event: Event) -> None:
        """Pass an event to the observers."""
        for _, watcher in self._observers:
            with _unharmed("observer_failed", "an observer failed on %s", event.name):
                watcher(event)

    def close(self, error: BaseException | None = None) -> None:
        """End the observation.

        Args:
            error: The error that ends the call, or None.
        """
        while self._observers:
            manager, _ = self._observers.pop()
            with _unharmed("observer_failed", "an observer failed at the end of a call"):
                manager.__exit__(type(error) if error is not None else None, error, None)


#: Called with each call when its target is known, or when it fails before. The context manager is left when the call
#: ends, with its error; what it yields is called with each event. What an observer raises stops nothing.
Observer: TypeAlias = "Callable[[Call], AbstractContextManager[Watcher]]"
#: The observers of all calls of this process.
_OBSERVERS: list[Observer] = []
#: The current call.
_CALL: ContextVar[Call | None] = ContextVar("kimbledb call", default=None)


def observe(observer: Observer) -> None:
    """Have an observer see every call of this process that begins from now on."""
    _OBSERVERS.append(observer)


def stop_observing(observer: Observer) -> None:
    """Have an observer see no further call."""
    _OBSERVERS.remove(observer)


def has_listener(watcher: Watcher | None) -> bool:
    """Whether an event would reach a progress callable, the log or an observer. If not, the event need not be made."""
    call = _CALL.get()
    return watcher is not None or logger.isEnabledFor(logging.INFO) or (call is not None and call.is_observed)


def notify(watcher: Watcher | None, event: Event) -> None:
    """Log an event, and pass it to the observers of the current call and to a progress callable.

    An exception of the callable is logged, and the call goes on.

    Args:
        watcher: The progress callable, or None.
        event: The event.
    """
    if event.level is not None:
        log(
            event.level,
            event.name,
            "%s",
            event,
            migration=getattr(event, "migration", None),
            seconds=getattr(event, "seconds", None),
            outcome=event.outcome,
            error_type=event.error_type,
            sqlstate=getattr(event, "sqlstate", None),
        )
        call = _CALL.get()
        if call is not None:
            call.observed(event)
    if watcher is not None:
        with _unharmed("progress_failed", "the progress callable failed on %s", type(event).__name__):
            watcher(event)


def log(
    level: int,
    event_name: str,
    text: str,
    *values: object,
    migration: Migration | None = None,
    seconds: float | None = None,
    outcome: str | None = None,
    error_type: str | None = None,
    sqlstate: str | None = None,
    exc_info: bool = False,
) -> None:
    """Log a record. Every record has the same extra fields, as ``kimbledb.events`` lists them.

    Args:
        level: The level, as in ``logging``.
        event_name: The name of what happened, for programs.
        text: The message, with ``%`` placeholders.
        values: The values of the placeholders.
        migration: The migration that the record is about.
        seconds: The duration that the record is about.
        outcome: The outcome of a migration or a call.
        error_type: The class of a failure.
        sqlstate: PostgreSQL's error code.
        exc_info: Whether to append the traceback of the current exception.
    """
    if logger.isEnabledFor(level):
        call = _CALL.get()
        fields = {
            "event_name": event_name,
            "operation": call and call.operation,
            "database": call and call.database,
            "schema": call and call.schema,
            "migration": migration.name if migration is not None else None,
            "seconds": seconds,
            "outcome": outcome,
            "error_type": error_type,
            "sqlstate": sqlstate,
        }
        logger.log(level, text, *values, extra=fields, exc_info=exc_info)


@contextmanager
def call_scope(operation: str, watcher: Watcher | None = None) -> Iterator[Call]:
    """Open the scope of one public call.

    An error that ends the call is notified as ``Stopped``.

    Args:
        operation: The name of the function.
        watcher: The progress callable, or None.

    Yields:
        The call; ``about()`` is to be called with its target.
    """
    call = Call(operation)
    before = _CALL.set(call)
    try:
        yield call
    except BaseException as error:
        # A cancellation ends the call, too, and the progress callable is notified of it.
        from kimbledb.events import Stopped  # only where a call fails: 3 ms

        call.open()  # an error of the target itself
        notify(watcher, Stopped(error))
        call.close(error)
        raise
    else:
        call.close()
    finally:
        _CALL.reset(before)


@contextmanager
def _unharmed(event_name: str, text: str, *values: object) -> Iterator[None]:
    """Log an exception of somebody else's code: it must not stop a migration."""
    try:
        yield
    except Exception:  # noqa: BLE001 - as said above
        log(logging.WARNING, event_name, text, *values, exc_info=True)
