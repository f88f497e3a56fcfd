"""Fresh migrated databases: clones of one template, made before a test asks for them."""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any, Self

from kimbledb.catalog.catalog import Catalog
from kimbledb.errors import ConfigurationError, KimbleDBError
from kimbledb.execution.database_admin import NO_SUCH_DATABASE, DatabaseAdmin
from kimbledb.execution.run import catalog_of, schema_of
from kimbledb.execution.template import Template
from kimbledb.operations.migrate import migrate
from kimbledb.server.driver import ServerError, driver_errors
from kimbledb.server.dsn import read, with_database
from kimbledb.server.options import Options
from kimbledb.server.targets import target_of


class Databases:
    """Fresh migrated databases on one server.

    ::

        async with Databases("postgresql://postgres@localhost/postgres") as databases:
            async with databases.fresh() as dsn:
                ...

    The role must be allowed to create databases. The migrations run once for each
    content of the catalog, in a template that all processes and runs share. Each database
    is a clone of the template, and some clones are made ahead while others are in use.

    Args:
        server: A DSN of the server, with a database that stays: the locks are taken
            there, and nothing is written. It must not lead through a pooler.
        catalog: The migrations; None means the built-in ones.
        schema: The schema that is migrated in each database; None means ``public``.
        prepare: SQL that runs in a template before the migrations, such as the creation of
            the schema ``auth`` of a hosted platform. Other SQL makes another template.
        ahead: The number of databases that are kept ready beyond those in use.
        options: For the migrations. ``deadline`` (seconds) also bounds the wait for another
            process that makes the template.

    Attributes:
        catalog: The migrations.
        schema: The schema that is migrated.
        ahead: The number of databases that are kept ready; may be changed at any time.

    Raises:
        ConfigurationError: The server is no DSN, or the schema's name is invalid.
    """

    def __init__(
        self,
        server: str,
        *,
        catalog: Catalog | None = None,
        schema: str | None = None,
        prepare: str = "",
        ahead: int = 2,
        options: Options | None = None,
    ) -> None:
        if not isinstance(server, str):
            raise ConfigurationError(
                f"expected the DSN of a server, got {type(server).__name__}",
                hint="pass a DSN such as postgresql://user@host/database",
            )
        target = target_of(server, "the server's DSN")
        options = options or Options(application_name="kimbledb testing")
        self.catalog: Catalog = catalog_of(catalog)
        self.schema: str = schema_of(schema)
        self.ahead: int = ahead
        self._server = server
        # Two connections: a connection does one thing at a time, and drops must not delay clones.
        self._maker, self._dropper = DatabaseAdmin(target, options), DatabaseAdmin(target, options)
        self._template = Template(
            self._maker,
            self._dropper,
            catalog=self.catalog,
            fill=self._migrate,
            schema=self.schema,
            prepare=prepare,
            options=options,
        )
        self._prepare = prepare
        self._options = options
        self._run = secrets.randbits(31)
        self._count = 0
        self._ready: deque[asyncio.Task[str]] = deque()
        self._taken: set[str] = set()
        self._background: set[asyncio.Task[None]] = set()

    @property
    def template(self) -> str:
        """The name of the template's database; empty before the context is entered."""
        return self._template.name

    async def __aenter__(self) -> Self:
        """Find the template, or make it.

        Raises:
            ConnectionLostError: The server cannot be reached.
            PreflightError: The role may not create databases.
            MigrationError: A migration failed.
            LockUnavailableError: Another process has been making the template for longer than the deadline.
        """
        try:
            with driver_errors():
                async with self._maker.lock:
                    await self._maker.lock_run(self._run)
                    await self._template.find(self._run)
        except BaseException:
            # On a cancellation, too: nobody leaves a context that was not entered.
            await self._close()
            raise
        self._in_background(self._drop_leftovers())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Drop the clones; the template stays."""
        making, self._ready = tuple(self._ready), deque()
        for made in await asyncio.gather(*making, return_exceptions=True):
            if isinstance(made, str):
                self._taken.add(made)
        await asyncio.gather(*self._background, return_exceptions=True)
        for name in tuple(self._taken):
            await self._drop(name)
        await self._close()

    async def take(self) -> str:
        """Take a fresh migrated database: the caller's own until ``give_back()``.

        Returns:
            The DSN of the database.
        """
        making = self._ready.popleft() if self._ready else self._begin()
        self.fill()
        try:
            with driver_errors():
                name = await asyncio.shield(making)
        except asyncio.CancelledError:
            self._ready.appendleft(making)  # the next caller takes it, or the exit drops it
            raise
        self._taken.add(name)
        return with_database(self._server, name)

    def take_ready(self) -> str | None:
        """Take a database that is ready, or return None: then ``take()`` waits for one, or raises its error.

        Another thread may call it while nothing else takes a database, since a call in the thread of the event loop
        takes longer than the rest of a short test. The caller then has ``fill()`` called in that thread.
        """
        made = self._ready[0] if self._ready else None
        if made is None or not made.done() or made.cancelled() or made.exception() is not None:
            return None
        self._ready.popleft()
        self._taken.add(made.result())
        return with_database(self._server, made.result())

    def fill(self) -> None:
        """Make as many databases ahead as are wanted."""
        while len(self._ready) < self.ahead:
            self._ready.append(self._begin())

    def give_back(self, dsn: str) -> None:
        """Drop a database in the background, whoever is still connected to it.

        Args:
            dsn: The DSN that ``take()`` returned.

        Raises:
            ConfigurationError: ``take()`` did not return this DSN.
        """
        name = read(dsn, "the DSN").database or ""
        if name not in self._taken:
            raise ConfigurationError(
                f"the database {name!r} was not taken here, and is not dropped", hint="give back the DSN of take()"
            )
        self._in_background(self._drop(name))

    @asynccontextmanager
    async def fresh(self) -> AsyncIterator[str]:
        """Take a database for a block, and drop it in the background at the end.

        Yields:
            The DSN of the database.
        """
        dsn = await self.take()
        try:
            yield dsn
        finally:
            self.give_back(dsn)

    def _begin(self) -> asyncio.Task[str]:
        return asyncio.create_task(self._clone())

    async def _migrate(self, name: str) -> None:
        dsn = with_database(self._server, name)
        if self._prepare:
            async with target_of(dsn).session(self._options) as session:
                await session.connection.execute(self._prepare)
        await migrate(dsn, catalog=self.catalog, schema=self.schema, options=self._options)

    async def _clone(self) -> str:
        async with self._maker.lock:
            self._count += 1
            name = f"kimbledb_test_{self._run:08x}_{self._count}"
            try:
                await self._maker.create(name, self.template)
            except ServerError as error:
                if error.sqlstate != NO_SUCH_DATABASE:
                    raise
                # Somebody has dropped the template since it was found.
                await self._template.find(self._run)
                await self._maker.create(name, self.template)
            return name

    async def _drop(self, name: str) -> None:
        if await self._dropper.drop(name):
            self._taken.discard(name)

    async def _drop_leftovers(self) -> None:
        with suppress(KimbleDBError, ServerError):
            async with self._maker.lock:
                if not await self._maker.try_template_lock():
                    return  # another run makes a template or drops leftovers
                try:
                    names = await self._maker.leftovers(self.template)
                finally:
                    await self._maker.release_template_lock()
            for name in names:
                await self._drop(name)

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _close(self) -> None:
        await self._dropper.close()
        await self._maker.close()
