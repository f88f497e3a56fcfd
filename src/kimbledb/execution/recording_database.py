"""A database of a recording: scripts run in it whole or statement by statement, and snapshots are taken in between.

The rules of a run hold: its settings, its search_path, and the check of what a script does in other schemas.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from attrs import evolve

from kimbledb.catalog import statements
from kimbledb.catalog.catalog import Catalog
from kimbledb.catalog.statements import Statement
from kimbledb.errors import MigrationError
from kimbledb.execution import bootstrap, error_location
from kimbledb.execution.messages import Messages, before_script, check_reach, keep_older, take_back
from kimbledb.execution.recording_snapshots import ALL, PRIVILEGES, Snapshots
from kimbledb.execution.step_errors import with_cancel_reason
from kimbledb.execution.work import Work
from kimbledb.inspection import history
from kimbledb.inspection.proof import Site
from kimbledb.model.migration import Migration, schemas_reached
from kimbledb.model.objects import Facts, Key
from kimbledb.model.script import Part, Script
from kimbledb.model.snapshot import Snapshot
from kimbledb.model.state import PLATFORMS, DatabaseState
from kimbledb.server.codes import ABOUT_ROWS, NEEDS_NO_TRANSACTION, own_code
from kimbledb.server.driver import ServerError
from kimbledb.server.loops import END_OF_SCRIPT, before_scripts, written
from kimbledb.server.session import Session

#: The target schema of a recording. No name of a schema is in what is recorded.
SCHEMA = "public"
#: The functions of the server that look for what only some servers have: a role, a collation, an extension.
_OF_THE_SERVER = frozenset({"get_role_oid", "get_collation_oid", "parse_extension_control_file"})
#: The name of a default privilege of the current role: a class of objects, and the role that it is granted to.
_DEFAULT = re.compile(r"(\w+) of current_user to (.+)", re.DOTALL)
#: The classes of objects in default privileges, by the first word of a privilege's name.
_CLASSES = {"table": "tables", "view": "tables", "sequence": "sequences", "function": "functions", "type": "types"}


class RecordingDatabase:
    """One database, to which migrations are applied one after the other.

    Where a platform grants privileges by default, snapshots leave out those that it alone grants: another hosted server
    may grant other things. A second database without such grants goes the same way, and shows which ones migrations make.
    """

    def __init__(self, session: Session, state: DatabaseState, site: Site) -> None:
        """Take a database that is prepared: ``open()`` does it.

        Args:
            session: A session of the database. Nobody else uses the database.
            state: The state of the database after its preparation.
            site: The schemas in which scripts look names up, and those that migrations declare to reach.
        """
        self.session = session
        self.state = state
        self.messages = Messages(session, site)
        #: The objects outside of the schema that the migrations so far reach.
        self.reached: tuple[str, ...] = ()
        self._path = tuple(site.path)
        #: Takes snapshots of all objects, with what the platform grants by default.
        self.snapshots = Snapshots(session, SCHEMA, self._path)
        #: The same database without the platform's grants, or None where the platform grants nothing.
        self._plain: RecordingDatabase | None = None
        #: The platform's default privileges: facts by the class of objects and the role.
        self._by_default: dict[tuple[str, str], Facts] = {}
        #: The privileges that migrations granted up to here, and before the open transaction.
        self._granted: Mapping[Key, Facts] = {}
        self._granted_before: Mapping[Key, Facts] = {}

    @classmethod
    async def open(
        cls, session: Session, catalog: Catalog, migrations: Sequence[Migration], plain: RecordingDatabase | None = None
    ) -> RecordingDatabase:
        """Prepare an empty database for migrations: history and the extensions that they need.

        Args:
            session: A session of the database.
            catalog: The catalog.
            migrations: The migrations that will be recorded.
            plain: The same database without the platform's grants, or None where the platform grants nothing.

        Raises:
            PreflightError: The server lacks an extension, or the role a privilege.
        """
        state = await history.look(session, SCHEMA)
        state = await bootstrap.prepare(session, state, SCHEMA, migrations, schemas_reached(catalog))
        database = cls(session, state, Site.of(state, SCHEMA, catalog))
        if plain is not None:
            database._by_default = _defaults_in(await database.snapshot())
            database._plain = plain
        return database

    # Scripts.

    async def run(self, migration: Migration) -> None:
        """Run a script as a whole, and leave its transaction open.

        Args:
            migration: The migration.

        Raises:
            MigrationError: A statement failed.
        """
        if self._plain is not None:
            await self._plain.run(migration)
            await self._learn_grants()
        self.snapshots.forget()
        work = self._work(migration)
        ahead = self._ahead(migration, closed=migration.closed)
        body = self.messages.body(work)
        try:
            await self.session.transact(self.messages.begin(work), ahead + written(body) + self.messages.ending(work))
        except ServerError as error:
            places = before_scripts(self.session.prefix + ahead, body)
            at = error_location.failed_script(error, places, self.session.completed)
            offset = error_location.offset_of(error, work.scripts[at].text, places[at], self.session.completed)
            raise await self._failed(
                migration, error, offset, exact=bool(error.position), script=work.scripts[at]
            ) from error

    def scripts_of(self, migration: Migration) -> dict[Part, Script]:
        """Return the scripts that apply a migration on the platform of the database, in order."""
        return migration.applied_scripts(hosted=self.state.hosted)

    async def begin(self, migration: Migration) -> None:
        """Open a transaction for the statements of the scripts of a migration."""
        if self._plain is not None:
            await self._plain.begin(migration)
        await self.session.transact(self.messages.begin(self._work(migration)), self._ahead(migration))

    async def begin_hosted(self, migration: Migration) -> None:
        """Run the statements of hosted.sql in the open transaction.

        Raises:
            MigrationError: A deferred constraint or trigger failed.
        """
        if self._plain is not None:
            await self._plain.begin_hosted(migration)
        try:
            await self.session.send(self.messages.between(self._work(migration), closing=False))
        except ServerError as error:
            raise await self._failed(migration, error, None, exact=False) from error

    async def send(self, migration: Migration, part: Part, statement: Statement) -> None:
        """Run a statement of a script in the open transaction.

        Args:
            migration: The migration.
            part: The script.
            statement: The statement.

        Raises:
            MigrationError: It failed.
        """
        if self._plain is not None:
            await self._plain.send(migration, part, statement)
            await self._learn_grants()
        self.snapshots.forget()
        closes = migration.closed and part == "apply"
        try:
            if closes:
                await self.session.send(keep_older(goes_on=True))
            await self.session.send(statement.text + END_OF_SCRIPT + (take_back() if closes else ""))
        except ServerError as error:
            raise await self._failed_at(migration, error, part, statement) from error

    async def end(self, migration: Migration) -> None:
        """Do what follows the last statement of a script. The transaction stays open.

        Raises:
            MigrationError: A deferred constraint or trigger failed.
        """
        if self._plain is not None:
            await self._plain.end(migration)
        try:
            await self.session.send(self.messages.after(self._work(migration)))
        except ServerError as error:
            raise await self._failed(migration, error, None, exact=False) from error

    async def commit(self, migration: Migration) -> None:
        """Check what a script did in other schemas, and commit it.

        Raises:
            MigrationError: It reached outside of the schema.
        """
        if self._plain is not None:
            await self._plain.commit(migration)
        try:
            await self.session.send(
                self.messages.settings(self._work(migration))
                + self.session.path()
                + check_reach(SCHEMA, migration.reaches)
                + self.session.leaving()
                + "COMMIT;\n"
            )
        except ServerError as error:
            raise await self._failed(migration, error, None, exact=False) from error
        self._granted_before = self._granted
        self.snapshots.keep()

    async def roll_back(self) -> None:
        """End the open transaction."""
        if self._plain is not None:
            await self._plain.roll_back()
        self._granted = self._granted_before
        self.snapshots.forget()
        await self.session.roll_back()

    async def begin_outside(self, migration: Migration) -> None:
        """Set the settings of the session for the statements of a script that cannot run in a transaction."""
        if self._plain is not None:
            await self._plain.begin_outside(migration)
        settings = self.session.settings(statement_timeout=migration.statement_timeout, for_session=True)
        await self.session.send(settings + self.session.path(self._path, for_session=True))

    async def run_outside(self, migration: Migration, part: Part, statement: Statement) -> None:
        """Run a statement in a transaction of its own, or in none where the server refuses that.

        Args:
            migration: The migration.
            part: The script.
            statement: The statement.

        Raises:
            MigrationError: It failed.
        """
        if self._plain is not None:
            await self._plain.run_outside(migration, part, statement)
        self.snapshots.lose()
        closes = migration.closed and part == "apply"
        before = before_script(SCHEMA, self._path, migration.reaches, closed=closes)
        checking = (take_back() if closes else "") + self.session.path() + check_reach(SCHEMA, migration.reaches)
        try:
            if not statements.runs_alone(statement.skeleton):
                try:
                    await self.session.send(f"BEGIN;\n{before}{statement.text}{END_OF_SCRIPT}{checking}COMMIT;\n")
                except ServerError as error:
                    if error.sqlstate not in NEEDS_NO_TRANSACTION:
                        raise
                else:
                    return
            await self.session.send(statement.text)
        except ServerError as error:
            raise await self._failed_at(migration, error, part, statement) from error

    def _ahead(self, migration: Migration, *, closed: bool = False) -> str:
        """Return the part of the message between BEGIN and the first script."""
        before = before_script(SCHEMA, self._path, migration.reaches, closed=closed)
        return self.messages.settings(self._work(migration)) + before

    def _work(self, migration: Migration) -> Work:
        return Work(migration=migration, part="apply", hosted=self.state.hosted, last=False, run="")

    # Snapshots.

    async def prepare(self, *names: str, scope: Sequence[Key] = ()) -> None:
        """Make the functions that take snapshots, outside of a script's transaction.

        Args:
            names: Those that will be used: ``ALL``, ``SOURCES`` or ``SCOPE``.
            scope: The objects that ``SCOPE`` looks at.
        """
        await self.snapshots.prepare(*names, reached=self.reached, scope=scope)
        if self._plain is not None:
            await self._plain.snapshots.prepare(PRIVILEGES, reached=self.reached)

    async def objects(self, name: str) -> Snapshot:
        """Take a snapshot in the open transaction, without what the platform grants by default.

        Args:
            name: The function that takes it, which was prepared.
        """
        return self._without_defaults(await self.snapshots.take(name))

    async def whole(self) -> Snapshot:
        """Take a snapshot of all objects, with what the platform grants by default, where no transaction is open."""
        await self.prepare(ALL)
        if self.snapshots.held is None:
            await self.session.send("BEGIN;\n")
            await self.snapshots.take(ALL)
            await self.session.send("ROLLBACK;\n")
            self.snapshots.keep()
        assert self.snapshots.held is not None
        return self.snapshots.held

    async def snapshot(self, name: str = ALL) -> Snapshot:
        """Take a snapshot where no transaction is open.

        Args:
            name: The function that takes it.
        """
        await self.prepare(name)
        if self._plain is not None:
            await self._plain.session.send("BEGIN;\n")
            await self._learn_grants()
            await self._plain.session.send("ROLLBACK;\n")
            self._plain.snapshots.keep()
            self._granted_before = self._granted
        await self.session.send("BEGIN;\n")
        found = await self.objects(name)
        await self.session.send("ROLLBACK;\n")
        self.snapshots.keep()
        return found

    async def _learn_grants(self) -> None:
        assert self._plain is not None
        self._granted = (await self._plain.objects(PRIVILEGES)).objects

    def _without_defaults(self, found: Snapshot) -> Snapshot:
        if not self._by_default:
            return found
        # A migration's grants, without the platform's default privileges for the same role.
        objects = {
            key: self._granted.get(key, facts) if key[0] == "privilege" else facts
            for key, facts in found.objects.items()
            if not self._is_default(key, facts)
        }
        return evolve(found, objects=objects, identities={key: found.identities[key] for key in objects})

    def _is_default(self, key: Key, facts: Facts) -> bool:
        if key[0] != "privilege" or key in self._granted:
            return False
        granted, _, role = key[1].rpartition(" to ")
        return self._by_default.get((_CLASSES.get(granted.partition(" ")[0], ""), role)) == facts

    # Failures.

    async def _failed_at(
        self, migration: Migration, error: ServerError, part: Part, statement: Statement
    ) -> MigrationError:
        offset = error_location.offset_in(error, statement.text, statement.start)
        return await self._failed(migration, error, offset, exact=bool(error.position), script=migration.script(part))

    async def _failed(
        self, migration: Migration, error: ServerError, offset: int | None, *, exact: bool, script: Script | None = None
    ) -> MigrationError:
        await self.session.roll_back()
        script = script or migration.script("apply")
        located = error_location.locate(error, migration, script, offset=offset, exact=exact)
        located = await with_cancel_reason(self.session, error, located)
        cures = [cure for cure in (located.hint, _cure_of(error)) if cure is not None]
        attributes = {**located.attributes, "hint": "; ".join(cures) or None}
        return MigrationError(
            f"{migration.name} failed on an empty database of a {PLATFORMS[self.state.hosted]} server; nothing was recorded: {located}",
            failed=migration,
            **attributes,
        )


def _cure_of(error: ServerError) -> str | None:
    """Return the cure of an error that may come from the database of a recording, or None."""
    if own_code(error) is not None:
        return None
    if error.sqlstate[:2] in ABOUT_ROWS:
        return "migrations are recorded on a database without rows: let the statement succeed there, too"
    if error.source_function in _OF_THE_SERVER:
        return "or record on a server that has it: --server DSN"
    return None


def _defaults_in(found: Snapshot) -> dict[tuple[str, str], Facts]:
    """Return the default privileges on new objects of the current role, by the class of objects and the role."""
    defaults = {}
    for (kind, name), facts in found.objects.items():
        if kind == "default privilege" and (match := _DEFAULT.fullmatch(name)):
            defaults[match[1], match[2]] = facts
    return defaults
