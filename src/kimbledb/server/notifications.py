"""Notifications of a call's events: to its progress callable, and to the log."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # most starts make no event
    from kimbledb.events import Event, Watcher
    from kimbledb.model.migration import Migration

logger = logging.getLogger("kimbledb")
# An application that configures no logging sees no record (logging's documentation, "Configuring Logging for a Library").
logger.addHandler(logging.NullHandler())

#: Database and schema of the current call, for the log.
_LOG_CONTEXT: ContextVar[tuple[str | None, str | None]] = ContextVar("kimbledb call", default=(None, None))


def has_listener(watcher: Watcher | None) -> bool:
    """Whether an event would reach a progress callable or the log. If not, the event need not be made."""
    return watcher is not None or logger.isEnabledFor(logging.INFO)


def notify(watcher: Watcher | None, event: Event) -> None:
    """Log an event and pass it to a progress callable.

    An exception of the callable is logged, and the call goes on.

    Args:
        watcher: The progress callable, or None.
        event: The event.
    """
    if event.level is not None:
        log(
            event.level,
            "%s",
            event,
            migration=getattr(event, "migration", None),
            seconds=getattr(event, "seconds", None),
        )
    if watcher is None:
        return
    try:
        watcher(event)
    except Exception:  # noqa: BLE001 - an exception of a caller's callable must not stop a migration
        log(logging.WARNING, "the progress callable failed on %s", type(event).__name__, exc_info=True)


def log(
    level: int,
    text: str,
    *values: object,
    migration: Migration | None = None,
    seconds: float | None = None,
    exc_info: bool = False,
) -> None:
    """Log a record. Every record has the same extra fields: database, schema, migration and seconds.

    Args:
        level: The level, as in ``logging``.
        text: The message, with ``%`` placeholders.
        values: The values of the placeholders.
        migration: The migration that the record is about.
        seconds: The duration that the record is about.
        exc_info: Whether to append the traceback of the current exception.
    """
    if logger.isEnabledFor(level):
        database, schema = _LOG_CONTEXT.get()
        fields = {
            "database": database,
            "schema": schema,
            "migration": migration.name if migration is not None else None,
            "seconds": seconds,
        }
        logger.log(level, text, *values, extra=fields, exc_info=exc_info)


@contextmanager
def call_scope(watcher: Watcher | None = None) -> Iterator[Callable[[str, str | None], object]]:
    """Open the scope of one public call.

    An error that ends the call is notified as ``Stopped``.

    Args:
        watcher: The progress callable, or None.

    Yields:
        The function that sets, for the log, the database and the schema of the call.
    """
    before = _LOG_CONTEXT.set((None, None))
    try:
        yield lambda database, schema: _LOG_CONTEXT.set((database, schema))
    except BaseException as error:
        # A cancellation ends the call, too, and the progress callable is notified of it.
        from kimbledb.events import Stopped  # only where a call fails: 3 ms

        notify(watcher, Stopped(error))
        raise
    finally:
        _LOG_CONTEXT.reset(before)
