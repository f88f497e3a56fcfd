"""The template of test databases: found by a hash of its content, or made once by the first run that needs it."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from kimbledb.catalog.catalog import Catalog
from kimbledb.errors import LockUnavailableError, PreflightError
from kimbledb.model.names import quote_array, quote_identifier, quote_literal
from kimbledb.operations.migrate import migrate
from kimbledb.server.codes import INSUFFICIENT_PRIVILEGE
from kimbledb.server.driver import ServerError, first_line
from kimbledb.server.dsn import with_database
from kimbledb.server.options import Options
from kimbledb.server.targets import target_of
from kimbledb.testing.database_admin import DatabaseAdmin
from kimbledb.version import __version__

#: Part of the key. It changes when the same catalog gives another template.
_FORM: Final = 1
#: Seconds between two attempts to get the lock while another run makes the template.
_POLL_EVERY: Final = 0.1


class Template:
    """The template of one catalog, schema and preparation on one server.

    Args:
        maker: Creates the template. The caller of ``find()`` holds its lock.
        dropper: Drops an incomplete template: a cancellation ends the maker's connection.
        server: The DSN of the server.
        label: The server, as messages name it.
        catalog: The migrations.
        schema: The schema that is migrated.
        prepare: SQL that runs before the migrations.
        options: For the migrations; ``deadline`` also bounds the wait for another process.

    Attributes:
        name: The name of the database; empty before ``find()``.
    """

    def __init__(
        self,
        maker: DatabaseAdmin,
        dropper: DatabaseAdmin,
        *,
        server: str,
        label: str,
        catalog: Catalog,
        schema: str,
        prepare: str,
        options: Options,
    ) -> None:
        self.name = ""
        self._maker = maker
        self._dropper = dropper
        self._server = server
        self._label = label
        self._catalog = catalog
        self._schema = schema
        self._prepare = prepare
        self._options = options

    async def find(self, run: int) -> None:
        """Find the template, or make it.

        Args:
            run: The number of the run, for the name of a template that is not complete yet.

        Raises:
            PreflightError: The role may not create databases, or a database of this name is not kimbledb's.
            MigrationError: A migration failed.
            LockUnavailableError: Another process has been making the template for longer than the deadline.
        """
        key = await self._key()
        self.name = f"kimbledb_template_{key}"
        state = await self._state()
        if state["there"] and state["noted"]:
            return
        async with self._template_lock():
            state = await self._state()  # another run may have made it meanwhile
            if not state["there"]:
                await self._make(f"kimbledb_making_{run:08x}_{key}", state["today"])
            elif not state["noted"]:
                await self._maker.send(_note(self.name, state["today"]))

    async def _make(self, making: str, today: str) -> None:
        try:
            # From template1, where administrators put objects that all their databases need.
            await self._maker.create(making, "template1")
        except ServerError as error:
            if error.sqlstate != INSUFFICIENT_PRIVILEGE:
                raise
            raise PreflightError(
                [(f"no database can be created on {self._label}: {first_line(error)}", "ALTER ROLE ... CREATEDB")]
            ) from error
        dsn = with_database(self._server, making)
        try:
            if self._prepare:
                async with target_of(dsn).session(self._options) as session:
                    await session.connection.execute(self._prepare)
            await migrate(dsn, catalog=self._catalog, schema=self._schema, options=self._options)
            for statement in (
                f"ALTER DATABASE {quote_identifier(making)} WITH ALLOW_CONNECTIONS false IS_TEMPLATE true",
                _note(making, today),
                # Last: a database with the template's name is complete.
                f"ALTER DATABASE {quote_identifier(making)} RENAME TO {quote_identifier(self.name)}",
            ):
                await self._maker.send(statement)
        except BaseException:
            # On a cancellation, too: an incomplete template must not stay.
            await self._dropper.drop(making)
            raise

    async def _key(self) -> str:
        """Return the hash of everything that the content of a template depends on."""
        facts = await self._maker.ask("test_template_facts", extensions=quote_array(self._catalog.extensions))
        content = [
            [
                each.name,
                each.number,
                each.order,
                each.checksum,
                each.requires,
                each.provides,
                each.transactional,
                each.closed,
                each.default,
                each.default_when,
                sorted(map(str, each.extensions)),
            ]
            for each in self._catalog
        ]
        whole = json.dumps([_FORM, __version__, facts, self._schema, self._prepare, content], sort_keys=True)
        return hashlib.sha256(whole.encode()).hexdigest()[:16]

    async def _state(self) -> dict[str, Any]:
        state = await self._maker.template_state(self.name)
        if state["foreign"]:
            gap = f"the database {self.name} on {self._label} has the name of a template, and kimbledb did not make it"
            raise PreflightError([(gap, f"ALTER DATABASE {quote_identifier(self.name)} RENAME TO ...")])
        return state

    @asynccontextmanager
    async def _template_lock(self) -> AsyncIterator[None]:
        limit = asyncio.timeout(self._options.deadline)
        try:
            async with limit:
                while not await self._maker.try_template_lock():  # noqa: ASYNC110 - another process holds it
                    await asyncio.sleep(_POLL_EVERY)
        except TimeoutError as error:
            raise LockUnavailableError(
                f"another process has been making a template on {self._label} for {self._options.deadline:g} s",
                hint="wait for that process, or end it",
            ) from error
        try:
            yield
        finally:
            await self._maker.release_template_lock()


def _note(template: str, today: str) -> str:
    return f"COMMENT ON DATABASE {quote_identifier(template)} IS {quote_literal(f'used {today}')}"
