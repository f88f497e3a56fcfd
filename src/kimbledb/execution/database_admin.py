"""Our own databases on one server: their names, their mark, and one connection that creates and drops them.

The names of nearly all of them begin with ``kimbledb_``. A name proves nothing, so each also
has a mark: a connection limit that nobody else sets. The statement that creates a
database sets its mark, so that none is ever without it, and a copy does not inherit it.

* ``kimbledb_template_<key>``: a database that was migrated once. The key is a hash of
  its content: the catalog, the server's version, its extensions and roles. It is
  created as ``kimbledb_making_<run>_<key>``, migrated, closed, and renamed last. So a
  database with a template's name is always complete, whenever its maker is killed. Its
  comment holds the day of its last use, and its key. A caller of ``provision()`` may give
  a template another name; the key in its comment then says whether it is stale.
* ``kimbledb_test_<run>_<number>``: a clone of a template, for a test. A run is one ``Databases``
  or one ``provision()``; it holds an advisory lock with its number as long as its connection
  lives. The databases of a run without a lock are leftovers, and the next run drops them.

A second lock protects the creation of a template and the removal of leftovers. No session
blocks on it: a run that does not get it polls.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import AsyncExitStack
from typing import Any, Final

from kimbledb.errors import KimbleDBError, PreflightError
from kimbledb.model.names import quote_array, quote_identifier, quote_literal
from kimbledb.server import queries
from kimbledb.server.codes import INSUFFICIENT_PRIVILEGE
from kimbledb.server.driver import ServerError, first_line
from kimbledb.server.options import Options
from kimbledb.server.session import Session
from kimbledb.server.targets import Target

#: The first half of the lock that a run holds: "kdb6". The second half is the run's number.
_RUN_LOCK: Final = 0x6B646236
#: The first half of the lock for making a template and dropping leftovers: "kdb4".
_TEMPLATE_LOCK: Final = 0x6B646234
#: The mark, a connection limit ("kdb5"): so high that it limits nothing.
_MARK: Final = 0x6B646235
#: A template without a use in this number of days is dropped.
_KEPT_DAYS: Final = 14
#: SQLSTATEs (manual, appendix A): no such database; a database of that name, made before or at this moment; sessions
#: connected to the template; and a role, or a platform, that may not create databases.
NO_SUCH_DATABASE: Final = "3D000"
DUPLICATE_DATABASE: Final = ("42P04", "23505")
DATABASE_IN_USE: Final = "55006"
_MAY_NOT_CREATE: Final = (INSUFFICIENT_PRIVILEGE, "0A000")


class DatabaseAdmin:
    """One connection to the server, made when it is first used.

    Args:
        target: The server, in a database that stays.
        options: For the connection.
        session: The session to use as long as it is open; None for one of its own.
        cure: The cure in the error for a role that may not create databases.

    Attributes:
        lock: Held by the caller during each call except ``drop()``: a connection does one thing at a time.
    """

    def __init__(
        self, target: Target, options: Options, *, session: Session | None = None, cure: str = "ALTER ROLE ... CREATEDB"
    ) -> None:
        self.lock = asyncio.Lock()
        self._target = target
        self._options = options
        self._session = session
        self._cure = cure
        self._stack = AsyncExitStack()

    @property
    def label(self) -> str:
        """The server, as messages name it."""
        return self._target.label

    @property
    def is_closed(self) -> bool:
        """Whether the connection was lost."""
        return self._session is not None and self._session.is_closed

    async def create(self, name: str, template: str, *, ours: bool = True) -> None:
        """Create a database as a clone of a template.

        Args:
            name: The name of the database.
            template: The name of the template.
            ours: Whether it gets the mark, by which it can be dropped as a leftover.

        Raises:
            PreflightError: The role may not create databases.
            ServerError: The server refused for another reason.
        """
        # No STRATEGY: the server's default, WAL_LOG, copies a template of this size without the
        # two checkpoints of FILE_COPY, and several clones at once do not wait for each other.
        mark = f" CONNECTION LIMIT {_MARK}" if ours else ""
        try:
            await self.send(f"CREATE DATABASE {quote_identifier(name)} TEMPLATE {quote_identifier(template)}{mark}")
        except ServerError as error:
            if error.sqlstate not in _MAY_NOT_CREATE:
                raise
            raise PreflightError(
                [(f"no database can be created on {self.label}: {first_line(error)}", self._cure)]
            ) from error

    async def drop(self, name: str) -> bool:
        """Drop a database, whoever is connected to it, and return whether it is gone.

        It takes ``lock``. A database that cannot be dropped now is left to the next run.
        """
        quoted = quote_identifier(name)
        try:
            async with self.lock:
                if not name.startswith("kimbledb_test_"):
                    await self.send(f"ALTER DATABASE {quoted} WITH IS_TEMPLATE false")
                await self.send(f"DROP DATABASE {quoted} WITH (FORCE)")
        except ServerError as error:
            return error.sqlstate == NO_SUCH_DATABASE
        except KimbleDBError:
            return False
        return True

    @staticmethod
    def template_question(extensions: Iterable[str], name: str) -> str:
        """Return the question for the templates on the server, and for the facts on which the content of a template depends.

        Args:
            extensions: The extensions whose versions count.
            name: The name of a template that a caller has named; empty for none.
        """
        return queries.question(
            "template_look", extensions=quote_array(extensions), template=quote_literal(name), mark=str(_MARK)
        )

    async def leftovers(self, template: str) -> list[str]:
        """Return the databases of runs that have ended, and the templates that nobody uses except one."""
        names: list[str] = await self.ask(
            "database_leftovers",
            run_class=str(_RUN_LOCK),
            template=quote_literal(template),
            mark=str(_MARK),
            days=str(_KEPT_DAYS),
        )
        return names

    async def lock_run(self, run: int) -> None:
        """Take the lock of a run, for as long as the connection lives."""
        await self._try_lock(_RUN_LOCK, run)

    async def try_template_lock(self) -> bool:
        """Take the lock for making a template and dropping leftovers, unless another session holds it."""
        return await self._try_lock(_TEMPLATE_LOCK, 0)

    async def release_template_lock(self) -> None:
        """Release that lock."""
        await self.ask("release_lock", lock_class=str(_TEMPLATE_LOCK), lock_key="0")

    async def answer(self, question: str) -> Any:
        """Return the answer to a question."""
        return await (await self._connected()).ask(question)

    async def ask(self, name: str, **values: str) -> Any:
        """Return the answer to a question of ``sql/queries``."""
        return await self.answer(queries.question(name, **values))

    async def send(self, statement: str) -> None:
        """Send a statement."""
        await (await self._connected()).send(statement)

    async def close(self) -> None:
        """End the connection."""
        await self._stack.aclose()

    async def _try_lock(self, lock_class: int, key: int) -> bool:
        return bool(await self.ask("try_lock", lock_class=str(lock_class), lock_key=str(key)))

    async def _connected(self) -> Session:
        if self._session is None or self._session.is_closed:
            session = await self._stack.enter_async_context(self._target.session(self._options))
            # The connection is our own, and idle while tests run.
            await session.send("SET idle_session_timeout = 0; SET statement_timeout = 0; SET lock_timeout = 0")
            self._session = session
        return self._session
