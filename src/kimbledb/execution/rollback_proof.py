"""Proves a derived rollback on a server, in transactions that are rolled back.

On the database of a recorder, where the migration is applied:

1. The derived rollback runs. The schema must be what it was before the migration.
2. The tables of before get sample rows, the migration is applied again, and is rolled back again. The rows and values must
   be what they were. First only the tables that the scripts name get rows, with those that they refer to; where the locks
   of the transaction show that it went further, all of them do.

The second step shows what no statement says: whether a block that may change rows does so on a schema as declared, and
whether values survive a change of type and back. It shows it for the sample rows, not for every row. A condition that
fits no sample row is not seen, and therefore statements that change rows are read, too
(``kimbledb.planning.script_effects``).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from attrs import evolve, frozen

from kimbledb.catalog import statements
from kimbledb.catalog.declared import place_of
from kimbledb.execution import error_location
from kimbledb.execution.messages import Messages, keep_older, take_back
from kimbledb.execution.recording_snapshots import ask_aside
from kimbledb.execution.rollback_scripts import grants_of
from kimbledb.execution.work import Work
from kimbledb.inspection.data_loss import may_undo_parts
from kimbledb.model.migration import Migration
from kimbledb.model.names import quote_array, quote_literal
from kimbledb.model.objects import DatabaseObject, Key, parts_of, quoted
from kimbledb.model.script import Script
from kimbledb.model.snapshot import Snapshot
from kimbledb.model.text import one_line
from kimbledb.planning.derived_rollback import DerivedRollback, NotDerivableError, derive
from kimbledb.planning.sample_rows import SampleTable, filling, sample_tables
from kimbledb.server import queries
from kimbledb.server.driver import ServerError, first_line
from kimbledb.server.loops import END_OF_SCRIPT

#: The rows and the positions of sequences, as ``contents.sql`` gives them.
Contents = Mapping[str, Mapping[str, Any]]


class _Failed(Exception):
    """A script of a proof failed, and its transaction is rolled back."""

    def __init__(self, words: str) -> None:
        super().__init__(words)
        self.words = words


class _FurtherError(Exception):
    """A script read or changed tables without sample rows, or sequences that were not looked at."""


@frozen(kw_only=True)
class RollbackProof:
    """Proves derived rollbacks on one database, whose migrations are applied one after the other."""

    messages: Messages
    #: Whether the database has the roles of a hosted platform.
    hosted: bool
    #: Takes a snapshot of the schema in the open transaction.
    take: Callable[[], Awaitable[Snapshot]]

    async def reason_against(
        self, migration: Migration, objects: Mapping[Key, DatabaseObject], before: Snapshot, after: Snapshot
    ) -> str | None:
        """Return the reason why no rollback can be derived for the last applied migration, or None if one is proven.

        Args:
            migration: The migration, with its declarations.
            objects: The objects that the migrations before it declare.
            before: The objects before it.
            after: The objects after it.
        """
        try:
            derived = derive(migration, objects, hosted=self.hosted)
            derived = evolve(derived, grants=grants_of(migration, objects, hosted=self.hosted))
        except NotDerivableError as error:
            return error.reason
        try:
            if (reason := await self._of_objects(migration, derived, before)) is not None:
                return reason
            if not migration.transactional:
                return derived.doubts[0] if derived.doubts else None
            return await self._of_rows(migration, objects, derived, after)
        except _Failed as failure:
            return failure.words
        finally:
            await self.messages.session.roll_back()

    async def _of_objects(self, migration: Migration, derived: DerivedRollback, before: Snapshot) -> str | None:
        """Return the reason why the objects are not those of before, or None. The transaction stays open."""
        await self._begin(migration)
        await self._undo(migration, derived)
        if difference := (await self.take()).since(before):
            for word, those in (
                ("leaves", difference.created),
                ("does not give back", difference.changed),
                ("does not make again", difference.dropped),
            ):
                if those:
                    return f"its derived rollback {word} {one_line(str(those[0]))}"
        return None

    async def _of_rows(
        self, migration: Migration, objects: Mapping[Key, DatabaseObject], derived: DerivedRollback, after: Snapshot
    ) -> str | None:
        """Return the reason why sample rows are not those of before, or None. The migration is rolled back already."""
        sql = f"{migration.apply_sql}\n{migration.hosted_sql}\n{derived.script.text}"
        if not may_undo_parts(sql):  # a part that is rolled back gives its locks back
            near = sample_tables(objects, sql)
            try:
                return await self._of_rows_in(
                    near, [parts_of(each.name)[-1] for each in near], migration, derived, after
                )
            except _FurtherError:
                await self.messages.session.roll_back()
                await self._begin(migration)
                await self._undo(migration, derived)
        return await self._of_rows_in(sample_tables(objects), None, migration, derived, after)

    async def _of_rows_in(
        self,
        tables: Sequence[SampleTable],
        names: Collection[str] | None,
        migration: Migration,
        derived: DerivedRollback,
        after: Snapshot,
    ) -> str | None:
        """Return the reason as ``_of_rows()`` does.

        Args:
            tables: The tables that get sample rows.
            names: Their names, if nothing else is looked at; None for all tables and sequences.
            migration: The migration.
            derived: Its derived rollback.
            after: The objects after it.

        Raises:
            _FurtherError: The migration or its rollback does something elsewhere.
        """
        try:
            await self._fill(tables)
            before = await self._contents(names)
            await self._apply(migration, "applied again, it fails")
            rows_fit = True
        except _Failed:
            # Not every row fits what the migration demands of it.
            rows_fit = False
            await self._begin(migration)
            await self._undo(migration, derived)
            before = await self._contents(names)
            await self._apply(migration, "applied again after its derived rollback, it fails")
        if again := (await self.take()).since(after):
            await self._contents(names)
            [first, *_] = (*again.created, *again.changed, *again.dropped)
            return f"applied again after its derived rollback, it does something else to {one_line(str(first))}"
        if derived.doubts and not (rows_fit and self._shows_rows(migration, tables, before)):
            await self._contents(names)
            return f"{derived.doubts[0]}, and no sample rows show whether it does"
        await self._undo(migration, derived, "its derived rollback fails on rows")
        if different := next(_differences(before, await self._contents(names)), None):
            return await self._with_line(migration, derived, tables, different)
        return None

    @staticmethod
    def _shows_rows(migration: Migration, tables: Sequence[SampleTable], held: Contents) -> bool:
        """Whether each table that a migration names holds sample rows."""
        names = {quoted(name) for name, table in held["tables"].items() if table["rows"]}
        sql = f"{migration.apply_sql}\n{migration.hosted_sql}"
        return all(table.name in names or table.name not in sql for table in tables)

    async def _with_line(
        self, migration: Migration, derived: DerivedRollback, tables: Sequence[SampleTable], different: str
    ) -> str:
        """Return a reason for a difference of rows, with the line of the statement that makes it."""
        await self.messages.session.roll_back()
        await self._begin(migration)
        await self._undo(migration, derived)
        await self._fill(tables)
        held = await self._contents()
        for script in migration.applied_scripts(hosted=self.hosted).values():
            for statement in statements.split(script.text):
                await self._run(migration, Script(script.path, statement.text), "it fails")
                if different in _differences(held, await self._contents(), whole=False):
                    line, _ = place_of(script, statement.start)
                    return f"{script.file_name}:{line} changes {different}"
        return f"its derived rollback does not give back {different}"

    # Messages.

    async def _begin(self, migration: Migration) -> None:
        work = _work(migration)
        await self.messages.session.transact(self.messages.begin(work), self.messages.settings(work))

    async def _apply(self, migration: Migration, failing: str) -> None:
        """Run the scripts that apply a migration in the open transaction.

        Raises:
            _Failed: One of them failed.
        """
        for part, script in migration.applied_scripts(hosted=self.hosted).items():
            if part == "hosted":
                await self.messages.session.send("SET CONSTRAINTS ALL DEFERRED;\n")
            await self._run(migration, script, failing, closing=migration.closed and part == "apply")

    async def _undo(
        self, migration: Migration, derived: DerivedRollback, failing: str = "its derived rollback fails"
    ) -> None:
        """Run a derived rollback in the open transaction.

        Raises:
            _Failed: It failed.
        """
        await self._run(migration, derived.script, failing, closing=migration.closed, grants=derived.grants)

    async def _run(
        self, migration: Migration, script: Script, failing: str, *, closing: bool = False, grants: Sequence[str] = ()
    ) -> None:
        """Run a script in the open transaction.

        Args:
            migration: The migration.
            script: The script.
            failing: The meaning of an error, in words.
            closing: Whether what it makes is closed.
            grants: The statements that grant after it.

        Raises:
            _Failed: It failed.
        """
        session = self.messages.session
        older, closed = (keep_older(), take_back()) if closing else ("", "")
        closed += self.messages.granting(grants)
        ahead = self.messages.settings(_work(migration)) + older + session.path(self.messages.path)
        try:
            await session.send(ahead + script.text + END_OF_SCRIPT + "SET CONSTRAINTS ALL IMMEDIATE;\n" + closed)
        except ServerError as error:
            offset = error_location.offset_of(error, script.text, ahead, session.completed)
            statement = None if offset is None else error_location.statement_at(script.text, offset)
            shown = "" if statement is None else f": {statements.name_of(statement.text)}"
            raise _Failed(f"{failing}{shown}: {first_line(error)}") from error

    async def _fill(self, tables: Sequence[SampleTable]) -> None:
        session = self.messages.session
        body = queries.quoted(filling(tables), "kimbledb")
        ahead = session.settings() + session.path(self.messages.path)
        await session.send(f"{ahead}SET CONSTRAINTS ALL IMMEDIATE;\nDO {body};\n")

    async def _contents(self, names: Collection[str] | None = None) -> Contents:
        """Return the contents of tables and sequences.

        Args:
            names: The tables to look at, with their sequences; None for all.

        Raises:
            _FurtherError: The transaction has read or changed others.
        """
        listed = "NULL" if names is None else quote_array(names)
        block = queries.block("contents", schema_literal=quote_literal(self.messages.schema), names=listed)
        [answer] = await ask_aside(self.messages.session, block)
        if answer["further"]:
            raise _FurtherError
        found: Contents = answer
        return found


def _work(migration: Migration) -> Work:
    return Work(migration=migration, part="rollback", last=False, run="")


def _differences(before: Contents, after: Contents, *, whole: bool = True) -> Iterator[str]:
    """Yield the tables and columns of before whose rows or values are others, and the sequences that went back.

    Args:
        before: The contents before.
        after: The contents afterwards.
        whole: Whether all of a table counts, and not only the columns that are there both times.
    """
    for name, held in before["tables"].items():
        table = f"table {quoted(name)}"
        now = after["tables"].get(name)
        if now is None and not whole:
            continue  # it has another name, or is dropped, which its declarations say
        if now is None or now["rows"] != held["rows"]:
            yield f"the rows of {table}"
            continue
        columns, later = held["columns"] or {}, now["columns"] or {}
        for column, values in columns.items():
            if later.get(column, None if whole else values) != values:
                yield f"the values of {DatabaseObject('column', f'{quoted(name)}.{quoted(column)}')}"
        if whole and now["whole"] != held["whole"]:
            yield f"the rows of {table}"
    for name, position in before["sequences"].items():
        if position is not None and name in after["sequences"] and (after["sequences"][name] or 0) < position:
            yield f"the position of sequence {quoted(name)}"
