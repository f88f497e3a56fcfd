"""Calls of one process that are about the same schema.

The lock on the server decides who works; a call that does not get it looks again
and again, each time by a connection of its own. Where the holder is a call of
the same event loop that is not needed: its end wakes the others. It is a
courtesy and no lock: nothing goes wrong where it is not had.
"""

from __future__ import annotations

import asyncio
from weakref import WeakKeyDictionary

from kimbledb.errors import ConfigurationError

#: Those that are at work, by event loop and by database and schema.
_AT_WORK: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[tuple[str, str], asyncio.Future[None]]] = (
    WeakKeyDictionary()
)


class Turn:
    """A call's turn to work on a schema."""

    def __init__(self, database: str, schema: str) -> None:
        """Name what it is about: host, port and name of the database, and the schema."""
        self._key = (database, schema)
        self._own: asyncio.Future[None] | None = None

    @property
    def before(self) -> asyncio.Future[None] | None:
        """What is done when the call ends whose turn it is now; None if it is nobody else's."""
        found = _calls(running_loop()).get(self._key)
        return None if found is self._own else found

    def take(self) -> None:
        """Be the one that works, if nobody is."""
        loop = running_loop()
        self._own = self._own or loop.create_future()
        _calls(loop).setdefault(self._key, self._own)

    def end(self) -> None:
        """Let the others look."""
        if self._own is None:
            return
        loop = self._own.get_loop()  # which may not run any more
        calls = _calls(loop)
        if calls.get(self._key) is self._own:
            del calls[self._key]
            if not loop.is_closed():
                self._own.set_result(None)


def running_loop() -> asyncio.AbstractEventLoop:
    """Return the event loop of the call.

    Raises:
        ConfigurationError: None of asyncio is running, as under trio.
    """
    try:
        return asyncio.get_running_loop()
    except RuntimeError as error:
        raise ConfigurationError(
            "kimbledb needs asyncio, and no event loop of it is running",
            hint="call it by asyncio.run(...); under trio in a thread: "
            "await trio.to_thread.run_sync(lambda: asyncio.run(kimbledb.migrate(dsn)))",
        ) from error


def _calls(loop: asyncio.AbstractEventLoop) -> dict[tuple[str, str], asyncio.Future[None]]:
    return _AT_WORK.setdefault(loop, {})
