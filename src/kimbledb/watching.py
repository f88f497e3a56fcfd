"""Who hears of a call's events: its watcher, and the log."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # most starts tell nobody anything
    from kimbledb.events import Event, Watcher

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
    _log(event)
    if watcher is None:
        return
    try:
        watcher(event)
    except Exception:  # whatever a caller's callable raises must not stop a migration
        logger.warning("the progress callable failed on %s", type(event).__name__, exc_info=True)


@contextmanager
def call(watcher: Watcher | None) -> Iterator[Callable[[str, str], object]]:
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


def _log(event: Event) -> None:
    if event.level is not None and logger.isEnabledFor(event.level):
        database, schema = _CALL.get()
        migration = getattr(event, "migration", None)
        fields = {
            "database": database,
            "schema": schema,
            "migration": migration.name if migration is not None else None,
            "seconds": getattr(event, "seconds", None),
        }
        logger.log(event.level, "%s", event, extra=fields)
