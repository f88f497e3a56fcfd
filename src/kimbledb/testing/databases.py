"""Fresh migrated databases, each a clone of one template, made before they are asked for.

On the server stand, all by names that begin with ``kimbledb_``, and all made with a
connection limit that nobody else sets. It is the mark by which they are known, since a
name is no proof: it comes with the statement that makes the database, so that none is
ever without it, and does not go over to a copy.

* ``kimbledb_template_<key>``: a database that was migrated once. The key says
  what is in it: the catalog, the server's version, its extensions and roles. It is
  made as ``kimbledb_making_<run>_<key>``, closed, marked and only then renamed,
  so that under its own name it is always whole, whenever its maker is killed. Its
  comment says on which day it was last used.
* ``kimbledb_test_<run>_<number>``: a clone. A run is one :class:`Databases`, and
  holds an advisory lock of its number for as long as its connection lives. What
  belongs to a run that holds no lock was left behind, and the next run drops it.

Whoever makes a template or clears up holds another lock. Nobody blocks in it: who
does not get it looks again.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
from collections import deque
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any, Final, Self
from urllib.parse import unquote, urlsplit

from kimbledb.catalog.catalog import Catalog
from kimbledb.errors import ConfigurationError, KimbleDBError, LockUnavailableError, PreflightError
from kimbledb.execution.run import catalog_of, schema_of
from kimbledb.model.names import quote_array, quote_identifier, quote_literal
from kimbledb.operations.api import migrate
from kimbledb.server import queries
from kimbledb.server.drivers import ServerError, driver_errors
from kimbledb.server.dsn import with_database
from kimbledb.server.options import Options
from kimbledb.server.session import Session, first_line
from kimbledb.server.targets import target_of
from kimbledb.version import __version__

#: Changes when a template comes out otherwise for the same key.
_FORM: Final = 1
#: The first half of the lock that a run holds: "kdb3". The second is its number.
_RUN_CLASS: Final = 0x6B646233
#: And of the lock under which templates are made and leftovers dropped: "kdb4".
_MAKING_CLASS: Final = 0x6B646234
#: The connection limit of what is made here ("kdb5"): as good as none.
_MARK: Final = 0x6B646235
#: Days after which a template that nobody uses is dropped.
_KEPT: Final = 14
#: SQLSTATEs (manual, appendix A).
_NO_SUCH_DATABASE: Final = "3D000"
_INSUFFICIENT_PRIVILEGE: Final = "42501"
#: Seconds between two looks whether another run has made the template.
_LOOK_EVERY: Final = 0.1


class Databases:
    """Fresh migrated databases on one server.

    ::

        async with Databases("postgresql://postgres@localhost/postgres") as databases:
            async with databases.fresh() as dsn:
                ...

    The role must be allowed to create databases. The migrations run once for each
    content of the catalog, however many processes and runs ask; each database is
    a clone of what came out, and some are made ahead while others are in use.

    Args:
        server: A DSN of the server, in any database of it that stays: locks are
            taken there and nothing is written. Not through a pooler.
        catalog: The migrations; the built-in ones where None.
        schema: The schema that is migrated in each database, ``public`` where None.
        prepare: SQL that a template gets before the migrations, such as the
            schema ``auth`` of a hosted platform. Other SQL is another template.
        ahead: How many databases are kept ready beyond those that are in use.
        options: For the migrations; ``deadline`` also bounds the wait for another
            process that makes the template.
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
        self._target = target_of(server, "the server's DSN")
        self._server = server
        self.catalog = catalog_of(catalog)
        self.schema = schema_of(schema)
        #: How many databases are kept ready; may be changed at any time.
        self.ahead = ahead
        #: The name of the template, once it is there.
        self.template = ""
        self._prepare = prepare
        self._options = options or Options(application_name="kimbledb testing")
        self._run = secrets.randbits(31)
        self._count = 0
        self._ready: deque[asyncio.Task[str]] = deque()
        self._taken: set[str] = set()
        self._background: set[asyncio.Task[None]] = set()
        # A server's connection does one thing at a time; drops are not to hold up what is wanted.
        self._making, self._dropping = asyncio.Lock(), asyncio.Lock()
        self._maker: Session | None = None
        self._dropper: Session | None = None
        self._stack = AsyncExitStack()

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
                self._maker = await self._connect()
                await self._try_lock(_RUN_CLASS, self._run)
                async with self._making:
                    await self._find_template()
        except BaseException:
            # Whatever ends it, a cancellation too: nobody will leave what was not entered.
            await self._stack.aclose()
            raise
        self._in_background(self._drop_leftovers())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Drop what was made, but the template."""
        making, self._ready = tuple(self._ready), deque()
        for made in await asyncio.gather(*making, return_exceptions=True):
            if isinstance(made, str):
                self._taken.add(made)
        await asyncio.gather(*self._background, return_exceptions=True)
        for name in tuple(self._taken):
            await self._drop(name)
        await self._stack.aclose()

    async def take(self) -> str:
        """Return the DSN of a fresh migrated database, which is the caller's until :meth:`give_back`."""
        making = self._ready.popleft() if self._ready else self._begin()
        self._top_up()
        try:
            with driver_errors():
                name = await asyncio.shield(making)
        except asyncio.CancelledError:
            self._ready.appendleft(making)  # for the next one, or to be dropped at the end
            raise
        self._taken.add(name)
        return self._dsn(name)

    def give_back(self, dsn: str) -> None:
        """Drop a database that was taken, in the background, whoever is still connected to it.

        Raises:
            ConfigurationError: It is none that :meth:`take` has returned.
        """
        name = unquote(urlsplit(dsn).path[1:])
        if name not in self._taken:
            raise ConfigurationError(
                f"the database {name!r} was not taken here, and is not dropped", hint="give back what take() returned"
            )
        self._in_background(self._drop(name))

    @asynccontextmanager
    async def fresh(self) -> AsyncIterator[str]:
        """Give the DSN of a fresh migrated database, and drop it in the background at the end."""
        dsn = await self.take()
        try:
            yield dsn
        finally:
            self.give_back(dsn)

    # Clones.

    def _begin(self) -> asyncio.Task[str]:
        return asyncio.create_task(self._clone())

    def _top_up(self) -> None:
        while len(self._ready) < self.ahead:
            self._ready.append(self._begin())

    async def _clone(self) -> str:
        async with self._making:
            self._count += 1
            name = f"kimbledb_test_{self._run:08x}_{self._count}"
            try:
                await self._create(name, self.template)
            except ServerError as error:
                if error.sqlstate != _NO_SUCH_DATABASE:
                    raise
                # Somebody dropped the template since it was found.
                await self._find_template()
                await self._create(name, self.template)
            return name

    async def _create(self, name: str, template: str) -> None:
        # The strategy is the server's default, WAL_LOG: it copies a template of this size
        # without the two checkpoints of FILE_COPY, and several at once do not wait for each other.
        await self._send(
            f"CREATE DATABASE {quote_identifier(name)} TEMPLATE {quote_identifier(template)} CONNECTION LIMIT {_MARK}"
        )

    async def _drop(self, name: str) -> None:
        # What cannot be dropped now the next run finds.
        with suppress(KimbleDBError, ServerError):
            async with self._dropping:
                if self._dropper is None:
                    self._dropper = await self._connect()
                await _drop(self._dropper, name)
            self._taken.discard(name)

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    # The template.

    async def _find_template(self) -> None:
        key = await self._key()
        self.template = f"kimbledb_template_{key}"
        state = await self._template_state()
        if state["there"] and state["noted"]:
            return
        async with self._making_lock():
            state = await self._template_state()  # another one may have made it
            if not state["there"]:
                await self._make_template(key, state["today"])
            elif not state["noted"]:
                await self._send(_note(self.template, state["today"]))

    async def _make_template(self, key: str, today: str) -> None:
        making = f"kimbledb_making_{self._run:08x}_{key}"
        try:
            # template1, where administrators put what their databases need.
            await self._create(making, "template1")
        except ServerError as error:
            if error.sqlstate != _INSUFFICIENT_PRIVILEGE:
                raise
            raise PreflightError(
                [(f"no database can be made on {self._target.label}: {first_line(error)}", "ALTER ROLE ... CREATEDB")]
            ) from error
        try:
            if self._prepare:
                async with target_of(self._dsn(making)).session(self._options) as session:
                    await session.connection.execute(self._prepare)
            await migrate(self._dsn(making), catalog=self.catalog, schema=self.schema, options=self._options)
            await self._send(f"ALTER DATABASE {quote_identifier(making)} WITH ALLOW_CONNECTIONS false IS_TEMPLATE true")
            await self._send(_note(making, today))
            # Last: what has the name is whole.
            await self._send(f"ALTER DATABASE {quote_identifier(making)} RENAME TO {quote_identifier(self.template)}")
        except BaseException:
            # Whatever ends it, a cancellation too: what is half made is not to stay.
            await self._drop(making)
            raise

    async def _key(self) -> str:
        facts = await self._ask("test_template_facts", extensions=quote_array(self.catalog.extensions))
        content = [
            [
                *(each.name, each.number, each.order, each.checksum, each.requires, each.provides, each.transactional),
                *(each.default, each.default_when, sorted(map(str, each.extensions))),
            ]
            for each in self.catalog
        ]
        whole = json.dumps([_FORM, __version__, facts, self.schema, self._prepare, content], sort_keys=True)
        return hashlib.sha256(whole.encode()).hexdigest()[:16]

    async def _template_state(self) -> dict[str, Any]:
        state: dict[str, Any] = await self._ask(
            "test_template_state", template=quote_literal(self.template), mark=str(_MARK)
        )
        if state["foreign"]:
            what = f"the database {self.template} on {self._target.label} is named like a template of kimbledb's"
            cure = f"ALTER DATABASE {quote_identifier(self.template)} RENAME TO ..."
            raise PreflightError([(f"{what}, and kimbledb did not make it", cure)])
        return state

    async def _drop_leftovers(self) -> None:
        with suppress(KimbleDBError, ServerError):
            async with self._making:
                if not await self._try_lock(_MAKING_CLASS, 0):
                    return  # somebody makes a template or clears up
                try:
                    names = await self._ask(
                        "test_leftovers",
                        run_class=str(_RUN_CLASS),
                        template=quote_literal(self.template),
                        mark=str(_MARK),
                        days=str(_KEPT),
                    )
                finally:
                    await self._unlock()
            for name in names:
                await self._drop(name)

    # The server.

    async def _connect(self) -> Session:
        session = await self._stack.enter_async_context(self._target.session(self._options))
        # It is our own, and sits idle while tests run.
        await session.send("SET idle_session_timeout = 0; SET statement_timeout = 0; SET lock_timeout = 0")
        return session

    @asynccontextmanager
    async def _making_lock(self) -> AsyncIterator[None]:
        limit = asyncio.timeout(self._options.deadline)
        try:
            async with limit:
                while not await self._try_lock(_MAKING_CLASS, 0):  # noqa: ASYNC110 - the other one is another process
                    await asyncio.sleep(_LOOK_EVERY)
        except TimeoutError as error:
            raise LockUnavailableError(
                f"another process has been making a template on {self._target.label} for {self._options.deadline:g} s",
                hint="wait for it, or end it",
            ) from error
        try:
            yield
        finally:
            await self._unlock()

    async def _try_lock(self, lock_class: int, key: int) -> bool:
        return bool(await self._ask("test_try_lock", lock_class=str(lock_class), lock_key=str(key)))

    async def _unlock(self) -> None:
        await self._ask("test_unlock", lock_class=str(_MAKING_CLASS), lock_key="0")

    async def _ask(self, name: str, **values: str) -> Any:
        assert self._maker is not None  # made in __aenter__
        return await self._maker.ask(queries.question(name, **values))

    async def _send(self, statement: str) -> None:
        assert self._maker is not None  # made in __aenter__
        await self._maker.send(statement)

    def _dsn(self, name: str) -> str:
        return with_database(self._server, name)


async def _drop(session: Session, name: str) -> None:
    quoted = quote_identifier(name)
    try:
        if not name.startswith("kimbledb_test_"):
            await session.send(f"ALTER DATABASE {quoted} WITH IS_TEMPLATE false")
        await session.send(f"DROP DATABASE {quoted} WITH (FORCE)")
    except ServerError as error:
        if error.sqlstate != _NO_SUCH_DATABASE:
            raise


def _note(template: str, today: str) -> str:
    return f"COMMENT ON DATABASE {quote_identifier(template)} IS {quote_literal(f'used {today}')}"
