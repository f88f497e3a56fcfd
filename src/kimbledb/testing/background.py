"""For synchronous callers: an event loop in a thread, and the pools of databases that live in it while tests run."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Coroutine
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any, TypeVar

from kimbledb._embedded import embedded_for_tests
from kimbledb.catalog.catalog import Catalog
from kimbledb.testing.databases import Databases

Result = TypeVar("Result")


class Background:
    """An event loop in a thread of its own.

    It outlives the event loops of single tests, runs while they run, and serves tests
    without an event loop.
    """

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._stack = AsyncExitStack()
        self._thread = threading.Thread(target=self._loop.run_forever, name="kimbledb testing", daemon=True)
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, Result]) -> Result:
        """Run a coroutine in the loop, wait for it, and return its result."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def enter(self, context: AbstractAsyncContextManager[Result]) -> Result:
        """Enter an asynchronous context and return its value; ``stop()`` leaves it."""
        return self.run(self._stack.enter_async_context(context))

    def call(self, function: Any, *arguments: Any) -> None:
        """Schedule a call of a function in the loop, and do not wait for it."""
        self._loop.call_soon_threadsafe(function, *arguments)

    def start_server(self, archive_dir: str | os.PathLike[str] | None = None) -> str:
        """Start an embedded server and return its DSN; ``stop()`` stops the server.

        Args:
            archive_dir: The folder that keeps a copy of the data for the next run; None for no copy.

        Raises:
            EmbeddedServerError: The server cannot start.
        """
        return self.enter(embedded_for_tests(archive_dir))

    def stop(self) -> None:
        """Leave the contexts, the last one first, and end the loop."""
        try:
            self.run(self._stack.aclose())
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()


class Pool:
    """The databases of one server, catalog and schema for the tests of a process."""

    def __init__(self, background: Background, databases: Databases) -> None:
        self._background = background
        self._databases = background.enter(databases)
        self._shared: str | None = None
        #: The schema that is migrated in each database.
        self.schema = databases.schema

    def take(self, ahead: int) -> str:
        """Return the DSN of a fresh migrated database, and make others ahead.

        Args:
            ahead: The number of databases to keep ready for the next tests.
        """
        self._databases.ahead = ahead
        dsn = self._databases.take_ready()
        if dsn is None:
            return self._background.run(self._databases.take())
        self._background.call(self._databases.fill)
        return dsn

    def give_back(self, dsn: str) -> None:
        """Drop a database in the background.

        Args:
            dsn: The DSN that ``take()`` returned.
        """
        self._background.call(self._databases.give_back, dsn)

    def shared(self) -> str:
        """Return the DSN of the one database that all tests of the process share; each rolls its changes back."""
        if self._shared is None:
            self._shared = self.take(0)
        return self._shared

    def discard_shared(self) -> None:
        """Drop the shared database: a test has changed it for good. The next test gets another one."""
        if self._shared is not None:
            self.give_back(self._shared)
            self._shared = None


class Pools:
    """The pools of a process: one for each server, catalog, schema and preparation."""

    def __init__(self, background: Background) -> None:
        self._background = background
        self._pools: dict[tuple[str, int, str | None, str], tuple[Pool, Catalog]] = {}

    def of(self, server: str, catalog: Catalog, schema: str | None = None, prepare: str = "") -> Pool:
        """Return a pool; its first use finds or makes the template.

        Args:
            server: The DSN of the server.
            catalog: The migrations.
            schema: The schema that is migrated; None means ``public``.
            prepare: SQL that runs in the template before the migrations.
        """
        key = (server, id(catalog), schema, prepare)
        if key not in self._pools:
            databases = Databases(server, catalog=catalog, schema=schema, prepare=prepare, ahead=0)
            pool = Pool(self._background, databases)
            self._pools[key] = (pool, catalog)  # a reference to the catalog keeps its id unique
        return self._pools[key][0]
