"""The bench: databases of one platform, and what is done and looked at in them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from attrs import evolve, frozen

from kimbledb.catalog import statements
from kimbledb.catalog.catalog import Catalog
from kimbledb.errors import ConfigurationError, ConnectionLostError, EmbeddedServerError, KimbleDBError
from kimbledb.execution.recording_database import RecordingDatabase
from kimbledb.execution.throwaway import Throwaway, prepared_for
from kimbledb.inspection import checks, history, snapshot
from kimbledb.inspection.proof import Site
from kimbledb.model.catalog_report import CatalogCase, Proof
from kimbledb.model.check import Check
from kimbledb.model.clock import stopwatch
from kimbledb.model.migration import Migration, schemas_reached
from kimbledb.model.names import quote_literal
from kimbledb.model.objects import DatabaseObject, Key
from kimbledb.model.reports import MigrationReport
from kimbledb.model.snapshot import Snapshot
from kimbledb.model.state import PLATFORMS
from kimbledb.operations.adopt import Adoption
from kimbledb.operations.migrate import Executor
from kimbledb.operations.rollback import Rollback
from kimbledb.planning.sample_rows import filling, sample_tables
from kimbledb.server import queries
from kimbledb.server.options import Options
from kimbledb.server.settings import PINNED_FOR_QUESTIONS, pin
from kimbledb.server.sources import LentConnection
from kimbledb.server.targets import Target

#: A proof takes as long as it takes: its statements have their own limits.
OPTIONS = Options(deadline=86_400.0, application_name="kimbledb prove")
SCHEMA = "public"
#: Every table that holds rows is a large one.
LARGE = evolve(OPTIONS, large_table=1)
#: Errors whose cause is a server, not a migration.
OF_THE_SERVER = (ConfigurationError, ConnectionLostError, EmbeddedServerError)


class Broken(Exception):
    """A trial failed. The text gives the reason."""


class Untried(Exception):
    """It cannot be tried. The text says why."""


@frozen
class Look:
    """The contents of a schema."""

    objects: Snapshot
    #: For each table its number of rows and a hash of them, and the position of each sequence.
    tables: Mapping[str, Mapping[str, Any]]
    sequences: Mapping[str, int | None]

    def since(self, before: Look, words: str) -> None:
        """Check that the objects are those of another look.

        Args:
            before: The other one.
            words: The meaning of a difference.

        Raises:
            Broken: They are not.
        """
        if difference := self.objects.since(before.objects):
            raise Broken(f"{words}:\n{difference}")

    def rows_since(self, before: Look, words: str) -> None:
        """Check that each table of another look is there with as many rows.

        Args:
            before: The other one.
            words: The meaning of a difference.

        Raises:
            Broken: A table is not there, or has another number of rows.
        """
        for name, held in before.tables.items():
            now = self.tables.get(name)
            if now is None:
                if ("table", name) in self.objects.objects or held["rows"]:
                    raise Broken(f"{words}: the rows of table {name} are gone")
            elif now["rows"] != held["rows"]:
                raise Broken(f"{words}: table {name} held {held['rows']} rows, and holds {now['rows']}")


class Bench:
    """The databases of one platform."""

    def __init__(
        self, catalog: Catalog, databases: Throwaway, *, hosted: bool, on_case: Callable[[CatalogCase], None]
    ) -> None:
        """Take a server.

        Args:
            catalog: The migrations.
            databases: Makes databases on the server.
            hosted: Whether they are those of a hosted platform.
            on_case: Called with each case that was tried.
        """
        self.catalog = catalog
        self.databases = databases
        self.hosted = hosted
        self.cases: list[CatalogCase] = []
        self._on_case = on_case
        self._slots = asyncio.Semaphore(max(2, min(8, os.cpu_count() or 2)))

    @property
    def platform(self) -> str:
        """The platform in a word."""
        return PLATFORMS[self.hosted]

    async def case(
        self, migration: Migration, kind: Proof, work: Callable[[], Awaitable[None]], detail: str = ""
    ) -> CatalogCase:
        """Try something, and note how it ends.

        Args:
            migration: The migration.
            kind: The kind of case.
            work: Tries it: it raises ``Broken``, ``Untried`` or an error of a call.
            detail: The case in words, beside its kind.
        """
        message = skipped = None
        clock = stopwatch()
        try:
            await work()
        except Untried as reason:
            skipped = str(reason)
        except Broken as fault:
            message = str(fault)
        except OF_THE_SERVER:
            raise
        except KimbleDBError as error:
            message = error.text
        return self.note(migration, kind, detail, message=message, skipped=skipped, seconds=clock())

    def note(
        self,
        migration: Migration,
        kind: Proof,
        detail: str = "",
        *,
        message: str | None = None,
        skipped: str | None = None,
        seconds: float = 0.0,
    ) -> CatalogCase:
        """Note a case. The arguments are the attributes of ``CatalogCase``."""
        case = CatalogCase(
            migration=migration.name,
            kind=kind,
            platform=self.platform,
            detail=detail,
            message=message,
            skipped=skipped,
            seconds=seconds,
        )
        self.cases.append(case)
        self._on_case(case)
        return case

    async def together(self, cases: Iterable[Awaitable[object]]) -> None:
        """Try several things, as many at a time as there are processors."""

        async def one(case: Awaitable[object]) -> None:
            async with self._slots:
                await case

        async with asyncio.TaskGroup() as group:
            for case in cases:
                group.create_task(one(case))

    # Databases.

    @asynccontextmanager
    async def empty(self) -> AsyncIterator[Target]:
        """Make an empty database of the platform."""
        async with self.databases.database(prepare=prepared_for(hosted=self.hosted)) as target:
            yield target

    @asynccontextmanager
    async def copy(self, of: Target, *, by_one_connection: bool = False) -> AsyncIterator[Target]:
        """Make a copy of a database to which nobody is connected.

        Args:
            of: The database.
            by_one_connection: Whether all that is done there is done by one connection, which is quicker: each further
                one reads the catalogs anew. Another way than the script's own wants connections.
        """
        async with self.databases.database(template=of) as target:
            if not by_one_connection:
                yield target
                return
            async with target.source.lend(target.label, OPTIONS) as connection:
                yield Target(target.label, LentConnection(connection))

    # Actions.

    async def apply(
        self,
        target: Target,
        migration: Migration,
        prefer: Sequence[str],
        *,
        verify: bool = True,
        options: Options = OPTIONS,
    ) -> MigrationReport:
        """Apply a migration and all that it needs."""
        executor = Executor(target, catalog=self.catalog, options=options)
        return await executor.apply(to=migration.name, prefer=prefer, verify=verify)

    async def adopt(self, target: Target, prefer: Sequence[str]) -> None:
        """Record what is there."""
        await Adoption(target, catalog=self.catalog, options=OPTIONS).run(prefer=prefer)

    async def roll_back(self, target: Target, migration: Migration) -> None:
        """Take a migration back, with the rows that it made."""
        await Rollback(target, catalog=self.catalog, options=OPTIONS).run(migration.name, allow_data_loss=True)

    async def interrupt(self, target: Target, migration: Migration, count: int) -> None:
        """Run the first statements of a migration's scripts, and keep what they made, without a row of history.

        Args:
            target: The database, to which all migrations before it are applied.
            migration: The migration.
            count: The number of statements.
        """
        async with target.session(OPTIONS) as session:
            database = await RecordingDatabase.open(session, self.catalog, [migration])
            left = count
            if migration.transactional:
                await database.begin(migration)
            else:
                await database.begin_outside(migration)
            for part, script in migration.applied_scripts(hosted=self.hosted).items():
                if part == "hosted" and left and migration.transactional:
                    await database.begin_hosted(migration)
                for statement in statements.split(script.text):
                    if not left:
                        break
                    left -= 1
                    if migration.transactional:
                        await database.send(migration, part, statement)
                    else:
                        await database.run_outside(migration, part, statement)
            if migration.transactional:
                await database.end(migration)
                await database.commit(migration)

    async def fill(self, target: Target, objects: Mapping[Key, DatabaseObject], row_count: int | None = None) -> None:
        """Insert sample rows into all tables, beside any that they hold.

        Args:
            target: The database.
            objects: The objects of its schema.
            row_count: The most rows for each table; None for all that fit.
        """
        body = queries.quoted(filling(sample_tables(objects), row_count), "kimbledb")
        await self._do(target, f"SET CONSTRAINTS ALL IMMEDIATE;\nDO {body};\n")

    async def _do(self, target: Target, text: str) -> None:
        async with target.session(OPTIONS) as session:
            state = await history.look(session, SCHEMA)
            path = session.path(Site.of(state, SCHEMA, self.catalog).path)
            await session.send(f"BEGIN;\n{session.settings()}{path}{text}COMMIT;\n")

    # Queries.

    async def look(self, target: Target) -> Look:
        """Return the contents of the schema."""
        async with target.session(OPTIONS) as session:
            state = await history.look(session, SCHEMA)
            path = state.search_path(SCHEMA, self.catalog.extensions)
            objects = await snapshot.take(session, SCHEMA, path, reached=schemas_reached(self.catalog))
            contents = queries.block("contents", schema_literal=quote_literal(SCHEMA), names="NULL")
            settings = session.settings() + pin(PINNED_FOR_QUESTIONS)
            [answer] = await session.send(f"BEGIN READ ONLY;\n{settings}{contents}COMMIT;\n")
        return Look(objects, answer.value["tables"], answer.value["sequences"])

    async def checks(self, target: Target, migration: Migration) -> list[Check]:
        """Run the checks of a migration, whether or not it is applied."""
        async with target.session(OPTIONS) as session:
            state = await history.look(session, SCHEMA)
            site = Site.of(state, SCHEMA, self.catalog)
            found, _ = await checks.verify_migrations(session, [migration], site.path, site.reached)
            return found
