"""The template of a catalog: a migrated database for clones, made by the first run that needs it.

It is found by a hash of everything that its content depends on.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

from kimbledb.catalog.catalog import Catalog
from kimbledb.errors import LockUnavailableError, PreflightError
from kimbledb.execution.database_admin import DUPLICATE_DATABASE, DatabaseAdmin
from kimbledb.model.names import quote_identifier, quote_literal
from kimbledb.server.driver import ServerError
from kimbledb.server.locks import describe_holders
from kimbledb.server.options import Options
from kimbledb.server.retry import Retry
from kimbledb.version import __version__

#: Part of the key. It changes when the same catalog gives another template.
_FORM: Final = 2
#: Seconds between two attempts to get the lock while another run makes the template.
_POLL_EVERY: Final = 0.1


class Template:
    """The template of one catalog, schema and preparation on one server.

    Args:
        maker: Creates the template. The caller of ``find()`` holds its lock.
        dropper: Drops an incomplete template: a cancellation ends the maker's connection.
        catalog: The migrations.
        fill: Prepares and migrates the database of a name.
        schema: The schema that is migrated.
        prepare: SQL that runs before the migrations.
        options: ``deadline`` bounds the wait for another process.
        name: The name of the database; None for one that is made of the hash of its content.

    Attributes:
        name: The name of the database; empty before ``find()`` where none is given.
    """

    def __init__(
        self,
        maker: DatabaseAdmin,
        dropper: DatabaseAdmin,
        *,
        catalog: Catalog,
        fill: Callable[[str], Awaitable[object]],
        schema: str,
        prepare: str,
        options: Options,
        name: str | None = None,
    ) -> None:
        self.name = name or ""
        self._is_named = name is not None
        self._maker = maker
        self._dropper = dropper
        self._catalog = catalog
        self._fill = fill
        self._schema = schema
        self._prepare = prepare
        self._options = options
        #: The sessions that were connected to the template when it was found.
        self._users: list[dict[str, Any]] = []

    def question(self) -> str:
        """Return the question whose answer ``find()`` takes, for one message with other questions."""
        return self._maker.template_question(self._catalog.extensions, self.name if self._is_named else "")

    async def find(self, run: int, look: dict[str, Any] | None = None) -> bool:
        """Find the template, or make it. A stale one of the given name is replaced.

        Args:
            run: The number of the run, for the name of a template that is not complete yet.
            look: The answer to ``question()``; None to ask it.

        Returns:
            Whether it was made.

        Raises:
            PreflightError: The role may not create databases, or a database of this name is not kimbledb's.
            MigrationError: A migration failed.
            LockUnavailableError: Another process has been making the template for longer than the deadline.
            Retry: Sessions are connected to the stale one.
        """
        key, found = self._found(look or await self._maker.answer(self.question()))
        if found is not None and found["noted"] and found["key"] == key:
            return False
        async with self._template_lock():
            look = await self._maker.answer(self.question())
            key, found = self._found(look)  # another run may have made it meanwhile
            note = f"used {look['today']} of {key}"
            if found is not None and found["key"] == key:
                if not found["noted"]:
                    await self._maker.send(_comment(self.name, note))
                return False
            self.check_unused()
            await self._make(f"kimbledb_making_{run:08x}_{key}", run, note, is_stale=found is not None)
            return True

    def check_unused(self) -> None:
        """Check that no session was connected to the template when it was found: the server copies no database in use.

        Raises:
            Retry: A session was.
        """
        if self._users:
            raise Retry(
                contended=f"sessions are connected to the template {self.name}", blockers=describe_holders(self._users)
            )

    async def _make(self, making: str, run: int, note: str, *, is_stale: bool) -> None:
        await self._maker.lock_run(run)
        # From template1, where administrators put objects that all their databases need.
        await self._maker.create(making, "template1")
        try:
            await self._fill(making)
            await self._maker.send(
                f"ALTER DATABASE {quote_identifier(making)} WITH ALLOW_CONNECTIONS false IS_TEMPLATE true"
            )
            await self._maker.send(_comment(making, note))
            if is_stale:
                await self._maker.send(f"ALTER DATABASE {quote_identifier(self.name)} WITH IS_TEMPLATE false")
                await self._maker.send(f"DROP DATABASE {quote_identifier(self.name)}")
            # Last: a database with the template's name is complete.
            await self._maker.send(f"ALTER DATABASE {quote_identifier(making)} RENAME TO {quote_identifier(self.name)}")
        except BaseException as error:
            # On a cancellation, too: an incomplete template must not stay.
            await self._dropper.drop(making)
            if isinstance(error, ServerError) and error.sqlstate in DUPLICATE_DATABASE:
                return  # the lock belongs to one database: a run in another database was quicker
            raise

    def _found(self, look: dict[str, Any]) -> tuple[str, dict[str, Any] | None]:
        """Return the key of the template, and the state of the database of its name, or None."""
        key = self._key(look["facts"])
        if not self._is_named:
            self.name = f"kimbledb_template_{key}"
        found: dict[str, Any] | None = look["templates"].get(self.name)
        self._users = [] if found is None else found["users"]
        if found is not None and found["foreign"]:
            gap = (
                f"the database {self.name} on {self._maker.label} has the name of a template, "
                "and kimbledb did not make it"
            )
            raise PreflightError([(gap, f"ALTER DATABASE {quote_identifier(self.name)} RENAME TO ...")])
        return key, found

    def _key(self, facts: dict[str, Any]) -> str:
        """Return the hash of everything that the content of a template depends on."""
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

    @asynccontextmanager
    async def _template_lock(self) -> AsyncIterator[None]:
        limit = asyncio.timeout(self._options.deadline)
        try:
            async with limit:
                while not await self._maker.try_template_lock():  # noqa: ASYNC110 - another process holds it
                    await asyncio.sleep(_POLL_EVERY)
        except TimeoutError as error:
            raise LockUnavailableError(
                f"another process has been making a template on {self._maker.label} for {self._options.deadline:g} s",
                hint="wait for that process, or end it",
            ) from error
        try:
            yield
        finally:
            await self._maker.release_template_lock()


def _comment(template: str, note: str) -> str:
    return f"COMMENT ON DATABASE {quote_identifier(template)} IS {quote_literal(note)}"
