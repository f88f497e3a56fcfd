"""The recorder: applies migrations to a database of its own, and learns what each of their statements does.

A migration runs twice. First its script runs as a whole, as in any run, and a snapshot before and one after it give its
effect. Where that is what its declarations say, they stay, and it is committed. Else it is rolled back and runs again,
statement by statement, with a snapshot after each. These snapshots look at the objects of the effect alone, and those of
the whole migration at what it touched (``kimbledb.execution.recording_snapshots``), so that their cost is in line with
the migration and not with the schema.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from attrs import evolve, field, frozen

from kimbledb.catalog import declared, statements
from kimbledb.catalog.statements import Statement
from kimbledb.errors import CatalogError, MigrationError
from kimbledb.execution.recording_database import RecordingDatabase
from kimbledb.execution.recording_snapshots import ALL, SCOPE, SOURCES
from kimbledb.execution.rollback_proof import RollbackProof
from kimbledb.model.clock import stopwatch
from kimbledb.model.declarations import Declarations, DeclaredStatement
from kimbledb.model.fault import Fault
from kimbledb.model.migration import Migration
from kimbledb.model.objects import DatabaseObject, Key
from kimbledb.model.script import Part, Script
from kimbledb.model.snapshot import Snapshot
from kimbledb.planning.derived_rollback import objects_after
from kimbledb.planning.effects import Attribution, Effect, UnknownRenameError, effect_of, statements_with
from kimbledb.planning.fold import fold


@frozen
class Known:
    """The declarations of a migration for one platform."""

    effect: Effect
    statements: tuple[DeclaredStatement, ...]
    #: The version of the server from which they were recorded.
    server: str
    #: The statements that the file itself holds, since no statement of the script makes the object.
    sources: Mapping[Key, str] = field(factory=dict)


@frozen
class Recorded:
    """The recorded declarations of a migration on one platform."""

    migration: Migration
    #: Its effect.
    effect: Effect
    #: The statements that have the effect, or None where only the effect was asked for.
    statements: tuple[DeclaredStatement, ...] | None
    #: Its declarations, or None if there are none for its text.
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


@frozen
class _Ran:
    """A statement that was run, with its script."""

    part: Part
    script: Script
    statement: Statement

    @property
    def place(self) -> tuple[int, int]:
        """Its line and its column, as declarations have them."""
        return declared.place_of(self.script, self.statement.start)


class Recorder:
    """Applies migrations to one database, one after the other, and records the effect of each."""

    def __init__(self, database: RecordingDatabase, before: Snapshot) -> None:
        """Take a database: ``of()`` does it.

        Args:
            database: The database, to which no migration was recorded yet.
            before: Its objects.
        """
        self._database = database
        #: The objects after the last migration.
        self._before = before
        #: The objects that the migrations so far declare for this platform; None where those of one are not known.
        self._declared: Mapping[Key, DatabaseObject] | None = {}

    @classmethod
    async def of(cls, database: RecordingDatabase, given: Sequence[Migration] = ()) -> Recorder:
        """Return the recorder of a database to which no migration was applied yet.

        Args:
            database: The database.
            given: Migrations that are applied first and not recorded: their declarations count as they are.

        Raises:
            MigrationError: A statement failed, with its place and the cure.
        """
        await database.prepare(ALL)
        for migration in given:
            await _apply(database, migration)
        database.reached = tuple(dict.fromkeys(name for each in given for name in each.reaches))
        recorder = cls(database, await database.snapshot())
        folded = fold(given, hosted=database.state.hosted) if all(each.is_declared for each in given) else None
        recorder._declared = None if folded is None else {item.key: item.each for item in folded}
        return recorder

    async def record(self, migration: Migration, known: Known | None, *, attribute: bool) -> Recorded:
        """Apply the next migration, and return its declarations.

        Args:
            migration: The migration.
            known: The content of its declarations, if they were recorded from its text; else None. They stay where they
                say what it does.
            attribute: Whether to find the statement of each part of another effect.

        Raises:
            MigrationError: A statement failed, with its place and the cure.
            CatalogError: ``renames`` in its migration.toml names what it does not rename.
        """
        clock = stopwatch()
        database = self._database
        reached = tuple(dict.fromkeys((*database.reached, *migration.reaches)))
        if reached != database.reached:
            database.reached = reached
            self._before = await database.snapshot()
        proving = migration.wants_derived_rollback
        before = await database.whole() if proving else self._before
        found = await self._record(migration, known, clock, attribute=attribute)
        if found.declared_statements is None or self._declared is None:
            self._declared = None
            return found
        declarations = Declarations(found.declared_statements, migration.checksum)
        declared_now = Migration(**{**migration.parts(), "declare": lambda: declarations})
        reason = None
        if proving:
            after = await database.whole()
            take = partial(database.snapshots.take, ALL)
            proof = RollbackProof(messages=database.messages, hosted=database.state.hosted, take=take)
            reason = await proof.reason_against(declared_now, self._declared, before, after)
        self._declared = objects_after(self._declared, declared_now, hosted=database.state.hosted)
        return evolve(found, no_rollback=reason, is_tried=True, seconds=clock())

    async def _record(
        self, migration: Migration, known: Known | None, clock: Callable[[], float], *, attribute: bool
    ) -> Recorded:
        if not migration.transactional:
            return await self._record_outside(migration, known, clock, attribute=attribute)
        database = self._database
        function = SOURCES if known is not None and known.sources else ALL
        await database.prepare(function)
        await database.run(migration)
        after = await database.objects(function)
        effect = self._effect(migration, after)
        others = self._other_sources(known, after)
        in_step = self._is_in_step(effect, known) and not others
        attributed = None
        if attribute and not in_step:
            await database.roll_back()
            effect, attributed, after = await self._attributed_again(migration, effect)
        await database.commit(migration)
        self._before = after
        return Recorded(migration, effect, attributed, known, in_step, others, clock())

    async def _attributed_again(
        self, migration: Migration, effect: Effect
    ) -> tuple[Effect, tuple[DeclaredStatement, ...], Snapshot]:
        """Run a migration statement by statement, and leave its transaction open.

        Args:
            migration: The migration.
            effect: Its effect when it ran as a whole.

        Returns:
            Its effect, the statements that have it, and the objects afterwards.

        Raises:
            MigrationError: A statement failed, or no statement has a part of the effect.
        """
        scope: list[Key] | None = effect.keys()
        while True:
            found, snapshots, after = await self._step_by_step(migration, scope)
            again = self._effect(migration, after)
            try:
                if scope is None or set(again.keys()) <= set(scope):
                    return again, self._attributed(found, snapshots, after, again), after
            except LookupError as error:
                if scope is None:
                    raise MigrationError(
                        f"{migration.name} cannot be recorded: {error}",
                        failed=migration,
                        hint="its statements do other things together than one by one: make them independent of that",
                    ) from error
            # It does not do the same thing twice: no scope is right.
            scope = None
            await self._database.roll_back()

    async def _step_by_step(
        self, migration: Migration, scope: Sequence[Key] | None
    ) -> tuple[list[_Ran], list[Snapshot], Snapshot]:
        """Run the scripts of a migration statement by statement, and leave its transaction open.

        Args:
            migration: The migration.
            scope: The objects that snapshots look at; None for all.

        Returns:
            The statements, the snapshots before the first and after each of them, and a snapshot of all at the end.
        """
        database = self._database
        function = SOURCES if scope is None else SCOPE
        await database.prepare(SOURCES, function, scope=scope or ())
        await database.begin(migration)
        found = _statements_of(database, migration)
        snapshots = [await database.objects(function)]
        for number, ran in enumerate(found):
            if number and ran.part != found[number - 1].part:
                await database.begin_hosted(migration)
            await database.send(migration, ran.part, ran.statement)
            snapshots.append(await database.objects(function))
        await database.end(migration)
        return found, snapshots, await database.objects(SOURCES)

    async def _record_outside(
        self,
        migration: Migration,
        known: Known | None,
        clock: Callable[[], float],
        *,
        attribute: bool,
    ) -> Recorded:
        """Record a migration that cannot run in a transaction, and so runs once."""
        database = self._database
        snapshots = [self._before]
        found = _statements_of(database, migration)
        await database.begin_outside(migration)
        for ran in found:
            await database.run_outside(migration, ran.part, ran.statement)
            if attribute:
                snapshots.append(await database.snapshot(SOURCES))
        after = snapshots[-1] if attribute else await database.snapshot(SOURCES)
        effect = self._effect(migration, after)
        others = self._other_sources(known, after)
        in_step = self._is_in_step(effect, known) and not others
        attributed = None
        if attribute and not in_step:
            attributed = self._attributed(found, snapshots, after, effect)
        self._before = after
        return Recorded(migration, effect, attributed, known, in_step, others, clock())

    def _is_in_step(self, effect: Effect, known: Known | None) -> bool:
        """Whether declarations say what a migration does, as far as this server shows it."""
        if known is None:
            return False
        return effect == known.effect if self._is_of(known.server) else effect.resembles(known.effect)

    def _is_of(self, server: str) -> bool:
        """Whether a version is of the same major version as this server, which then prints the same."""
        return server.partition(".")[0] == str(self._database.state.version_number // 10_000)

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
        found: Sequence[_Ran],
        snapshots: Sequence[Snapshot],
        after: Snapshot,
        effect: Effect,
    ) -> tuple[DeclaredStatement, ...]:
        parts = Attribution(snapshots).statements_of(effect)
        return statements_with(
            (found[number].part, *found[number].place, part, _sources(found[number].statement, part, after))
            for number, part in parts.items()
        )


async def _apply(database: RecordingDatabase, migration: Migration) -> None:
    """Apply a migration that is not recorded."""
    if migration.transactional:
        await database.run(migration)
        await database.commit(migration)
        return
    await database.begin_outside(migration)
    for ran in _statements_of(database, migration):
        await database.run_outside(migration, ran.part, ran.statement)


def _statements_of(database: RecordingDatabase, migration: Migration) -> list[_Ran]:
    """Return the statements that apply a migration on the platform of the database, in order."""
    return [
        _Ran(part, script, statement)
        for part, script in database.scripts_of(migration).items()
        for statement in statements.split(script.text)
    ]


def _sources(statement: Statement, part: Effect, after: Snapshot) -> Mapping[Key, str | None]:
    """Return the statement that makes each object of a part: its own, or that of the server where it has none."""
    return {
        key: statement.text if makes(statement, key) else after.sources.get(key)
        for key in (*part.creates, *part.changes)
        if key in after.sources
    }


def makes(statement: Statement, key: Key) -> bool:
    """Whether a statement is the one that creates an object of this kind, by its first words."""
    words = statement.skeleton.lower().split()
    if not words or words[0] != "create":
        return False
    kind = key[0]
    said = {"function": {"function", "procedure", "aggregate"}, "view": {"view"}, "rule": {"rule"}}.get(kind, {kind})
    return any(word in said for word in words[1:6])
