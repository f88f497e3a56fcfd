"""Who hears of a call's events: its watcher, and the log."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # most starts tell nobody anything
    from kimbledb.events import Event, Watcher
    from kimbledb.model.migration import Migration

logger = logging.getLogger("kimbledb")
# An application that configures nothing sees nothing (logging's documentation, "Configuring Logging for a Library").
logger.addHandler(logging.NullHandler())

#: Database and schema of the call that is under way, for the log.
_CALL: ContextVar[tuple[str | None, str | None]] = ContextVar("kimbledb call", default=(None, None))


def anybody(watcher: Watcher | None) -> bool:
    """Whether anybody would hear of an event: if not, it need not be made."""
    return watcher is not None or logger.isEnabledFor(logging.INFO)


def tell(watcher: Watcher | None, event: Event) -> None:
    """Log an event and tell a watcher; its fault is logged and stays its own."""
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
    except Exception:  # noqa: BLE001 - whatever a caller's callable raises must not stop a migration
        log(logging.WARNING, "the progress callable failed on %s", type(event).__name__, exc_info=True)


def log(
    level: int,
    text: str,
    *values: object,
    migration: Migration | None = None,
    seconds: float | None = None,
    exc_info: bool = False,
) -> None:
    """Log a record. Every record of ours has the same fields, whichever call it is of."""
    if logger.isEnabledFor(level):
        database, schema = _CALL.get()
        fields = {
            "database": database,
            "schema": schema,
            "migration": migration.name if migration is not None else None,
            "seconds": seconds,
        }
        logger.log(level, text, *values, extra=fields, exc_info=exc_info)


@contextmanager
def call(watcher: Watcher | None = None) -> Iterator[Callable[[str, str | None], object]]:
    """Tell if a call ends with an error; give the function that says, for the log, on which database and schema it works."""
    before = _CALL.set((None, None))
    try:
        yield lambda database, schema: _CALL.set((database, schema))
    except BaseException as error:
        # A cancellation is an end, too, which whoever watches is to hear of.
        from kimbledb.events import Stopped

        tell(watcher, Stopped(error))
        raise
    finally:
        _CALL.reset(before)
