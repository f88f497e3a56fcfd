"""The recorder: applies migrations to a database of its own, and learns what each of their statements does.

A migration runs twice. First its script runs as a whole, as in any run, and a snapshot before and one after it give its
effect. Where that is what its declarations say, they stay, and it is committed. Else it is rolled back and runs again,
statement by statement, with a snapshot after each. These snapshots look at the objects of the effect alone, so that
their cost is in line with the migration and not with the schema.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from attrs import evolve, field, frozen

from kimbledb.catalog import declared, statements
from kimbledb.catalog.catalog import Catalog
from kimbledb.catalog.statements import Statement
from kimbledb.errors import CatalogError, MigrationError
from kimbledb.execution import bootstrap, error_location
from kimbledb.execution.messages import END_OF_SCRIPT, Messages, before_script, check_reach
from kimbledb.execution.rollback_proof import RollbackProof
from kimbledb.execution.step_errors import with_cancel_reason
from kimbledb.execution.work import Work
from kimbledb.inspection import history, snapshot
from kimbledb.inspection.proof import Site
from kimbledb.model.clock import stopwatch
from kimbledb.model.declarations import Declarations, DeclaredStatement
from kimbledb.model.fault import Fault
from kimbledb.model.migration import Migration, schemas_reached
from kimbledb.model.names import quote_literal
from kimbledb.model.objects import OBJECT_KINDS, Facts, Key
from kimbledb.model.snapshot import Snapshot
from kimbledb.model.state import DatabaseState
from kimbledb.planning.effects import Attribution, Effect, UnknownRenameError, effect_of, statements_with
from kimbledb.server import queries
from kimbledb.server.codes import own_code
from kimbledb.server.driver import ServerError
from kimbledb.server.search_path import path_of
from kimbledb.server.session import Session
from kimbledb.server.settings import PINNED_FOR_QUESTIONS, pin

#: The target schema of a recording. No name of a schema is in what is recorded.
SCHEMA = "public"
#: The SQLSTATEs of "cannot run inside a transaction block" and of "invalid transaction termination".
_WANTS_NO_TRANSACTION = frozenset({"25001", "2D000"})
_SYNTAX_ERROR = "42601"
_SAVEPOINT = "kimbledb_recording"
#: The name of a default privilege of the current role: a class of objects, and the role that it is granted to.
_DEFAULT = re.compile(r"(\w+) of current_user to (.+)", re.DOTALL)
#: The classes of objects in default privileges, by the first word of a privilege's name.
_CLASSES = {"table": "tables", "view": "tables", "sequence": "sequences", "function": "functions", "type": "types"}


@frozen
class Known:
    """What the declarations of a migration say of one platform."""

    effect: Effect
    statements: tuple[DeclaredStatement, ...]
    #: The version of the server from which they were recorded.
    server: str
    #: The statements that the file itself holds, since no statement of the script makes the object.
    sources: Mapping[Key, str] = field(factory=dict)


@frozen
class Recorded:
    """What a recorder learned of a migration on one platform."""

    migration: Migration
    #: Its effect.
    effect: Effect
    #: The statements that have the effect, or None where only the effect was asked for.
    statements: tuple[DeclaredStatement, ...] | None
    #: What its declarations say, or None if there are none for its text.
    known: Known | None
    #: Whether they say what it does.
    in_step: bool
    #: The objects for which they hold another statement than the server has.
    other_sources: tuple[Key, ...]
    #: Seconds that it took.
    seconds: float
    #: The reason why no rollback can be derived for it, or None if one is proven, or if none is wanted.
    no_rollback: str | None = None
    #: Whether a rollback was derived and proven, or none is wanted.
    is_tried: bool = False

    @property
    def declared_statements(self) -> tuple[DeclaredStatement, ...] | None:
        """The statements with their effects: those found now, else those of its declarations; None if neither is right."""
        if self.statements is None and self.in_step and self.known is not None:
            return self.known.statements
        return self.statements


class Recorder:
    """Applies migrations to one database, one after the other, and records the effect of each."""

    def __init__(self, session: Session, state: DatabaseState, site: Site) -> None:
        """Take a database that is prepared: ``open()`` does it.

        Args:
            session: A session of the database. Nobody else uses the database.
            state: The state of the database after its preparation.
            site: The schemas in which scripts look names up, and those that migrations declare to reach.
        """
        self.session = session
        self.state = state
        self._path = tuple(site.path)
        self._messages = Messages(session, site)
        #: The objects after the last migration.
        self._before = Snapshot({})
        #: What the platform's default privileges give on new objects: facts by the class of objects and the role.
        self._platform: dict[tuple[str, str], Facts] = {}
        #: A database of the same platform without these, which shows the privileges that migrations grant.
        self._plain: Recorder | None = None
        #: The privileges that the migrations so far granted.
        self._granted: frozenset[Key] = frozenset()
        #: The functions that take snapshots, by their names, with the queries that they run.
        self._functions: dict[str, str] = {}
        #: What the migrations so far reach.
        self._reached: tuple[str, ...] = ()
        #: The migrations so far, with their declarations for this platform; None where those of one are not known.
        self._earlier: list[Migration] | None = []

    @classmethod
    async def open(
        cls, session: Session, catalog: Catalog, migrations: Sequence[Migration], plain: Recorder | None = None
    ) -> Recorder:
        """Prepare an empty database for migrations: history and the extensions that they need.

        Args:
            session: A session of the database.
            catalog: The catalog.
            migrations: The migrations that will be recorded.
            plain: For a database in which a platform grants privileges by default: a database of the same platform
                where it grants none. Then what the platform alone grants is not recorded.

        Raises:
            PreflightError: The server lacks an extension, or the role a privilege.
        """
        reached = schemas_reached(catalog)
        state = await history.look(session, SCHEMA)
        state = await bootstrap.prepare(session, state, SCHEMA, migrations, reached)
        recorder = cls(session, state, Site.of(state, SCHEMA, catalog))
        recorder._before = await recorder._snapshot()
        if plain is not None:
            recorder._plain, recorder._platform = plain, _defaults_in(recorder._before)
        return recorder

    async def record(
        self, migration: Migration, known: Known | None, *, attribute: bool, prove: bool = True
    ) -> Recorded:
        """Apply the next migration, and return what it does.

        Args:
            migration: The migration.
            known: What its declarations say, if they were recorded from its text; else None. They stay where they
                say what it does.
            attribute: Whether to find the statement of each part of another effect.
            prove: Whether to derive and prove a rollback where the migration has none.

        Raises:
            MigrationError: A statement failed, with its place and the cure.
            CatalogError: ``renames`` in its migration.toml names what it does not rename.
        """
        clock = stopwatch()
        reaches = tuple(dict.fromkeys((*self._reached, *migration.reaches)))
        if reaches != self._reached:
            self._reached = reaches
            self._before = await self._snapshot()
        if self._plain is not None:
            await self._plain.apply(migration)
            self._granted = await self._plain.privileges()
        before = self._before
        found = await self._record(migration, known, clock, attribute=attribute)
        if found.declared_statements is None or self._earlier is None:
            self._earlier = None
            return found
        declarations = Declarations(found.declared_statements, migration.checksum)
        declared_now = Migration(**{**migration.parts(), "declare": lambda: declarations})
        reason = None
        if prove and migration.wants_derived_rollback:
            await self._function("kimbledb_all", None)
            proof = RollbackProof(
                messages=self._messages,
                hosted=self.state.hosted,
                take=partial(self._objects, "kimbledb_all"),
            )
            reason = await proof.reason_against(declared_now, self._earlier, before, self._before)
        self._earlier.append(declared_now)
        return evolve(found, no_rollback=reason, is_tried=True, seconds=clock())

    async def _record(
        self, migration: Migration, known: Known | None, clock: Callable[[], float], *, attribute: bool
    ) -> Recorded:
        if not migration.transactional:
            return await self._record_outside(migration, known, clock, attribute=attribute)
        sources = known is not None and bool(known.sources)
        function = await self._function("kimbledb_sources" if sources else "kimbledb_all", None, sources=sources)
        await self._run(migration)
        after = await self._objects(function)
        effect = self._effect(migration, after)
        others = self._other_sources(known, after)
        in_step = self._is_in_step(effect, known) and not others
        if in_step or not attribute:
            await self._commit(migration)
            self._before = after
            return Recorded(migration, effect, None, known, in_step, others, clock())
        await self.session.roll_back()
        scope = effect.keys()
        found, snapshots, after = await self._step_by_step(migration, scope)
        effect = self._effect(migration, after)
        if not set(effect.keys()) <= set(scope):
            # It does not do the same thing twice: no scope is right.
            await self.session.roll_back()
            found, snapshots, after = await self._step_by_step(migration, None)
            effect = self._effect(migration, after)
        await self._commit(migration)
        attributed = self._attributed(migration, found, snapshots, after, effect)
        self._before = after
        return Recorded(migration, effect, attributed, known, in_step, others, clock())

    async def apply(self, migration: Migration) -> None:
        """Apply the next migration, and record nothing.

        Args:
            migration: The migration.

        Raises:
            MigrationError: A statement failed.
        """
        if migration.transactional:
            await self._run(migration)
            await self._commit(migration)
            return
        await self._begin_outside(migration)
        for statement in statements.split(migration.apply_sql):
            await self._run_outside(migration, statement)

    async def privileges(self) -> frozenset[Key]:
        """Return the kinds and names of the privileges on the objects of the schema."""
        text = snapshot.query(SCHEMA, ("privilege",), reached=self._reached)
        block = queries.block("printed", path=quote_literal(path_of(self._path)), question=text)
        return frozenset(snapshot.snapshot_of(await self.session.ask(block)).objects)

    async def _record_outside(
        self,
        migration: Migration,
        known: Known | None,
        clock: Callable[[], float],
        *,
        attribute: bool,
    ) -> Recorded:
        """Record a migration that cannot run in a transaction, and so runs once."""
        snapshots = [self._before]
        found = list(statements.split(migration.apply_sql))
        await self._begin_outside(migration)
        for statement in found:
            await self._run_outside(migration, statement)
            if attribute:
                snapshots.append(await self._snapshot(sources=True))
        after = snapshots[-1] if attribute else await self._snapshot(sources=True)
        effect = self._effect(migration, after)
        others = self._other_sources(known, after)
        in_step = self._is_in_step(effect, known) and not others
        attributed = None
        if attribute and not in_step:
            attributed = self._attributed(migration, found, snapshots, after, effect)
        self._before = after
        return Recorded(migration, effect, attributed, known, in_step, others, clock())

    def _is_in_step(self, effect: Effect, known: Known | None) -> bool:
        """Return whether declarations say what a migration does, as far as this server can tell."""
        if known is None:
            return False
        return effect == known.effect if self._is_of(known.server) else effect.resembles(known.effect)

    def _is_of(self, server: str) -> bool:
        """Return whether a version is of the same major version as this server, which then prints the same."""
        return server.partition(".")[0] == str(self.state.version_number // 10_000)

    def _other_sources(self, known: Known | None, after: Snapshot) -> tuple[Key, ...]:
        """Return the objects for which declarations hold another statement than this server has."""
        if known is None or not self._is_of(known.server):
            return ()
        return tuple(key for key, source in known.sources.items() if after.sources.get(key) != source)

    def _effect(self, migration: Migration, after: Snapshot) -> Effect:
        try:
            return effect_of(self._before, after, migration.renames)
        except UnknownRenameError as error:
            where = migration.location if migration.is_flat else f"{migration.location}/migration.toml"
            raise CatalogError(
                [Fault(where, f"renames: {error}", "correct the names, or remove them: most renames are recognised")]
            ) from error

    def _attributed(
        self,
        migration: Migration,
        found: Sequence[Statement],
        snapshots: Sequence[Snapshot],
        after: Snapshot,
        effect: Effect,
    ) -> tuple[DeclaredStatement, ...]:
        script = migration.script("apply")
        parts = Attribution(snapshots).statements_of(effect)
        return statements_with(
            (
                ("apply", *declared.place_of(script, found[number].start), part, _sources(found[number], part, after))
                for number, part in parts.items()
            )
        )

    # What is sent.

    async def _run(self, migration: Migration) -> None:
        """Run a script as a whole, and leave its transaction open."""
        work = self._work(migration)
        ahead = self._ahead(migration)
        try:
            await self.session.transact(
                self._messages.begin(work), ahead + migration.apply_sql + self._messages.after(work)
            )
        except ServerError as error:
            place = self.session.prefix + ahead
            offset = error_location.offset_of(error, migration.apply_sql, place, self.session.completed)
            raise await self._failed(migration, error, offset, exact=bool(error.position)) from error

    async def _step_by_step(
        self, migration: Migration, scope: Sequence[Key] | None
    ) -> tuple[list[Statement], list[Snapshot], Snapshot]:
        """Run a script statement by statement, and leave its transaction open.

        Args:
            migration: The migration.
            scope: The objects that snapshots look at; None for all.

        Returns:
            The statements, the snapshots before the first and after each of them, and a snapshot of all at the end.
        """
        # Functions are made outside of the transaction, so that they do not count as the script's.
        at_end = await self._function("kimbledb_sources", None, sources=True)
        function = at_end if scope is None else await self._function("kimbledb_scope", scope)
        await self.session.transact(self._messages.begin(self._work(migration)), self._ahead(migration))
        found = list(statements.split(migration.apply_sql))
        snapshots = [await self._objects(function)]
        for statement in found:
            try:
                await self.session.send(statement.text + END_OF_SCRIPT)
            except ServerError as error:
                raise await self._failed_at(migration, error, statement) from error
            snapshots.append(await self._objects(function))
        try:
            await self.session.send(self._messages.after(self._work(migration)))
        except ServerError as error:
            raise await self._failed(migration, error, None, exact=False) from error
        return found, snapshots, await self._objects(at_end)

    async def _begin_outside(self, migration: Migration) -> None:
        settings = self.session.settings(statement_timeout=migration.statement_timeout, for_session=True)
        await self.session.send(settings + self.session.path(self._path, for_session=True))

    async def _run_outside(self, migration: Migration, statement: Statement) -> None:
        """Run a statement in a transaction of its own, or in none where the server refuses that."""
        before = before_script(SCHEMA, self._path, migration.reaches)
        checking = self.session.path() + check_reach(SCHEMA, migration.reaches)
        try:
            if not statements.runs_alone(statement.skeleton):
                try:
                    await self.session.send(f"BEGIN;\n{before}{statement.text}{END_OF_SCRIPT}{checking}COMMIT;\n")
                except ServerError as error:
                    if error.sqlstate not in _WANTS_NO_TRANSACTION:
                        raise
                else:
                    return
            await self.session.send(statement.text)
        except ServerError as error:
            raise await self._failed_at(migration, error, statement) from error

    async def _commit(self, migration: Migration) -> None:
        try:
            await self.session.send(
                self._messages.settings(self._work(migration))
                + self.session.path()
                + check_reach(SCHEMA, migration.reaches)
                + self.session.leaving()
                + "COMMIT;\n"
            )
        except ServerError as error:
            raise await self._failed(migration, error, None, exact=False) from error

    def _ahead(self, migration: Migration) -> str:
        """Return the part of the message between BEGIN and the script."""
        return self._messages.settings(self._work(migration)) + before_script(SCHEMA, self._path, migration.reaches)

    def _work(self, migration: Migration) -> Work:
        return Work(migration=migration, part="apply", last=False, run="")

    async def _function(self, name: str, scope: Sequence[Key] | None, *, sources: bool = False) -> str:
        """Make a function that takes a snapshot: the server then plans its long query once, and not each time.

        Args:
            name: The name of the function among the session's temporary objects.
            scope: The objects to look at; None for all.
            sources: Whether the snapshot holds sources.
        """
        kinds, names = (OBJECT_KINDS, None) if scope is None else snapshot.scope_of(SCHEMA, scope)
        # A scope names the objects of other schemas, too.
        reached = self._reached if scope is None else ()
        text = snapshot.query(SCHEMA, kinds, names, reached=reached, identities=True, sources=sources)
        if self._functions.get(name) != text:
            body = queries.filled("printed", path=quote_literal(path_of(self._path)), question=text)
            await self.session.send(
                f"CREATE OR REPLACE FUNCTION pg_temp.{name}() RETURNS void LANGUAGE plpgsql AS {queries.quoted(body, name)};"
            )
            self._functions[name] = text
        return name

    async def _objects(self, function: str) -> Snapshot:
        """Take a snapshot inside of a script's transaction, whose settings come back afterwards."""
        settings = self.session.settings() + pin(PINNED_FOR_QUESTIONS)
        [answer] = await self.session.send(
            f"SAVEPOINT {_SAVEPOINT};\n"
            f"SET LOCAL SESSION AUTHORIZATION DEFAULT;\nSET LOCAL ROLE NONE;\n{settings}"
            f"SELECT pg_temp.{function}();\n"
            f"ROLLBACK TO {_SAVEPOINT};\nRELEASE {_SAVEPOINT};\n"
        )
        return self._without_platform(snapshot.snapshot_of(answer.value))

    def _without_platform(self, found: Snapshot) -> Snapshot:
        """Leave out what nobody but the platform grants: another hosted server may grant other things by default."""
        if not self._platform:
            return found
        objects = {key: facts for key, facts in found.objects.items() if not self._is_platforms(key, facts)}
        return evolve(found, objects=objects, identities={key: found.identities[key] for key in objects})

    def _is_platforms(self, key: Key, facts: Facts) -> bool:
        if key[0] != "privilege" or key in self._granted:
            return False
        granted, _, role = key[1].rpartition(" to ")
        return self._platform.get((_CLASSES.get(granted.partition(" ")[0], ""), role)) == facts

    async def _snapshot(self, *, sources: bool = False) -> Snapshot:
        """Take a snapshot of all objects outside of a script's transaction."""
        function = await self._function("kimbledb_sources" if sources else "kimbledb_all", None, sources=sources)
        await self.session.send("BEGIN;\n")
        found = await self._objects(function)
        await self.session.send("ROLLBACK;\n")
        return found

    # What fails.

    async def _failed_at(self, migration: Migration, error: ServerError, statement: Statement) -> MigrationError:
        # The place of a statement that breaks off is right after it.
        offset = statement.start + min(error.position - 1 if error.position else 0, len(statement.text))
        return await self._failed(migration, error, offset, exact=bool(error.position))

    async def _failed(
        self, migration: Migration, error: ServerError, offset: int | None, *, exact: bool
    ) -> MigrationError:
        await self.session.roll_back()
        script = migration.script("apply")
        located = error_location.locate(error, migration, script, offset=offset, exact=exact)
        located = await with_cancel_reason(self.session, error, located)
        platform = "a hosted" if self.state.hosted else "a bare"
        cure = (
            "the migrations are recorded on a database without rows: let the statement hold there, too; for what only "
            "your server has, record from it: --server DSN"
        )
        hints = [located.hint] if located.hint is not None else []
        if error.sqlstate != _SYNTAX_ERROR and own_code(error) is None:
            hints.append(cure)
        attributes = {**located.attributes, "hint": "; ".join(hints) or None}
        return MigrationError(
            f"{migration.name} failed on an empty database of {platform} server; nothing was recorded: {located}",
            failed=migration,
            **attributes,
        )


def _defaults_in(found: Snapshot) -> dict[tuple[str, str], Facts]:
    """Return what default privileges give on new objects of the current role, by the class of objects and the role."""
    defaults = {}
    for (kind, name), facts in found.objects.items():
        if kind == "default privilege" and (match := _DEFAULT.fullmatch(name)):
            defaults[match[1], match[2]] = facts
    return defaults


def _sources(statement: Statement, part: Effect, after: Snapshot) -> Mapping[Key, str | None]:
    """Return the statement that makes each object of a part: its own, or that of the server where it has none."""
    return {
        key: statement.text if makes(statement, key) else after.sources.get(key)
        for key in (*part.creates, *part.changes)
        if key in after.sources
    }


def makes(statement: Statement, key: Key) -> bool:
    """Return whether a statement is the one that creates an object of this kind, by its first words."""
    words = statement.skeleton.lower().split()
    if not words or words[0] != "create":
        return False
    kind = key[0]
    said = {"function": {"function", "procedure", "aggregate"}, "view": {"view"}, "rule": {"rule"}}.get(kind, {kind})
    return any(word in said for word in words[1:6])
