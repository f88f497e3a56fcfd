"""A lock among the calls of one process on the same schema.

The advisory lock on the server decides which call works. A call that does not get that lock polls it, and opens a
connection for each poll. Where the holder is a call of the same event loop, polling is not needed: the end of the
holder wakes the waiting calls. This lock saves connections and protects nothing: without it the result is the same.
"""

from __future__ import annotations

import asyncio
from weakref import WeakKeyDictionary

from kimbledb.errors import ConfigurationError

#: The holders, by event loop and by database and schema. A holder's future resolves when its call ends.
_HOLDERS: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[tuple[str, str], asyncio.Future[None]]] = (
    WeakKeyDictionary()
)


class InProcessLock:
    """The lock of one call on a schema, among the calls of its event loop."""

    def __init__(self, database: str, schema: str) -> None:
        """Name the schema.

        Args:
            database: Host, port and name of the database.
            schema: The target schema.
        """
        self._key = (database, schema)
        self._own: asyncio.Future[None] | None = None

    @property
    def holder(self) -> asyncio.Future[None] | None:
        """A future that resolves when the current holder's call ends, or None if no other call holds the lock."""
        found = _holders(running_loop()).get(self._key)
        return None if found is self._own else found

    def acquire(self) -> None:
        """Claim the schema for this call unless another call holds it."""
        loop = running_loop()
        self._own = self._own or loop.create_future()
        _holders(loop).setdefault(self._key, self._own)

    def release(self) -> None:
        """Give the lock up, if this call holds it, and wake the waiting calls."""
        if self._own is None:
            return
        loop = self._own.get_loop()  # which may not run any more
        holders = _holders(loop)
        if holders.get(self._key) is self._own:
            del holders[self._key]
            if not loop.is_closed():
                self._own.set_result(None)


def running_loop() -> asyncio.AbstractEventLoop:
    """Return the event loop of the call.

    Raises:
        ConfigurationError: No event loop of asyncio runs, as under trio.
    """
    try:
        return asyncio.get_running_loop()
    except RuntimeError as error:
        raise ConfigurationError(
            "kimbledb needs asyncio, and no asyncio event loop is running",
            hint="call it by asyncio.run(...); under trio in a thread: "
            "await trio.to_thread.run_sync(lambda: asyncio.run(kimbledb.migrate(dsn)))",
        ) from error


def _holders(loop: asyncio.AbstractEventLoop) -> dict[tuple[str, str], asyncio.Future[None]]:
    return _HOLDERS.setdefault(loop, {})
