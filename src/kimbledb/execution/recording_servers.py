"""The servers and databases of a recording: bare and hosted ones, and one database for each alternative."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from attrs import evolve, frozen

from kimbledb.catalog import declared
from kimbledb.catalog.catalog import Catalog
from kimbledb.errors import CatalogError, MigrationError, PreflightError
from kimbledb.execution.recording import Known, Recorded, Recorder
from kimbledb.execution.recording_database import RecordingDatabase
from kimbledb.execution.throwaway import Throwaway, prepared_for, throwaway
from kimbledb.model.evidence import Evidence
from kimbledb.model.migration import Migration
from kimbledb.model.objects import Key
from kimbledb.model.state import PLATFORMS
from kimbledb.planning.effects import Effect, of_platform
from kimbledb.planning.planner import Planner
from kimbledb.server.driver import ServerError, driver_errors
from kimbledb.server.options import Options
from kimbledb.server.retry import failure
from kimbledb.server.session import Session

#: A recording takes as long as it takes: its statements have their own limits.
_OPTIONS = Options(deadline=86_400.0, application_name="kimbledb declare")
_NO_SUCH_SCHEMA = "3F000"
_NO_SCHEMAS = (
    "new databases of this server are copies of its template1: make the schema there, or leave out --server, since the "
    "private server has those of a hosted platform (auth, storage, realtime, extensions)"
)
_NO_SERVER = "record from a server that has it: --server DSN"


@frozen
class Learned:
    """The recorded declarations of a catalog on one platform."""

    #: Whether it is the hosted platform.
    hosted: bool
    #: The version of the server, such as ``18.1``.
    server: str
    #: The recorded declarations of each migration, by name.
    recorded: Mapping[str, Recorded]
    #: The objects that could not be recorded, a line each.
    notes: tuple[str, ...] = ()


async def learn(
    catalog: Catalog,
    recorded: Sequence[Migration],
    server: str | None,
    *,
    attribute: bool,
    hosted: bool | None = None,
) -> list[Learned]:
    """Record migrations of a catalog on one platform or both.

    A catalog that runs on one platform alone is recorded there, with a note.

    Args:
        catalog: The migrations.
        recorded: Those that are recorded; the others are applied.
        server: The DSN of a server, on which databases are made and dropped again: the platform is that of the server.
            None for embedded servers of both platforms.
        attribute: Whether to find the statement of each part of an effect that is not as declared.
        hosted: The platform of an embedded server, where one is enough; None for both.

    Raises:
        ConfigurationError: The server cannot be used.
        ConnectionLostError: The server cannot be reached.
        EmbeddedServerError: No embedded server can be started.
        PreflightError: The server lacks what a migration needs.
        MigrationError: A migration failed.
        CatalogError: A migration states a rename that it does not do.
    """
    try:
        with driver_errors():
            if server is not None or hosted is not None:
                return [await _on_server(catalog, recorded, server, hosted=bool(hosted), attribute=attribute)]
            return await _together(
                *(_on_server(catalog, recorded, None, hosted=hosted, attribute=attribute) for hosted in (False, True))
            )
    except ServerError as error:
        raise failure(error, "recording") from error


async def _together(*works: Coroutine[object, object, Learned]) -> list[Learned]:
    """Return the declarations of both platforms, or of the one on which the catalog runs."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        found = await asyncio.gather(*tasks, return_exceptions=True)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    errors = [each for each in found if isinstance(each, BaseException)]
    learned = [each for each in found if isinstance(each, Learned)]
    if errors and (not learned or not isinstance(errors[0], MigrationError | PreflightError)):
        # The catalog is written for the platform on which it came further, or for the one that has more.
        raise max(reversed(errors), key=_reached)
    return [
        evolve(each, notes=(*each.notes, *(_of_one_platform(error, hosted=not each.hosted) for error in errors)))
        for each in learned
    ]


def _reached(error: BaseException) -> tuple[int, int]:
    """Return the place of a recording at which an error ended it: the number of the migration, and the line."""
    if not isinstance(error, MigrationError) or error.failed is None:
        return 0, 0
    # Without a line the script was complete, and a rule of a run refused it.
    return error.failed.number, error.line or sys.maxsize


def _of_one_platform(error: BaseException, *, hosted: bool) -> str:
    assert isinstance(error, MigrationError | PreflightError)
    lines = " ".join(line.strip() for line in error.message.splitlines()[:2])
    return f"not recorded on a {PLATFORMS[hosted]} server: {lines}"


async def _on_server(
    catalog: Catalog, recorded: Sequence[Migration], server: str | None, *, hosted: bool, attribute: bool
) -> Learned:
    async with throwaway(server, "declare", _OPTIONS, hosted=hosted) as databases:
        recording = _Recording(catalog, recorded, databases, makes_hosted=hosted, attribute=attribute)
        try:
            return await recording.learned()
        except MigrationError as error:
            if server is not None and error.sqlstate == _NO_SUCH_SCHEMA:
                error.hint = _NO_SCHEMAS
            raise


class _Recording:
    """Records a catalog on one server."""

    def __init__(
        self,
        catalog: Catalog,
        recorded: Sequence[Migration],
        databases: Throwaway,
        *,
        makes_hosted: bool,
        attribute: bool,
    ) -> None:
        """Take a server.

        Args:
            catalog: The migrations.
            recorded: As for ``learn()``.
            databases: Makes databases on the server.
            makes_hosted: Whether new databases become those of a hosted platform.
            attribute: As for ``learn()``.
        """
        self._catalog = catalog
        self._wanted = recorded
        self._databases = databases
        self._makes_hosted = makes_hosted
        self._attribute = attribute
        self._recorded: dict[str, Recorded] = {}
        self._notes: list[str] = []
        self._hosted = False
        self._server = ""

    async def learned(self) -> Learned:
        for prefer, only in branches(self._catalog, self._wanted):
            async with AsyncExitStack() as stack:
                plain = await stack.enter_async_context(self._session(grants=False)) if self._makes_hosted else None
                session = await stack.enter_async_context(self._session())
                await self._record(session, plain, prefer, only)
        return Learned(self._hosted, self._server, self._recorded, tuple(self._notes))

    async def _record(
        self, session: Session, plain: Session | None, prefer: Sequence[str], only: Migration | None
    ) -> None:
        """Record the migrations of one branch.

        Args:
            session: A session of the branch's database.
            plain: A session of a second database in which the platform grants nothing by default; None without one.
            prefer: The alternatives of the branch.
            only: The migration for which the branch is made; None for all.
        """
        planner = Planner(self._catalog, prefer=prefer)
        plan = planner.plan(evidence=Evidence(), to=None if only is None else only.name)
        migrations = [step.migration for step in plan.pending]
        try:
            without = None if plain is None else await RecordingDatabase.open(plain, self._catalog, migrations)
            database = await RecordingDatabase.open(session, self._catalog, migrations, without)
            self._hosted, self._server = database.state.hosted, database.state.server_version
            recorder = await Recorder.of(database, [each for each in migrations if each not in self._wanted])
            for migration in migrations:
                if migration in self._wanted:
                    await self._record_one(recorder, migration)
        except PreflightError as error:
            if only is None or not _is_of_the_other_platform(only, hosted=self._hosted):
                error.hint = _NO_SERVER
                raise
            self._notes.append(_not_recorded(only, error))
        except MigrationError as error:
            if only is None or error.failed is not only or not _is_of_the_other_platform(only, hosted=self._hosted):
                raise
            self._notes.append(_not_recorded(only, error))

    async def _record_one(self, recorder: Recorder, migration: Migration) -> None:
        known = known_of(migration, hosted=self._hosted)
        is_new = migration.name not in self._recorded
        found = await recorder.record(migration, known, attribute=self._attribute and is_new)
        if is_new:
            self._recorded[migration.name] = found

    @asynccontextmanager
    async def _session(self, *, grants: bool = True) -> AsyncIterator[Session]:
        """Make a database, and open a session of it.

        Args:
            grants: Whether a hosted platform grants privileges by default.
        """
        prepare = prepared_for(hosted=self._makes_hosted, grants=grants)
        async with self._databases.database(prepare=prepare) as target, target.session(_OPTIONS) as session:
            yield session


def _is_of_the_other_platform(migration: Migration, *, hosted: bool) -> bool:
    return migration.default_when == "hosted" and not hosted


def _not_recorded(migration: Migration, error: PreflightError | MigrationError) -> str:
    return (
        f"{migration.name} is for hosted databases, and was not recorded on a bare one: {error.message.splitlines()[0]}"
    )


def known_of(migration: Migration, *, hosted: bool) -> Known | None:
    """Return the content of a migration's declarations, or None if they are missing, faulty or of another text.

    Args:
        migration: The migration.
        hosted: The platform.
    """
    if not migration.is_declared:
        return None
    try:
        declarations = migration.recorded_declarations
    except CatalogError:
        return None
    sources: dict[Key, str] = {}
    for each in declarations.statements:
        own = declared.statement_at(migration.script(each.part), each.line, each.column)
        if own is None:
            return None
        if each.hosted in (None, hosted):
            made = (*each.creates, *each.changes)
            sources |= {item.key: item.source for item in made if item.source is not None and item.source != own}
    return Known(
        Effect.declared(declarations.statements, hosted=hosted),
        of_platform(declarations.statements, hosted=hosted),
        declarations.server,
        sources,
    )


def branches(catalog: Catalog, recorded: Iterable[Migration]) -> Iterator[tuple[list[str], Migration | None]]:
    """Yield the choices among alternatives by which every recorded migration is applied in one of them.

    The first choice is that of a bare database on every platform, so that the platforms can be compared.

    Args:
        catalog: The migrations.
        recorded: As for ``learn()``.

    Yields:
        The names of the chosen alternatives, and the migration for which the choice is made; None for the first one.
    """
    first = _choice(catalog, None)
    yield first, None
    for migration in recorded:
        if migration.alternatives and migration.name not in first:
            yield _choice(catalog, migration), migration


def _choice(catalog: Catalog, wanted: Migration | None) -> list[str]:
    chosen = [] if wanted is None else [wanted]
    for thing in catalog.provided:
        providers = catalog.providers(thing)
        if len(providers) == 1 or any(each in chosen for each in providers):
            continue
        free = [each for each in providers if not any(other.name in each.alternatives for other in chosen)]
        if free:
            chosen.append(next((each for each in free if each.default), free[0]))
    return [each.name for each in chosen]
