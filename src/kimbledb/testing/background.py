"""For callers that are not asynchronous: an event loop in a thread, and what lives in it while tests run."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Coroutine
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any, TypeVar

from kimbledb._embedded import embedded
from kimbledb.catalog.catalog import Catalog
from kimbledb.testing.databases import Databases

Result = TypeVar("Result")


class Background:
    """An event loop in a thread of its own; what is entered in it is left when it is stopped.

    It outlives the loops of single tests, goes on while they run, and serves
    tests that have no loop at all.
    """

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._stack = AsyncExitStack()
        self._thread = threading.Thread(target=self._loop.run_forever, name="kimbledb testing", daemon=True)
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, Result]) -> Result:
        """Run something in the loop and return what it returns."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def enter(self, context: AbstractAsyncContextManager[Result]) -> Result:
        """Enter an asynchronous context, for as long as the loop runs."""
        return self.run(self._stack.enter_async_context(context))

    def call(self, function: Any, *arguments: Any) -> None:
        """Call a function in the loop, soon."""
        self._loop.call_soon_threadsafe(function, *arguments)

    def start_server(self, data_dir: str | os.PathLike[str] | None = None) -> str:
        """Start an embedded server that is stopped with the loop, and return its DSN."""
        return self.enter(embedded(data_dir))

    def stop(self) -> None:
        """Leave all that was entered, the last first, and end the loop."""
        try:
            self.run(self._stack.aclose())
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()


class Pool:
    """The databases of one kind that the tests of a process use."""

    def __init__(self, background: Background, databases: Databases) -> None:
        self._background = background
        self._databases = background.enter(databases)
        self._shared: str | None = None
        #: The schema that is migrated.
        self.schema = databases.schema

    def take(self, ahead: int) -> str:
        """Return the DSN of a fresh migrated database, and have some more made for the tests to come."""
        self._databases.ahead = ahead
        return self._background.run(self._databases.take())

    def give_back(self, dsn: str) -> None:
        """Have it dropped."""
        self._background.call(self._databases.give_back, dsn)

    def shared(self) -> str:
        """Return the DSN of the one database that all tests of the process see, which take their changes back."""
        if self._shared is None:
            self._shared = self.take(0)
        return self._shared

    def spoil(self) -> None:
        """Have the shared one dropped, and another one made for the next test."""
        if self._shared is not None:
            self.give_back(self._shared)
            self._shared = None


class Pools:
    """A pool for each server, catalog and schema that tests ask for."""

    def __init__(self, background: Background) -> None:
        self._background = background
        self._pools: dict[tuple[str, int, str | None, str], tuple[Pool, Catalog]] = {}

    def of(self, server: str, catalog: Catalog, schema: str | None = None, prepare: str = "") -> Pool:
        """Return the pool, with its template found or made."""
        key = (server, id(catalog), schema, prepare)
        if key not in self._pools:
            databases = Databases(server, catalog=catalog, schema=schema, prepare=prepare, ahead=0)
            pool = Pool(self._background, databases)
            self._pools[key] = (pool, catalog)  # the catalog is kept, and with it its id
        return self._pools[key][0]
